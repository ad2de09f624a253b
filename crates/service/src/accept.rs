//! Accepting connections, at most so many at a time, for HTTP and gRPC alike.
//!
//! Invariant: an accept that fails never ends the service, and a connection's peer that takes nothing is given up by the
//! kernel, too, after the same time as by the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Accepts the connections of a listener.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    places: Arc<Semaphore>,
    write_limit: Duration,
}

/// A connection.
#[derive(Debug)]
pub struct Accepted {
    /// Its bytes.
    pub stream: TcpStream,
    /// The other side.
    pub peer: SocketAddr,
    /// Its place until it is dropped; nothing if all places were taken.
    pub place: Option<OwnedSemaphorePermit>,
}

impl Acceptor {
    /// Connections take their places from `places`; after `write_limit` the kernel gives up a peer that takes nothing.
    pub fn new(listener: TcpListener, places: Arc<Semaphore>, write_limit: Duration) -> Self {
        Self { listener, places, write_limit }
    }

    /// The next connection. May be dropped while it waits.
    pub async fn next(&self) -> Accepted {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    self.prepare(&stream);
                    let place = Arc::clone(&self.places).try_acquire_owned().ok();
                    return Accepted { stream, peer, place };
                }
                // A connection that was reset while it waited is the client's affair; anything else is ours.
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    fn prepare(&self, stream: &TcpStream) {
        // Answers are small and written at once; Nagle's algorithm would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "Nagle's algorithm stays on");
        }
        // What the kernel has for a peer that is gone, or keeps its window closed (Linux 5.11), has an end, too.
        if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(self.write_limit)) {
            tracing::debug!(%error, "the kernel goes on sending for its own time");
        }
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
