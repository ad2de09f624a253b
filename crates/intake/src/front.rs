use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use blackfriday_event::{EventId, FieldErrors, IdempotencyKey};
use blackfriday_proto::{ErrorCode, Refusal, SaleCommand};
use blackfriday_service::{BodyBudget, BodyLimits, HttpLimits, Problem, Room, read_body};
use blackfriday_telemetry::metrics::Registry;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use serde::Serialize;
use tokio::time::Instant;
use tracing::Span;

use crate::answer::{Accepted, BatchAnswer, TOLD_IN_FULL};
use crate::deadline::{deadline, late};
use crate::lane::Lane;
use crate::media::{Media, not_lines};
use crate::sale_json::parse_sale;
use crate::trace::{conclude, of_request, traced};
use crate::weather_json::parse_weather;
use crate::{Catalogue, DEADLINE_HEADER, IntakeConfig, Item, Upstream, idempotency, parse_many, problem_of};

/// Who a request is from: whether its deadline, its decision about sampling, and the identity and trace context in its
/// body are obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// From anywhere: they are ignored.
    Outside,
    /// From our own hop before this one, which always says how long it still waits. A request that does not is from outside.
    Hop,
}

/// The front door: takes requests, and answers them by what upstream says.
#[derive(Debug)]
pub struct Front<U> {
    upstream: Arc<U>,
    lane: Lane,
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
            trust,
            catalogue: None,
            max_body_bytes: limits.max_body_bytes,
            max_batch_sales: config.max_batch_sales,
            request_timeout: limits.request_timeout(),
            body_stall: limits.body_stall_timeout(),
            budget: BodyBudget::new(config.max_bodies_kbytes),
        }
    }

    /// The same front door, which takes only sales of these products; of all without a catalogue.
    #[must_use]
    pub fn selling(self, catalogue: Option<Catalogue>) -> Self {
        Self { catalogue, ..self }
    }

    /// Answers a request with one sale.
    pub async fn one(&self, route: &'static str, request: Request<Body>) -> Response {
        let deadline = deadline(request.headers(), self.trust_in(request.headers()), self.request_timeout);
        match self.take(request, deadline).await {
            Ok(taken) if taken.media == Media::Lines => refused(not_lines()),
            Ok(taken) => self.one_body(route, taken, deadline).await,
            Err(refusal) => refusal,
        }
    }

    /// Answers a request with many sales.
    pub async fn many(&self, route: &'static str, request: Request<Body>) -> Response {
        let deadline = deadline(request.headers(), self.trust_in(request.headers()), self.request_timeout);
        match self.take(request, deadline).await {
            Ok(taken) => self.many_body(route, taken, deadline).await,
            Err(refusal) => refusal,
        }
    }

    /// Answers a request with one sale, as an object, or with many, as an array or lines.
    pub async fn one_or_many(&self, route: &'static str, request: Request<Body>) -> Response {
        let deadline = deadline(request.headers(), self.trust_in(request.headers()), self.request_timeout);
        match self.take(request, deadline).await {
            Ok(taken) => {
                if taken.media == Media::Lines || taken.body.trim_ascii_start().first() == Some(&b'[') {
                    self.many_body(route, taken, deadline).await
                } else {
                    self.one_body(route, taken, deadline).await
                }
            }
            Err(refusal) => refusal,
        }
    }

    /// Answers a request with one weather report.
    pub async fn weather(&self, route: &'static str, request: Request<Body>) -> Response {
        let deadline = deadline(request.headers(), self.trust_in(request.headers()), self.request_timeout);
        let Taken { headers, body, room, .. } = match self.take(request, deadline).await {
            Ok(taken) if taken.media == Media::Lines => return refused(not_lines()),
            Ok(taken) => taken,
            Err(refusal) => return refusal,
        };
        let trust = self.trust_in(&headers);
        let command = request_key(&headers).and_then(|key| parse_weather(&body, key, trust == Trust::Hop));
        let mut command = match command {
            Ok(command) => command,
            Err(error) => return held(refused(error), room),
        };
        let parent = command.traceparent.take();
        let parent = parent.as_deref().or_else(|| of_request(&headers, trust));
        let span = traced(route, parent, trust, &mut command.traceparent);
        let id = command.id;
        let outcome = unless_broken(self.upstream.weather(command, deadline)).await;
        held(answer(outcome.unwrap_or_else(|| Err(broken().of(id))), span.as_ref()), room)
    }

    fn trust_in(&self, headers: &HeaderMap) -> Trust {
        if headers.contains_key(DEADLINE_HEADER) { self.trust } else { Trust::Outside }
    }

    async fn one_body(&self, route: &'static str, taken: Taken, deadline: Instant) -> Response {
        let Taken { headers, body, room, .. } = taken;
        let trust = self.trust_in(&headers);
        let command = request_key(&headers).and_then(|key| parse_sale(&body, key, trust == Trust::Hop));
        let command = command.and_then(|command| self.check(command));
        let mut command = match command {
            Ok(command) => command,
            Err(error) => return held(refused(error), room),
        };
        let parent = command.traceparent.take();
        let parent = parent.as_deref().or_else(|| of_request(&headers, trust));
        let span = traced(route, parent, trust, &mut command.traceparent);
        held(answer(self.lane.send(command, deadline).await, span.as_ref()), room)
    }

    async fn many_body(&self, route: &'static str, taken: Taken, deadline: Instant) -> Response {
        let Taken { headers, media, body, mut room } = taken;
        let trust = self.trust_in(&headers);
        let items = request_key(&headers).and_then(|key| {
            parse_many(&body, media == Media::Lines, key.as_ref(), trust == Trust::Hop, self.max_batch_sales)
        });
        let mut items = match items {
            Ok(items) => items,
            Err(error) => return held(refused(error), room),
        };
        if self.catalogue.is_some() {
            items = items.into_iter().map(|item| item.and_then(|command| self.check(command))).collect();
        }
        let wrong = shorten_refusals(&mut items);
        let any_valid = wrong < items.len();
        // What cannot be answered is not sent.
        if let Err(full) = room.take(BatchAnswer::room_bytes(items.len(), wrong)) {
            return held(refused(Refusal::new(ErrorCode::Overloaded, full.to_string())), room);
        }
        // Each sampled item is a story of its own; without a context of its own it belongs to the request's.
        let spans = trace_items(route, &mut items, of_request(&headers, trust), trust);
        let outcomes = self.send_many(items, deadline).await;
        for (at, span) in spans {
            conclude(&span, code_of(&outcomes[at]));
        }
        held(batch_answer(&outcomes, any_valid), room)
    }

    /// The sale, if its product may be sold.
    fn check(&self, command: SaleCommand) -> Item {
        if let Some(catalogue) = &self.catalogue {
            catalogue.check(&command.draft)?;
        }
        Ok(command)
    }

    async fn send_many(&self, items: Vec<Item>, deadline: Instant) -> Vec<Result<EventId, Refusal>> {
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
        let told = outcomes.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        let mut outcomes =
            ids.into_iter().zip(told).map(|(id, told)| told.unwrap_or_else(|| Err(broken().of(id))));
        refused
            .into_iter()
            .filter_map(|error| error.map_or_else(|| outcomes.next(), |error| Some(Err(error))))
            .collect()
    }

    /// Refuses what the head alone says is wrong, and reads the body, as long as there is room for it.
    async fn take(&self, request: Request<Body>, deadline: Instant) -> Result<Taken, Response> {
        if Instant::now() >= deadline {
            return Err(refused(late()));
        }
        let (parts, body) = request.into_parts();
        let media = Media::of_head(&parts.headers).map_err(refused)?;
        let limits = BodyLimits { max_bytes: self.max_body_bytes, stall: self.body_stall, deadline };
        let mut room = self.budget.room();
        let body = read_body(&parts.headers, body, limits, &mut room).await;
        let body = body.map_err(IntoResponse::into_response)?;
        Media::check_beginning(&body).map_err(refused)?;
        Ok(Taken { headers: parts.headers, media, body, room })
    }
}

