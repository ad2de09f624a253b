//! Serving HTTP/1.1 under limits.
//!
//! An accept loop of our own over hyper, because the limits sit below the router: connections, the time for a head,
//! requests in flight, the time for an answer. What is refused here was not read, so a retry is always safe.

mod answer;
mod metrics;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};

pub use metrics::HttpMetrics;

use self::answer::Answers;
use crate::{HttpLimits, Shutdown};

/// Pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// How long answers say at a stop that their connection ends, before idle connections are closed. A client that sends
/// into a connection while it is being closed cannot know whether its request was read (RFC 9112, 9.6).
const FAREWELL: Duration = Duration::from_secs(1);
/// What a client over the connection limit gets.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
retry-after: 1\r\nconnection: close\r\ncontent-length: 137\r\n\r\n\
{\"type\":\"urn:blackfriday:problem:unavailable\",\"title\":\"Not available; nothing was written\",\"status\":503,\
\"detail\":\"too many connections\"}\n";

/// Serves `router` until `shutdown`, then drains: stops accepting, ends connections with their next answer, closes those
/// that stay idle, and gives requests in flight the drain timeout.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &HttpLimits,
    metrics: Option<HttpMetrics>,
    shutdown: Shutdown,
) {
    let connections = Arc::new(Semaphore::new(limits.max_connections));
    let answers = Answers::new(router, limits, metrics, shutdown.clone());
    let graceful = GracefulShutdown::new();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header_read_timeout());

    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.begun() => break,
            accepted = listener.accept() => accepted,
        };
        let Some(stream) = take(accepted).await else { continue };
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
            tokio::spawn(refuse(stream));
            continue;
        };
        let answers = answers.clone();
        let service = service_fn(move |request| answers.clone().answer(request));
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    let drained_by = Instant::now() + limits.drain_timeout();
    let farewell = FAREWELL.min(limits.drain_timeout() / 2);
    let all = u32::try_from(limits.max_connections).unwrap_or(u32::MAX);
    // Every permit is free when no connection is left.
    let everybody_left = timeout(farewell, connections.acquire_many(all)).await.is_ok();
    if !everybody_left && timeout_at(drained_by, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            limit_ms = limits.drain_timeout_ms,
            "requests were still in flight at the drain limit"
        );
    }
}

async fn take(accepted: io::Result<(TcpStream, SocketAddr)>) -> Option<TcpStream> {
    match accepted {
        Ok((stream, _)) => {
            // Answers are small and written at once; Nagle's algorithm would only delay them.
            stream.set_nodelay(true).ok()?;
            Some(stream)
        }
        Err(error) => {
            // A connection that was reset while it waited is the client's affair; anything else is ours.
            if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                tracing::warn!(%error, "accept failed");
                sleep(ACCEPT_BACKOFF).await;
            }
            None
        }
    }
}

/// Says why, as far as that goes without waiting, and closes.
async fn refuse(mut stream: TcpStream) {
    let say = async {
        stream.write_all(FULL).await?;
        stream.shutdown().await
    };
    if let Ok(Err(error)) = timeout(Duration::from_millis(200), say).await {
        tracing::debug!(%error, "a client over the connection limit went away");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canned_refusal_tells_its_length() {
        let text = std::str::from_utf8(FULL).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
