//! Serving HTTP/1.1 under limits.
//!
//! An accept loop of our own over hyper, because the limits sit below the router: connections, the time for a head,
//! requests in flight, the time for an answer and for taking it. What is refused here was not read, so a retry is always
//! safe.

mod answer;
mod connection;
mod metrics;
mod received;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};

pub use metrics::HttpMetrics;

use self::answer::Answers;
use self::connection::{Activity, Overdue, Watched};
use crate::accept::{Accepted, Acceptor};
use crate::limits::HttpLimits;
use crate::problem::{Kind, PROBLEM_JSON, Problem, RETRY_AFTER_S};
use crate::shutdown::Shutdown;

/// How long answers say at a stop that their connection ends, before idle connections are closed. A client that sends
/// into a connection while it is being closed cannot know whether its request was read (RFC 9112, 9.6).
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a client over the connection limit has to take its answer.
const REFUSAL_LIMIT: Duration = Duration::from_millis(200);
/// Bytes of a request's head, and of what is read at once of its body.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Fields of a request's head.
const MAX_HEADERS: usize = 100;
/// How often a connection looks at each of its time-outs, but the answer's, which is met exactly.
const LOOKS: u32 = 4;

/// What all connections of a server share.
struct Server {
    builder: http1::Builder,
    limits: HttpLimits,
    places: Arc<Semaphore>,
    /// Connections end: at once those that are idle, the others with their answer.
    farewell: Shutdown,
}

/// Serves `router` until `shutdown`, then drains: stops accepting, ends connections with their next answer, closes those
/// that stay idle, and gives requests in flight the drain timeout.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &HttpLimits,
    metrics: Option<HttpMetrics>,
    shutdown: Shutdown,
) {
    let server = Arc::new(Server::new(limits));
    if let Some(metrics) = &metrics {
        metrics.limit("http-max-connections", limits.max_connections, &server.places);
    }
    let answers = Answers::new(router, limits, metrics, shutdown.clone());
    let full = Bytes::from(full());
    let acceptor = Acceptor::new(listener, Arc::clone(&server.places), limits.write_timeout());
    loop {
        let Accepted { stream, peer, place } = tokio::select! {
            biased;
            () = shutdown.begun() => break,
            accepted = acceptor.next() => accepted,
        };
        match place {
            Some(place) => {
                tokio::spawn(Arc::clone(&server).serve(stream, answers.from(peer), place));
            }
            None => {
                tokio::spawn(refuse(stream, full.clone()));
            }
        }
    }
    drop(acceptor);
    server.drain().await;
}

impl Server {
    fn new(limits: &HttpLimits) -> Self {
        let mut builder = http1::Builder::new();
        builder
            // It would be a timer for each request. [`Activity`] has the limits of a connection.
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            // A client may end its side after its request and wait for the answer (RFC 9112, 9.6).
            .half_close(true);
        let places = Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)));
        Self { builder, limits: limits.clone(), places, farewell: Shutdown::new() }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, answers: Arc<Answers>, _place: OwnedSemaphorePermit) {
        let activity = Activity::new();
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
        let noted = &activity;
        let service = service_fn(move |request| Arc::clone(&answers).answer(request, Arc::clone(noted)));
        let mut connection = std::pin::pin!(self.builder.serve_connection(io, service));
        let between_looks = self.between_looks();
        let mut look = std::pin::pin!(sleep(between_looks));
        let mut ending = false;
        loop {
            let overdue = tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
                () = self.farewell.begun(), if !ending => Some(Overdue::Idle),
                () = look.as_mut() => {
                    let overdue = activity.overdue(&self.limits, self.is_crowded());
                    look.as_mut().reset(activity.next_look(between_looks, &self.limits));
                    overdue
                }
            };
            match overdue {
                // A late request is answered when the connection is polled next.
                None | Some(Overdue::Request) => {}
                Some(Overdue::Idle) => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                Some(overdue) => {
                    tracing::debug!(?overdue, "a connection is given up");
                    activity.give_up();
                    return;
                }
            }
        }
    }

    fn between_looks(&self) -> Duration {
        let limits = &self.limits;
        let shortest = limits.write_timeout().min(limits.header_read_timeout()).min(limits.idle_timeout());
        // The end of a request's time is known exactly at the look before it.
        (shortest / LOOKS).min(limits.answer_timeout()).max(Duration::from_millis(1))
    }

    /// Whether three quarters of the places are taken.
    fn is_crowded(&self) -> bool {
        self.places.available_permits() < self.limits.max_connections.div_ceil(4)
    }

    async fn drain(&self) {
        let drained_by = Instant::now() + self.limits.drain_timeout();
        // Every place is free when no connection is left.
        let all = u32::try_from(self.limits.max_connections).unwrap_or(u32::MAX);
        if timeout(FAREWELL.min(self.limits.drain_timeout() / 2), self.places.acquire_many(all)).await.is_ok()
        {
            return;
        }
        self.farewell.begin();
        if timeout_at(drained_by, self.places.acquire_many(all)).await.is_err() {
            tracing::warn!(
                limit_ms = self.limits.drain_timeout_ms,
                "requests were still in flight at the drain limit"
            );
        }
    }
}

/// Says why, as far as that goes without much waiting, and closes when the client has seen it.
async fn refuse(mut stream: TcpStream, full: Bytes) {
    let say = async {
        stream.write_all(&full).await?;
        stream.shutdown().await?;
        let mut unread = [0; 8192];
        while stream.read(&mut unread).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    if let Ok(Err(error)) = timeout(REFUSAL_LIMIT, say).await {
        tracing::debug!(%error, "a client over the connection limit went away");
    }
}

/// What a client over the connection limit gets, as bytes: there is no place for a connection that could say it.
fn full() -> Vec<u8> {
    let problem = Problem::new(Kind::Unavailable, "too many connections");
    let body = problem.to_json();
    let head = format!(
        "HTTP/1.1 {} Service Unavailable\r\ncontent-type: {PROBLEM_JSON}\r\nretry-after: {RETRY_AFTER_S}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        problem.kind().status(),
        body.len()
    );
    [head.into_bytes(), body].concat()
}