/// Forgets what the answer will not tell of an item's refusal, before the batch waits for upstream; how many there are.
fn shorten_refusals(items: &mut [Item]) -> usize {
    let mut refused = 0;
    for error in items.iter_mut().filter_map(|item| item.as_mut().err()) {
        if refused >= TOLD_IN_FULL {
            *error = Refusal::new(error.code, "");
        }
        refused += 1;
    }
    refused
}

/// An answer that keeps its request's room until it is written.
fn held(mut response: Response, room: Room) -> Response {
    response.extensions_mut().insert(Arc::new(room));
    response
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

/// The spans of the items that have one, with their places.
fn trace_items(
    route: &'static str,
    items: &mut [Item],
    request: Option<&str>,
    trust: Trust,
) -> Vec<(usize, Span)> {
    let mut spans = Vec::new();
    for (at, item) in items.iter_mut().enumerate() {
        let Ok(command) = item else { continue };
        let parent = command.traceparent.take();
        let span = traced(route, parent.as_deref().or(request), trust, &mut command.traceparent);
        spans.extend(span.map(|span| (at, span)));
    }
    spans
}

fn refused(error: Refusal) -> Response {
    let unsupported = error.code == ErrorCode::UnsupportedMediaType;
    let mut response = problem_of(error).into_response();
    if unsupported {
        // What is understood (RFC 9110, 12.5.3).
        response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    response
}

const JSON: (http::HeaderName, HeaderValue) =
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));

fn answer(outcome: Result<EventId, Refusal>, span: Option<&Span>) -> Response {
    if let Some(span) = span {
        conclude(span, code_of(&outcome));
    }
    match outcome {
        Ok(id) => (StatusCode::ACCEPTED, [JSON], Accepted::body(id)).into_response(),
        Err(error) => refused(error),
    }
}

fn code_of(outcome: &Result<EventId, Refusal>) -> Result<EventId, ErrorCode> {
    outcome.as_ref().map(|id| *id).map_err(|error| error.code)
}

/// `202` when all were accepted, the common status when all were refused alike, `207` otherwise. Without `any_valid` item
/// only the first results are listed.
fn batch_answer(outcomes: &[Result<EventId, Refusal>], any_valid: bool) -> Response {
    let statuses = || {
        outcomes.iter().map(|outcome| outcome.as_ref().err().map_or(202, |error| error.code.http_status()))
    };
    let first = statuses().next().unwrap_or(202);
    let uniform = statuses().all(|status| status == first);
    let status = if uniform { first } else { 207 };
    let problem = outcomes.first().and_then(|first| first.as_ref().err()).filter(|_| uniform);
    let answer = if any_valid { BatchAnswer::new(outcomes) } else { BatchAnswer::of_refused(outcomes) };
    match problem.map(whole_batch) {
        Some(problem) => problem.answer_with(json_of(&BatchProblem { problem: &problem, answer })),
        None => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::MULTI_STATUS);
            (status, [JSON], json_of(&answer)).into_response()
        }
    }
}

fn json_of(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings and numbers always serialize")
}

/// The results of a batch of which nothing was accepted, as extension members of a problem (RFC 9457, section 3.2).
#[derive(Serialize)]
struct BatchProblem<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    #[serde(flatten)]
    answer: BatchAnswer,
}

fn whole_batch(of_first: &Refusal) -> Problem {
    let detail = "no item was accepted; the results say why";
    problem_of(Refusal::new(of_first.code, detail))
}
