//! The front door: every request for events goes through here, at gateway and relay alike.
//!
//! A request is refused from its head where that suffices, read under the limits, parsed, handed to upstream, and
//! answered by what upstream says. Single sales share upstream calls ([`Lane`]); a batch is a call of its own.
//!
//! Invariants: what is refused here was not handed on; every event that was handed on has an outcome in the answer, also
//! when upstream panics; and the memory of a request is counted until its answer is written.

mod replies;
mod reports;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use blackfriday_event::{EventId, FieldErrors, IdempotencyKey};
use blackfriday_proto::{ErrorCode, EventOutcome, Refusal, SaleCommand, WeatherCommand};
use blackfriday_service::{BodyBudget, BodyLimits, BudgetFull, HttpLimits, Room, read_body};
use blackfriday_telemetry::metrics::Registry;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Request};
use tokio::time::Instant;
use tracing::Span;

use self::replies::{answer, batch_answer, code_of, held, refused, weather_answer};
use self::reports::Reports;
use crate::batch_body::{Item, parse_many};
use crate::batch_room::{batch_bytes, shorten_refusals};
use crate::catalogue::Catalogue;
use crate::config::IntakeConfig;
use crate::deadline::{late, time_left};
use crate::hop::{DEADLINE_HEADER, Trust};
use crate::idempotency;
use crate::lane::Lane;
use crate::media::{Media, not_lines};
use crate::sale_json::parse_sale;
use crate::trace::{Caller, conclude, traced};
use crate::upstream::Upstream;
use crate::weather_json::parse_weather;

/// The front door: takes requests, and answers them by what upstream says.
#[derive(Debug)]
pub struct Front<U> {
    upstream: Arc<U>,
    lane: Lane,
    reports: Reports,
    trust: Trust,
    catalogue: Option<Catalogue>,
    max_body_bytes: usize,
    max_batch_sales: usize,
    request_timeout: Duration,
    body_stall: Duration,
    budget: BodyBudget,
}

/// A request whose body is here.
struct Taken {
    headers: HeaderMap,
    trust: Trust,
    deadline: Instant,
    media: Media,
    body: Bytes,
    /// Held until the answer is written.
    room: Room,
}

impl<U: Upstream> Front<U> {
    /// A front door to this upstream.
    pub fn new(
        upstream: Arc<U>,
        trust: Trust,
        config: &IntakeConfig,
        limits: &HttpLimits,
        registry: &Registry,
    ) -> Self {
        Self {
            lane: Lane::start(Arc::clone(&upstream), config, registry),
            upstream,
            reports: Reports::new(config.max_in_flight_reports, registry),
            trust,
            catalogue: None,
            max_body_bytes: limits.max_body_bytes,
            max_batch_sales: config.max_batch_sales,
            request_timeout: limits.request_timeout(),
            body_stall: limits.body_stall_timeout(),
            budget: BodyBudget::new(config.max_bodies_kib).of_flag("max-bodies-kib", registry),
        }
    }

    /// The same front door, which takes only sales of these products; of all without a catalogue.
    #[must_use]
    pub fn selling(self, catalogue: Option<Catalogue>) -> Self {
        Self { catalogue, ..self }
    }

    /// Answers a request with one sale.
    pub async fn one(&self, route: &'static str, request: Request<Body>) -> Response {
        match self.take(request).await {
            Ok(taken) => self.one_sale(route, taken).await,
            Err(refusal) => refusal,
        }
    }

    /// Answers a request with many sales.
    pub async fn many(&self, route: &'static str, request: Request<Body>) -> Response {
        match self.take(request).await {
            Ok(taken) => self.many_sales(route, taken).await,
            Err(refusal) => refusal,
        }
    }

    /// Answers a request with one sale, as an object, or with many, as an array or lines.
    pub async fn one_or_many(&self, route: &'static str, request: Request<Body>) -> Response {
        match self.take(request).await {
            Ok(taken) if taken.media == Media::Lines || taken.begins_with(b'[') => {
                self.many_sales(route, taken).await
            }
            Ok(taken) => self.one_sale(route, taken).await,
            Err(refusal) => refusal,
        }
    }

    /// Answers a request with one weather report.
    pub async fn weather(&self, route: &'static str, request: Request<Body>) -> Response {
        let taken = match self.take(request).await {
            Ok(taken) => taken,
            Err(refusal) => return refusal,
        };
        let mut command = match taken.read_one(parse_weather) {
            Ok(command) => command,
            Err(error) => return held(refused(error), taken.room),
        };
        let own = taken.key(&mut command);
        let span = taken.trace(route, &mut command.traceparent);
        let reported = self.reports.send(&self.upstream, command, taken.deadline).await;
        held(weather_answer(reported, own.as_ref(), span.as_ref()), taken.room)
    }

    /// Waits until every weather report that was handed on has its outcome, also those whose clients have gone. For the
    /// stop, when no more requests are taken.
    pub async fn settled(&self) {
        self.reports.settled().await;
    }

    async fn one_sale(&self, route: &'static str, taken: Taken) -> Response {
        let command = taken.read_one(parse_sale).and_then(|command| self.check(command));
        let mut command = match command {
            Ok(command) => command,
            Err(error) => return held(refused(error), taken.room),
        };
        let span = taken.trace(route, &mut command.traceparent);
        held(answer(self.lane.send(command, taken.deadline).await, span.as_ref()), taken.room)
    }

