//! The way to the relay: JSON batches over pooled HTTP/1.1 connections.
//!
//! The relay may close an idle connection at any time. A request that met that was surely not sent if the client says
//! that it was canceled, or could not connect; anything else after the connection was there leaves the outcome unknown. So
//! does an answer that is not the relay's own: something in between may have handed the request on before it answered.

mod answer;

use std::time::Duration;

use blackfriday_intake::{DEADLINE_HEADER, Failed, Reported, Tries, Upstream, encode_many, encode_one};
use blackfriday_proto::{ErrorCode, EventOutcome, Refusal, SaleCommand, WeatherCommand};
use bytes::Bytes;
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};
use url::Url;

use self::answer::{RelayAnswer, ToldLogs, no_answer, settled};
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

    async fn weather(&self, command: WeatherCommand, deadline: Instant) -> Reported {
        let id = command.id;
        let body = Bytes::from(encode_one(&command));
        let mut tries = Tries::new(vec![command]);
        let (mut attempts, mut told) = (0, ToldLogs::default());
        while Self::may_go_on(&mut tries, attempts, deadline) {
            attempts += 1;
            let answer = self.try_post(&self.weather, body.clone(), deadline).await;
            let logs = answer.as_ref().ok().and_then(|answer| answer.logs(id));
            let answer = answer.and_then(RelayAnswer::into_accepted);
            told.take(logs, &answer);
            match answer {
                Ok(accepted) => {
                    let mut accepted = Some(accepted);
                    tries.settle(|_| settled(accepted.take(), id));
                }
                Err(failed) => tries.fail(&failed),
            }
        }
        let outcome = tries.into_outcomes().pop().unwrap_or_else(|| Err(no_answer().of(id)));
        Reported { outcome, logs: told.states() }
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
