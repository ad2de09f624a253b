//! A proxy between gateway and relay, which answers for itself when a script says so.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use blackfriday_intake::problem_of;
use blackfriday_proto::{ErrorCode, Refusal};
use blackfriday_service::bind;
use http::{StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// How a request ends.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// With the relay's answer.
    Forward,
    /// With the proxy's own answer, though the relay has taken the request.
    ForwardAnd(u16, &'static str, &'static str),
    /// With the proxy's own answer: status, media type, body.
    Say(u16, &'static str, &'static str),
    /// With a problem as the relay tells it.
    Problem(ErrorCode),
    /// With a broken connection.
    Break,
    /// With a broken connection, though the relay has taken the request and goes on.
    ForwardAndBreak,
}

/// The proxy, in this process.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    next: VecDeque<Step>,
    taken: usize,
}

#[derive(Clone)]
struct Door {
    relay: SocketAddr,
    script: Arc<Mutex<Script>>,
    client: Client<HttpConnector, Body>,
}

impl Proxy {
    /// Starts one before this relay.
    pub(crate) fn before(relay: SocketAddr) -> Result<Self> {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = listener.local_addr()?;
        let script: Arc<Mutex<Script>> = Arc::default();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let door = Door { relay, script: Arc::clone(&script), client };
        let router = Router::new().fallback(answer).with_state(door);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, script })
    }

    /// Ends the next requests so; the ones after are forwarded.
    pub(crate) fn next(&self, steps: impl IntoIterator<Item = Step>) {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        *script = Script { next: steps.into_iter().collect(), taken: 0 };
    }

    /// Requests since the script was given.
    pub(crate) fn taken(&self) -> usize {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).taken
    }
}

impl Door {
    fn step(&self) -> Step {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.taken += 1;
        script.next.pop_front().unwrap_or(Step::Forward)
    }

    async fn forward(&self, mut request: Request) -> Response {
        let path = request.uri().path_and_query().expect("a path").to_string();
        *request.uri_mut() = format!("http://{}{path}", self.relay).parse::<Uri>().expect("a URI");
        let response = self.client.request(request).await.expect("the relay answers");
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("the whole answer").to_bytes();
        Response::from_parts(head, Body::from(body))
    }
}

async fn answer(State(door): State<Door>, request: Request) -> Response {
    let say = |status: u16, media: &'static str, body: &'static str| {
        let status = StatusCode::from_u16(status).expect("a status");
        (status, [(header::CONTENT_TYPE, media)], body).into_response()
    };
    match door.step() {
        Step::Forward => door.forward(request).await,
        Step::ForwardAnd(status, media, body) => {
            door.forward(request).await;
            say(status, media, body)
        }
        Step::Say(status, media, body) => say(status, media, body),
        Step::Problem(code) => problem_of(Refusal::new(code, "as told")).into_response(),
        Step::Break => panic!("as told"),
        Step::ForwardAndBreak => {
            tokio::spawn(async move { door.forward(request).await });
            panic!("as told")
        }
    }
}
