//! A connection in the clear or over TLS, and how long its beginning may take.
//!
//! Invariant: a client that has not finished its handshake and said that it speaks HTTP/2 keeps its place for no longer
//! than the limit, however little and however often it sends. The handshake takes place with the first read or write.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use blackfriday_service::tls::{ServerTls, SslStream};
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::either::Either;
use tonic::transport::server::Connected;

use crate::answers::Untaken;
use crate::connections::Connection;

/// For the TLS handshake and the preface together.
const OPENING_LIMIT: Duration = Duration::from_secs(5);
/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;

/// A connection in the clear or over TLS.
pub(crate) struct Secured {
    stream: Either<Connection, SslStream<Connection>>,
    /// Until the preface is there.
    opening: Option<Pin<Box<Sleep>>>,
    missing_bytes: usize,
}

/// The same connections, over TLS if there is any.
pub(crate) fn secured(
    connections: impl Stream<Item = io::Result<Connection>>,
    tls: Option<ServerTls>,
) -> impl Stream<Item = io::Result<Secured>> {
    connections.map(move |connection| {
        let stream = match &tls {
            None => Either::Left(connection?),
            Some(tls) => Either::Right(tls.begin(connection?)?),
        };
        let opening = Some(Box::pin(sleep(OPENING_LIMIT)));
        Ok(Secured { stream, opening, missing_bytes: PREFACE_BYTES })
    })
}

impl Secured {
    /// `outcome`, unless it is still awaited when the time for the opening is over.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let (Poll::Pending, Some(opening)) = (&outcome, &mut self.opening) {
            ready!(opening.as_mut().poll(cx));
            tracing::debug!("a client that does not finish its opening is sent away");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        outcome
    }

    fn received(&mut self, bytes: usize) {
        self.missing_bytes = self.missing_bytes.saturating_sub(bytes);
        if self.missing_bytes == 0 {
            self.opening = None;
        }
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.received(buf.filled().len() - before);
        self.in_time(cx, read)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.in_time(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.in_time(cx, closed)
    }
}

impl Connected for Secured {
    type ConnectInfo = Arc<Untaken>;

    fn connect_info(&self) -> Arc<Untaken> {
        match &self.stream {
            Either::Left(stream) => stream.connect_info(),
            Either::Right(stream) => stream.get_ref().connect_info(),
        }
    }
}
