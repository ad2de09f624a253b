use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::plan::Plan;

/// A gateway that asks for a longer pause is asked again after this one.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5);

/// One keep-alive connection to the gateway, made again when it broke.
pub(crate) struct Connection {
    /// All addresses of the gateway's name.
    addresses: Arc<[SocketAddr]>,
    /// Which of them is tried first.
    at: usize,
    host: HeaderValue,
    path: &'static str,
    timeout: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// What happened to a request.
pub(crate) enum Exchange {
    /// It was answered.
    Answered {
        status: u16,
        /// The body is said to be a problem. Its type then tells whose.
        is_problem: bool,
        body: Bytes,
        /// How long the gateway asks to wait before the next try.
        retry_after: Option<Duration>,
    },
    /// There was no connection, for this reason: it was not sent.
    NotSent(String),
    /// It may have been sent, and was not answered, for this reason.
    NoAnswer(String),
}

impl Exchange {
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            Self::NotSent(_) | Self::NoAnswer(_) => None,
        }
    }
}

impl Connection {
    /// `number`: which of the load's connections it is, so that they are spread over the addresses.
    pub(crate) fn new(plan: &Plan, number: usize) -> Result<Self> {
        let host = HeaderValue::from_str(&plan.host).context("the gateway's host")?;
        let (addresses, at) = (Arc::clone(&plan.addresses), number % plan.addresses.len());
        Ok(Self { addresses, at, host, path: plan.route.path(), timeout: plan.timeout, sender: None })
    }

    /// One request. All of it, connecting, sending and the whole answer, has the one limit.
    pub(crate) async fn post(&mut self, body: Bytes, key: Option<&str>) -> Exchange {
        let until = Instant::now() + self.timeout;
        loop {
            let is_used = self.sender.is_some();
            let sender = match timeout_at(until, self.sender()).await {
                Ok(Ok(sender)) => sender,
                Ok(Err(error)) => return Exchange::NotSent(format!("{error:#}")),
                Err(_) => return Exchange::NotSent(format!("no connection after {:?}", self.timeout)),
            };
            match timeout_at(until, self.exchange(sender, self.request(body.clone(), key))).await {
                Ok(Ok(answered)) => return answered,
                // Hyper has not written a byte: the gateway closed a connection that was at rest. Try a new one.
                Ok(Err(error)) if error.is_canceled() && is_used => {}
                Ok(Err(error)) if error.is_canceled() => return Exchange::NotSent(error.to_string()),
                Ok(Err(error)) => return Exchange::NoAnswer(error.to_string()),
                Err(_) => return Exchange::NoAnswer(format!("not whole after {:?}", self.timeout)),
            }
        }
    }

    fn request(&self, body: Bytes, key: Option<&str>) -> Request<Full<Bytes>> {
        let mut request = Request::post(self.path).header(header::HOST, self.host.clone());
        request = request.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        request.body(Full::new(body)).expect("a fixed path and plain headers make a request")
    }

    async fn exchange(
        &mut self,
        mut sender: SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
    ) -> Result<Exchange, hyper::Error> {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        self.sender = Some(sender);
        let (is_problem, retry_after) = (is_problem(&head.headers), retry_after(&head.headers));
        Ok(Exchange::Answered { status: head.status.as_u16(), is_problem, body, retry_after })
    }

    async fn sender(&mut self) -> Result<SendRequest<Full<Bytes>>> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let stream = self.connect().await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
        Ok(sender)
    }

    /// To the first address that takes it. One that does not answer at all has its share of the time only.
    async fn connect(&mut self) -> io::Result<TcpStream> {
        let share = self.timeout / u32::try_from(self.addresses.len()).unwrap_or(u32::MAX);
        let mut reason = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for _ in 0..self.addresses.len() {
            let connected = timeout(share, TcpStream::connect(self.addresses[self.at])).await;
            match connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut)).flatten() {
                Ok(stream) => return Ok(stream),
                Err(error) => reason = error,
            }
            self.at = (self.at + 1) % self.addresses.len();
        }
        Err(reason)
    }
}

fn is_problem(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    let name = media.split(';').next().unwrap_or_default();
    name.trim().eq_ignore_ascii_case("application/problem+json")
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}
