//! The way to the relay: JSON batches over pooled HTTP/1.1 connections.
//!
//! The relay may close an idle connection at any time. A request that met that was surely not sent if the client says
//! that it was canceled, or could not connect; anything else after the connection was there leaves the outcome unknown.

use std::time::Duration;

use blackfriday_event::EventId;
use blackfriday_intake::{Accepted, BatchAnswer, DEADLINE_HEADER, ItemAnswer, Upstream};
use blackfriday_proto::{ErrorCode, SaleCommand, SaleError, WeatherCommand};
use bytes::Bytes;
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::Error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Well below the relay's own limit for idle connections.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Requests for the same events: idle connections may have ended one after the other.
const MAX_ATTEMPTS: usize = 3;
/// Left of a request's time for our own answer's way back.
const ANSWER_RESERVE: Duration = Duration::from_millis(20);

/// The relay.
pub(crate) struct Relay {
    client: Client<HttpConnector, Full<Bytes>>,
    sales: Uri,
    weather: Uri,
}

/// What a request that failed says about its events.
enum Failed {
    NotSent(SaleError),
    Unknown(SaleError),
}

#[derive(Serialize)]
struct SaleItem<'a> {
    categoria: u8,
    producto_id: &'a str,
    precio: f64,
    cantidad_vendida: u32,
    id: EventIdText,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
}

#[derive(Serialize)]
struct WeatherItem<'a> {
    description: &'a str,
    country: &'a str,
    weather: &'a str,
    id: EventIdText,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
}

/// Serializes as a UUID without an allocation.
struct EventIdText(EventId);

#[derive(Deserialize)]
struct ProblemAnswer {
    detail: String,
    #[serde(default)]
    errors: Vec<blackfriday_intake::FieldAnswer>,
}

impl Relay {
    pub(crate) fn new(url: &Url) -> Result<Self, Error> {
        let wrong = || Error::RelayUrl(url.clone());
        let join = |path: &str| -> Result<Uri, Error> {
            let joined = url.join(path).map_err(|_| wrong())?;
            if joined.scheme() != "http" {
                return Err(wrong());
            }
            joined.as_str().parse().map_err(|_| wrong())
        };
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            // Whether to send again is ours to decide.
            .retry_canceled_requests(false)
            .build(connector);
        Ok(Self { client, sales: join("/procesar")?, weather: join("/publicar")? })
    }

    /// Sends one request; again on another connection if it surely was not sent, or is keyed.
    async fn post(
        &self,
        uri: &Uri,
        body: Bytes,
        deadline: Instant,
        keyed: bool,
    ) -> Result<(u16, Bytes), SaleError> {
        let mut attempt = 1;
        loop {
            let (error, safe) = match self.try_post(uri, body.clone(), deadline).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::NotSent(error)) => (error, true),
                Err(Failed::Unknown(error)) => (error, keyed),
            };
            if !safe || attempt == MAX_ATTEMPTS || Instant::now() >= deadline {
                return Err(error);
            }
            attempt += 1;
        }
    }

    async fn try_post(&self, uri: &Uri, body: Bytes, deadline: Instant) -> Result<(u16, Bytes), Failed> {
        let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(ANSWER_RESERVE);
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(DEADLINE_HEADER, left.as_millis().to_string())
            .body(Full::new(body))
            .expect("a parsed URI and plain headers make a request");
        let unknown = |detail: String| Failed::Unknown(SaleError::new(ErrorCode::OutcomeUnknown, detail));
        let response = match timeout_at(deadline, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() || is_canceled(&error) => {
                return Err(Failed::NotSent(SaleError::new(
                    ErrorCode::Unavailable,
                    format!("the relay is away: {error}"),
                )));
            }
            Ok(Err(error)) => return Err(unknown(format!("the relay did not answer: {error}"))),
            Err(_elapsed) => return Err(unknown("the relay did not answer in time".to_owned())),
        };
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect();
        match timeout_at(deadline, body).await {
            Ok(Ok(body)) => Ok((status, body.to_bytes())),
            Ok(Err(error)) => Err(unknown(format!("the relay's answer broke off: {error}"))),
            Err(_elapsed) => Err(unknown("the relay's answer did not arrive in time".to_owned())),
        }
    }
}

