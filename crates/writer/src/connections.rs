//! Accepts connections under a limit, and closes those that have gone silent or do not take what they are sent.
//!
//! A peer that speaks HTTP/2 answers a ping, so that silence for longer than a ping and its answer take means that it is
//! gone, or never spoke HTTP/2.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use blackfriday_service::{Accepted, Acceptor};
use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::metrics::types::gauge::Gauge;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval, sleep};
use tonic::transport::server::Connected;

use crate::answers::Untaken;

/// Between two pings to a client, and how long its answer may take.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(20);
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a byte for this long a connection is closed.
const SILENCE_LIMIT: Duration = Duration::from_secs(35);
/// How long a peer may take for 16 KiB of what it is sent, or for the rest of it.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
const LEAST_TAKEN_BYTES: usize = 16 << 10;
/// How often a connection looks whether its peer has left an answer for too long.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// An accepted connection; it takes one of the allowed places until it is dropped.
pub(crate) struct Connection {
    stream: TcpStream,
    silence: Pin<Box<Sleep>>,
    silence_limit: Duration,
    /// Runs while the peer takes nothing.
    blocked: Option<Pin<Box<Sleep>>>,
    taken_bytes: usize,
    write_limit: Duration,
    untaken: Arc<Untaken>,
    look: Interval,
    _place: Place,
}

struct Place {
    open: Gauge,
    _permit: OwnedSemaphorePermit,
}

/// The connections of a listener, at most `limit` at a time; one more is closed at once.
pub(crate) fn accept(
    listener: TcpListener,
    limit: usize,
    registry: &Registry,
) -> impl Stream<Item = io::Result<Connection>> {
    let most = limit.min(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(most));
    let free = Arc::clone(&places);
    registry.limit("max-connections", most, move || most - free.available_permits());
    let open = registry.gauge("blackfriday_writer_connections", "Open connections");
    unfold(Acceptor::new(listener, places, WRITE_LIMIT), move |acceptor| {
        let open = open.clone();
        async move {
            loop {
                let Accepted { stream, place, .. } = acceptor.next().await;
                if let Some(permit) = place {
                    let place = Place::new(&open, permit);
                    let connection = Connection::new(stream, place, SILENCE_LIMIT, WRITE_LIMIT);
                    return Some((Ok(connection), acceptor));
                }
                tracing::debug!("a client over the connection limit is sent away");
            }
        }
    })
}

impl Place {
    fn new(open: &Gauge, permit: OwnedSemaphorePermit) -> Self {
        open.inc();
        Self { open: open.clone(), _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl Connection {
    fn new(stream: TcpStream, place: Place, silence_limit: Duration, write_limit: Duration) -> Self {
        let mut look = interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            stream,
            silence: Box::pin(sleep(silence_limit)),
            silence_limit,
            blocked: None,
            taken_bytes: 0,
            write_limit,
            untaken: Arc::default(),
            look,
            _place: place,
        }
    }

    /// The result of a write of `wanted` bytes, or an error if the peer has not taken enough for too long.
    fn within_limit(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => {
                let limit = self.write_limit;
                let blocked = self.blocked.get_or_insert_with(|| Box::pin(sleep(limit)));
                ready!(blocked.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Ready(Ok(taken)) => {
                self.taken_bytes += taken;
                if taken >= wanted || self.taken_bytes >= LEAST_TAKEN_BYTES {
                    (self.blocked, self.taken_bytes) = (None, 0);
                }
                Poll::Ready(Ok(taken))
            }
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The connection's task always reads, and closes it on an error: all of its streams end.
        while self.look.poll_tick(cx).is_ready() {}
        if self.untaken.is_overdue() {
            tracing::debug!("a client that does not take its answers is sent away");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            let limit = Instant::now() + self.silence_limit;
            self.silence.as_mut().reset(limit);
            return Poll::Ready(read);
        }
        ready!(self.silence.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.within_limit(cx, buf.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.within_limit(cx, bufs.iter().map(|buf| buf.len()).sum(), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = Arc<Untaken>;

    /// What a call needs of its connection: where its answer is noted.
    fn connect_info(&self) -> Arc<Untaken> {
        Arc::clone(&self.untaken)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn only_a_silent_connection_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connects");
        let (stream, _) = listener.accept().await.expect("a client");
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a place");
        let open = Gauge::default();
        let limit = Duration::from_millis(300);
        let mut connection = Connection::new(stream, Place::new(&open, permit), limit, limit);
        let began = Instant::now();
        let mut buffer = [0; 1];
        while began.elapsed() < 2 * limit {
            client.write_all(b"x").await.expect("open");
            connection.read_exact(&mut buffer).await.expect("not silent");
        }
        let error = connection.read_exact(&mut buffer).await.expect_err("silent");
        assert_eq!((error.kind(), open.get()), (io::ErrorKind::TimedOut, 1));
        drop(connection);
        assert_eq!(open.get(), 0);
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connects");
        let (stream, _) = listener.accept().await.expect("a client");
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a place");
        let open = Gauge::default();
        let limit = Duration::from_millis(300);
        let mut connection = Connection::new(stream, Place::new(&open, permit), 10 * limit, limit);
        let much = vec![b'x'; 16 << 20];
        let mut read = vec![0; much.len()];
        let (written, taken) = tokio::join!(connection.write_all(&much), client.read_exact(&mut read));
        written.and(taken.map(|_| ())).expect("who reads gets all of it");
        let error = connection.write_all(&much).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