    async fn many_sales(&self, route: &'static str, mut taken: Taken) -> Response {
        let mut items = match self.read_many(&mut taken) {
            Ok(items) => items,
            Err(error) => return held(refused(error), taken.room),
        };
        let any_valid = items.iter().any(Result::is_ok);
        // Each sampled item is a story of its own; without a context of its own it belongs to the request's.
        let mut spans = Vec::new();
        for (at, item) in items.iter_mut().enumerate() {
            let span = item.as_mut().ok().and_then(|command| taken.trace(route, &mut command.traceparent));
            spans.extend(span.map(|span| (at, span)));
        }
        let outcomes = self.send_many(items, taken.deadline).await;
        for (at, span) in spans {
            conclude(&span, code_of(&outcomes[at]));
        }
        held(batch_answer(&outcomes, any_valid), taken.room)
    }

    /// The items of a body, which is given back for the room that they take.
    fn read_many(&self, taken: &mut Taken) -> Result<Vec<Item>, Refusal> {
        let key = request_key(&taken.headers)?;
        let (lines, trusted) = (taken.media == Media::Lines, taken.trust == Trust::Hop);
        let mut items = parse_many(&taken.body, lines, key.as_ref(), trusted, self.max_batch_sales)?;
        if self.catalogue.is_some() {
            items = items.into_iter().map(|item| item.and_then(|command| self.check(command))).collect();
        }
        shorten_refusals(&mut items);
        taken.body = Bytes::new();
        taken.room.shrink(0);
        // What cannot be answered is not sent.
        let full = |error: BudgetFull| Refusal::new(ErrorCode::Overloaded, error.to_string());
        taken.room.take(batch_bytes(&items)).map_err(full)?;
        Ok(items)
    }

    /// The sale, if its product may be sold.
    fn check(&self, command: SaleCommand) -> Item {
        if let Some(catalogue) = &self.catalogue {
            catalogue.check(&command.draft)?;
        }
        Ok(command)
    }

    async fn send_many(&self, items: Vec<Item>, deadline: Instant) -> Vec<EventOutcome> {
        let mut valid = Vec::with_capacity(items.len());
        let keep = |item: Item| {
            item.map_or_else(Some, |command| {
                valid.push(command);
                None
            })
        };
        let refused: Vec<_> = items.into_iter().map(keep).collect();
        if valid.is_empty() {
            return refused.into_iter().flatten().map(Err).collect();
        }
        let ids: Vec<_> = valid.iter().map(|command| command.id).collect();
        let outcomes = unless_broken(self.upstream.sales(valid, deadline)).await.unwrap_or_default();
        // One for each, whatever upstream did.
        let given = outcomes.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        let mut outcomes =
            ids.into_iter().zip(given).map(|(id, given)| given.unwrap_or_else(|| Err(broken().of(id))));
        refused
            .into_iter()
            .filter_map(|error| error.map_or_else(|| outcomes.next(), |error| Some(Err(error))))
            .collect()
    }

    /// Refuses what the head alone says is wrong, and reads the body, as long as there is room for it.
    async fn take(&self, request: Request<Body>) -> Result<Taken, Response> {
        let (parts, body) = request.into_parts();
        let headers = parts.headers;
        let trust = if headers.contains_key(DEADLINE_HEADER) { self.trust } else { Trust::Outside };
        let now = Instant::now();
        let deadline = now + time_left(&headers, trust, self.request_timeout);
        if now >= deadline {
            return Err(refused(late()));
        }
        let media = Media::of_head(&headers).map_err(refused)?;
        let limits = BodyLimits { max_bytes: self.max_body_bytes, stall: self.body_stall, deadline };
        let mut room = self.budget.room();
        let body = read_body(&headers, body, limits, &mut room).await;
        let body = body.map_err(IntoResponse::into_response)?;
        Media::check_beginning(&body).map_err(refused)?;
        Ok(Taken { headers, trust, deadline, media, body, room })
    }
}

impl Taken {
    fn begins_with(&self, byte: u8) -> bool {
        self.body.trim_ascii_start().first() == Some(&byte)
    }

    /// The one event of the body.
    fn read_one<C>(
        &self,
        parse: impl FnOnce(&[u8], Option<IdempotencyKey>, bool) -> Result<C, Refusal>,
    ) -> Result<C, Refusal> {
        if self.media == Media::Lines {
            return Err(not_lines());
        }
        parse(&self.body, request_key(&self.headers)?, self.trust == Trust::Hop)
    }

    /// Gives a report from outside that has no key one of its own, and gives that back: with a key it may be sent again to
    /// one log while the other has it.
    fn key(&self, command: &mut WeatherCommand) -> Option<IdempotencyKey> {
        if command.idempotency_key.is_some() || self.trust == Trust::Hop {
            return None;
        }
        let key = IdempotencyKey::unique();
        command.id = EventId::of_key(&key);
        command.idempotency_key = Some(key.clone());
        Some(key)
    }

    /// The span of an event, if it is recorded. `traceparent` is the event's own context, and then what goes along with it.
    fn trace(&self, route: &'static str, traceparent: &mut Option<String>) -> Option<Span> {
        let own = traceparent.take();
        traced(route, Caller::of(own.as_deref(), &self.headers, self.trust), traceparent)
    }
}

/// What upstream gives, or nothing if it panics: the events may have been handed on before.
async fn unless_broken<T>(upstream: impl Future<Output = T>) -> Option<T> {
    let outcome = AssertUnwindSafe(upstream).catch_unwind().await;
    outcome.inspect_err(|_| tracing::error!("an upstream call panicked")).ok()
}

fn broken() -> Refusal {
    Refusal::new(ErrorCode::OutcomeUnknown, "the upstream call broke")
}

fn request_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Refusal> {
    idempotency::of_request(headers).map_err(|error| FieldErrors::from(error).into())
}