impl Upstream for Relay {
    async fn sales(&self, commands: Vec<SaleCommand>, deadline: Instant) -> Vec<Result<EventId, SaleError>> {
        let items: Vec<_> = commands.iter().map(SaleItem::of).collect();
        let body = serde_json::to_vec(&items).expect("strings and finite numbers always serialize");
        let keyed = commands.iter().all(|command| command.idempotency_key.is_some());
        let answer = self.post(&self.sales, body.into(), deadline, keyed).await;
        let outcomes = answer.and_then(|(status, body)| match serde_json::from_slice::<BatchAnswer>(&body) {
            Ok(answer) if answer.resultados.len() == commands.len() => Ok(answer.resultados),
            _ => Err(of_problem(status, &body)),
        });
        match outcomes {
            Ok(results) => {
                let with_id = |(result, command): (ItemAnswer, &SaleCommand)| {
                    result.into_outcome().map_err(|error| error.of(command.id))
                };
                results.into_iter().zip(&commands).map(with_id).collect()
            }
            Err(error) => commands.iter().map(|command| Err(error.clone().of(command.id))).collect(),
        }
    }

    async fn weather(&self, command: WeatherCommand, deadline: Instant) -> Result<EventId, SaleError> {
        let body = serde_json::to_vec(&WeatherItem::of(&command)).expect("strings always serialize");
        let keyed = command.idempotency_key.is_some();
        let (status, body) = self.post(&self.weather, body.into(), deadline, keyed).await?;
        match serde_json::from_slice::<Accepted>(&body) {
            Ok(_) if status == 202 => Ok(command.id),
            _ => Err(of_problem(status, &body).of(command.id)),
        }
    }
}

impl<'a> SaleItem<'a> {
    fn of(command: &'a SaleCommand) -> Self {
        Self {
            categoria: command.draft.category as u8,
            producto_id: command.draft.product_id.as_str(),
            precio: command.draft.price.to_f64(),
            cantidad_vendida: command.draft.quantity.units(),
            id: EventIdText(command.id),
            idempotency_key: command.idempotency_key.as_ref().map(|key| key.as_str()),
            traceparent: command.traceparent.as_deref(),
        }
    }
}

impl<'a> WeatherItem<'a> {
    fn of(command: &'a WeatherCommand) -> Self {
        Self {
            description: &command.draft.description,
            country: &command.draft.country,
            weather: &command.draft.weather,
            id: EventIdText(command.id),
            idempotency_key: command.idempotency_key.as_ref().map(|key| key.as_str()),
            traceparent: command.traceparent.as_deref(),
        }
    }
}

impl Serialize for EventIdText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = uuid::Uuid::encode_buffer();
        serializer.serialize_str(self.0.as_uuid().as_hyphenated().encode_lower(&mut buffer))
    }
}

/// An answer that is no result for the events: a problem of the relay's, or of something in between.
fn of_problem(status: u16, body: &[u8]) -> SaleError {
    let problem: Option<ProblemAnswer> = serde_json::from_slice(body).ok();
    let detail = problem
        .as_ref()
        .map_or_else(|| format!("the relay answered {status}"), |problem| problem.detail.clone());
    let fields = problem.map(|problem| problem.errors).unwrap_or_default();
    SaleError {
        fields: fields.into_iter().map(|error| (error.field, error.message)).collect(),
        ..SaleError::new(
            if status < 300 { ErrorCode::OutcomeUnknown } else { ErrorCode::of_http(status) },
            detail,
        )
    }
}

/// The connection was closed before the request was written to it.
fn is_canceled(error: &hyper_util::client::legacy::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return error.is_canceled();
        }
        cause = error.source();
    }
    false
}
