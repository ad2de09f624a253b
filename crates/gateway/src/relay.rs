//! The way to the relay: JSON batches over pooled HTTP/1.1 connections.
//!
//! The relay may close an idle connection at any time. A request that met that was surely not sent if the client says
//! that it was canceled, or could not connect; anything else after the connection was there leaves the outcome unknown. So
//! does an answer that is not the relay's own: something in between may have handed the request on before it answered.

use std::time::Duration;

use blackfriday_event::{EventId, FieldError};
use blackfriday_intake::{
    Accepted, Again, BatchAnswer, DEADLINE_HEADER, Failed, ItemAnswer, Said, Tries, Upstream, code_of,
    encode_many, encode_one,
};
use blackfriday_proto::{ErrorCode, EventOutcome, Refusal, SaleCommand, WeatherCommand};
use blackfriday_service::FieldProblem;
use blackfriday_service::problem::{Kind, PROBLEM_JSON, TYPE_PREFIX};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::error::Error;

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

/// What the relay, or something before it, answered.
struct RelayAnswer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Deserialize)]
struct ProblemAnswer {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
    #[serde(default)]
    errors: Vec<FieldProblem>,
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

    /// Whether there is a further try; if not, what was not sent is answered so.
    fn may_go_on<D>(tries: &mut Tries<D>, attempts: usize, deadline: Instant) -> bool {
        if Instant::now() >= deadline {
            tries.give_up(&Refusal::new(ErrorCode::Unavailable, "the time was over before it was sent"));
        } else if attempts == MAX_ATTEMPTS {
            tries.give_up(&Refusal::new(ErrorCode::Unavailable, "the relay is away"));
        }
        !tries.are_over()
    }

    async fn try_post(&self, uri: &Uri, body: Bytes, deadline: Instant) -> Result<RelayAnswer, Failed> {
        let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(ANSWER_RESERVE);
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(DEADLINE_HEADER, left.as_millis().to_string())
            .body(Full::new(body))
            .expect("a parsed URI and plain headers make a request");
        let unknown = |detail: String| Failed::Unknown(Refusal::new(ErrorCode::OutcomeUnknown, detail));
        let response = match timeout_at(deadline, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() || is_canceled(&error) => {
                return Err(Failed::NotSent(Refusal::new(
                    ErrorCode::Unavailable,
                    format!("the relay is away: {error}"),
                )));
            }
            Ok(Err(error)) => return Err(unknown(format!("the relay did not answer: {error}"))),
            Err(_elapsed) => return Err(unknown("the relay did not answer in time".to_owned())),
        };
        let (head, body) = response.into_parts();
        match timeout_at(deadline, Limited::new(body, MAX_ANSWER_BYTES).collect()).await {
            Ok(Ok(body)) => {
                Ok(RelayAnswer { status: head.status, headers: head.headers, body: body.to_bytes() })
            }
            Ok(Err(error)) => Err(unknown(format!("the relay's answer broke off: {error}"))),
            Err(_elapsed) => Err(unknown("the relay's answer did not arrive in time".to_owned())),
        }
    }
}

impl Upstream for Relay {
    async fn sales(&self, commands: Vec<SaleCommand>, deadline: Instant) -> Vec<EventOutcome> {
        let mut tries = Tries::new(commands);
        let mut attempts = 0;
        while Self::may_go_on(&mut tries, attempts, deadline) {
            attempts += 1;
            let body = encode_many(tries.pending());
            let answer = self.try_post(&self.sales, body.into(), deadline).await;
            match answer.and_then(|answer| answer.into_results(tries.pending().len())) {
                Ok(results) => {
                    let mut results = results.into_iter();
                    tries.settle(|command| settled(results.next(), command.id));
                }
                Err(failed) => tries.fail(&failed),
            }
        }
        tries.into_outcomes()
    }

    async fn weather(&self, command: WeatherCommand, deadline: Instant) -> EventOutcome {
        let id = command.id;
        let body = Bytes::from(encode_one(&command));
        let mut tries = Tries::new(vec![command]);
        let mut attempts = 0;
        while Self::may_go_on(&mut tries, attempts, deadline) {
            attempts += 1;
            let answer = self.try_post(&self.weather, body.clone(), deadline).await;
            match answer.and_then(|answer| answer.into_accepted()) {
                Ok(accepted) => {
                    let mut accepted = Some(accepted);
                    tries.settle(|_| settled(accepted.take(), id));
                }
                Err(failed) => tries.fail(&failed),
            }
        }
        tries.into_outcomes().pop().unwrap_or_else(|| Err(no_answer().of(id)))
    }
}

impl RelayAnswer {
    /// A result for each of so many sales, or what the answer says of all of them.
    fn into_results(self, sales: usize) -> Result<Vec<ItemAnswer>, Failed> {
        match serde_json::from_slice::<BatchAnswer>(&self.body) {
            Ok(answer) if answer.resultados.len() == sales => Ok(answer.resultados),
            _ => Err(self.into_failure()),
        }
    }

    fn into_accepted(self) -> Result<ItemAnswer, Failed> {
        match serde_json::from_slice(&self.body) {
            Ok(Accepted { id, .. }) if self.status == StatusCode::ACCEPTED => Ok(ItemAnswer::Accepted { id }),
            _ => Err(self.into_failure()),
        }
    }

    /// An answer that is no result for the events: a problem of the relay's, or of something in between.
    fn into_failure(self) -> Failed {
        let status = self.status.as_u16();
        let Some(problem) = self.problem() else {
            let detail = format!("something before the relay answered {status}");
            return Failed::Unknown(Refusal::new(ErrorCode::OutcomeUnknown, detail));
        };
        let name = problem.kind.strip_prefix(TYPE_PREFIX).unwrap_or_default();
        if let Some(failed) = before_reading(status, name) {
            return failed;
        }
        let code = code_of(status, name);
        let fields =
            problem.errors.into_iter().map(|error| FieldError::new(error.field, error.message)).collect();
        Failed::Refused(Refusal { fields, ..Refusal::new(code, problem.detail) })
    }

    /// The relay's own word, by media type and kind.
    fn problem(&self) -> Option<ProblemAnswer> {
        let media = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        if !media.starts_with(PROBLEM_JSON) {
            return None;
        }
        let problem: ProblemAnswer = serde_json::from_slice(&self.body).ok()?;
        problem.kind.starts_with(TYPE_PREFIX).then_some(problem)
    }
}

/// A problem of our own server that is not about the events, or that it gave before it had them: nothing was written.
fn before_reading(status: u16, name: &str) -> Option<Failed> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name && kind.status() == status)?;
    match kind {
        Kind::NotFound | Kind::MethodNotAllowed | Kind::InvalidParameter | Kind::Unreadable => {
            let detail = format!("what is at the relay's URL takes no events: it answered {status}");
            Some(Failed::Refused(Refusal::new(ErrorCode::Internal, detail)))
        }
        Kind::Late | Kind::BrokenOff => {
            let detail = "the relay did not get the whole request in time";
            Some(Failed::NotWritten(Refusal::new(ErrorCode::Unavailable, detail)))
        }
        _ => None,
    }
}

/// What the relay said of one event. It has asked every writer already.
fn settled(result: Option<ItemAnswer>, id: EventId) -> Said {
    let outcome = match result.map(ItemAnswer::into_outcome) {
        Some(Ok(accepted)) if accepted == id => Ok(id),
        // A relay that does not trust its hops gives each event an identity of its own.
        Some(Ok(_)) => Err(of_another().of(id)),
        None => Err(no_answer().of(id)),
        Some(Err(error)) => Err(error.of(id)),
    };
    Said { outcome, again: Again::Never }
}

fn of_another() -> Refusal {
    let detail = "the relay's answer is not for this event: does the relay run with --trust-hops?";
    Refusal::new(ErrorCode::OutcomeUnknown, detail)
}

fn no_answer() -> Refusal {
    Refusal::new(ErrorCode::OutcomeUnknown, "the relay's answer says nothing about this event")
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
