//! What a connection is doing, and whether that takes too long: waiting for a request, receiving a head, not taking its
//! answer, or sending what is not read any more.
//!
//! hyper knows one time-out, for a head, and counts it from the moment the connection is idle. Here a connection notes what
//! it does, and its own task looks a few times per time-out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::HttpLimits;

/// Bytes of its answer that a client takes within the write time-out at the least, if there are so many.
const LEAST_TAKEN_BYTES: usize = 16 << 10;
/// A body that usually comes with its head.
const SMALL_BODY_BYTES: u64 = 16 << 10;
/// Bytes that are thrown away after a refusal, so that the client sees its answer instead of a reset.
const MAX_DISCARDED_BYTES: usize = 32 << 20;

/// A time-out has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nothing is under way.
    Idle,
    /// A head has begun and did not end.
    Head,
    /// The client does not take its answer.
    Answer,
    /// The client goes on sending after it was refused.
    Farewell,
}

/// What a connection does. Its parts share it.
#[derive(Debug)]
pub(super) struct Activity {
    epoch: Instant,
    /// Requests whose answers are not yet written.
    answering: AtomicU32,
    head_begun: AtomicBool,
    /// Milliseconds since the epoch at which the head began, or the last answer was written.
    since_ms: AtomicU64,
    /// The same plus one for a write that waits for the client; 0 if there is none.
    blocked_ms: AtomicU64,
    /// The same for a farewell.
    farewell_ms: AtomicU64,
    /// The last request was answered before its body was read; and so much of it may still come that the connection ends.
    unread: AtomicBool,
    ending: AtomicBool,
    given_up: AtomicBool,
}

/// A request from its head until its answer is written.
#[derive(Debug)]
pub(super) struct Answering(Arc<Activity>);

/// A connection's bytes.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
    taken_bytes: usize,
    discarded_bytes: usize,
}

/// A request's body, which notes that it was not read to its end.
#[derive(Debug)]
pub(super) struct Received {
    incoming: Incoming,
    /// hyper throws away what has already come of it, and the connection can stay.
    is_small: bool,
    ended: bool,
    activity: Arc<Activity>,
}

/// An answer's body, whose bytes keep `until_written` until the kernel has them.
pub(super) struct Kept<T> {
    body: Body,
    until_written: Arc<T>,
}

struct Owned<T> {
    bytes: Bytes,
    _until_written: Arc<T>,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            epoch: Instant::now(),
            answering: AtomicU32::new(0),
            head_begun: AtomicBool::new(false),
            since_ms: AtomicU64::new(0),
            blocked_ms: AtomicU64::new(0),
            farewell_ms: AtomicU64::new(0),
            unread: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
        })
    }

    /// A request's head has arrived.
    pub(super) fn answering(self: &Arc<Self>) -> Answering {
        self.answering.fetch_add(1, Ordering::Relaxed);
        self.head_begun.store(false, Ordering::Relaxed);
        self.unread.store(false, Ordering::Relaxed);
        Answering(Arc::clone(self))
    }

    /// Whether a request's body was left unread, so that the connection ends with its answer.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// The connection is dropped without a farewell: what the kernel still has for the client goes, too.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Which time-out has passed; `crowded` if others want its place.
    pub(super) fn overdue(&self, limits: &HttpLimits, crowded: bool) -> Option<Overdue> {
        let now_ms = self.now_ms();
        let past =
            |since_ms: u64, limit: Duration| u128::from(now_ms.saturating_sub(since_ms)) >= limit.as_millis();
        let marked = |mark: &AtomicU64, limit| {
            let mark = mark.load(Ordering::Relaxed);
            mark > 0 && past(mark - 1, limit)
        };
        if marked(&self.farewell_ms, limits.request_timeout()) {
            return Some(Overdue::Farewell);
        }
        if marked(&self.blocked_ms, limits.write_timeout()) {
            return Some(Overdue::Answer);
        }
        if self.answering.load(Ordering::Relaxed) > 0 || self.farewell_ms.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let since_ms = self.since_ms.load(Ordering::Relaxed);
        let head = limits.header_read_timeout();
        if self.head_begun.load(Ordering::Relaxed) {
            return past(since_ms, head).then_some(Overdue::Head);
        }
        let idle = if crowded { head.min(limits.idle_timeout()) } else { limits.idle_timeout() };
        past(since_ms, idle).then_some(Overdue::Idle)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn received(&self) {
        if self.answering.load(Ordering::Relaxed) == 0 && !self.head_begun.swap(true, Ordering::Relaxed) {
            self.since_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.since_ms.store(self.0.now_ms(), Ordering::Relaxed);
        self.0.answering.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watched {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream, activity, taken_bytes: 0, discarded_bytes: 0 }
    }

    /// Notes whether the client takes what it is sent: all of `wanted`, some of it, or nothing now.
    fn note_write(&mut self, wanted: usize, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => {
                let mark = self.activity.now_ms() + 1;
                // Only this task writes; another may look.
                let unset = self.activity.blocked_ms.load(Ordering::Relaxed) == 0;
                if unset {
                    self.activity.blocked_ms.store(mark, Ordering::Relaxed);
                }
            }
            Poll::Ready(Ok(taken)) => {
                self.taken_bytes += taken;
                if *taken >= wanted || self.taken_bytes >= LEAST_TAKEN_BYTES {
                    self.taken_bytes = 0;
                    self.activity.blocked_ms.store(0, Ordering::Relaxed);
                }
            }
            Poll::Ready(Err(_)) => {}
        }
    }

    /// Reads and throws away what the client still sends, until it has seen our end and ends, too (RFC 9112, 9.6).
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut buffer = [0; 8192];
        while self.discarded_bytes < MAX_DISCARDED_BYTES {
            let mut read = ReadBuf::new(&mut buffer);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read)) {
                Ok(()) if !read.filled().is_empty() => self.discarded_bytes += read.filled().len(),
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.received();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note_write(buf.len(), &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note_write(bufs.iter().map(|buf| buf.len()).sum(), &written);
        written
    }

    /// hyper then keeps an answer's bytes as they are, instead of copying them.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.farewell_ms.load(Ordering::Relaxed) == 0 {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            if !self.activity.unread.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
            self.activity.farewell_ms.store(self.activity.now_ms() + 1, Ordering::Relaxed);
        }
        self.poll_discard(cx).map(Ok)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.activity.given_up.load(Ordering::Relaxed) {
            // The connection may already be gone.
            SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).ok();
        }
    }
}

impl Received {
    /// `is_expected`: the client waits until it is asked for.
    pub(super) fn new(incoming: Incoming, is_expected: bool, activity: Arc<Activity>) -> Self {
        let is_small = incoming.size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BODY_BYTES);
        Self { incoming, is_small: is_small && !is_expected, ended: false, activity }
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        self.ended |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if !self.ended && !self.incoming.is_end_stream() {
            self.activity.unread.store(true, Ordering::Relaxed);
            self.activity.ending.fetch_or(!self.is_small, Ordering::Relaxed);
        }
    }
}

impl<T: Send + Sync + 'static> Kept<T> {
    pub(super) fn new(body: Body, until_written: T) -> Self {
        Self { body, until_written: Arc::new(until_written) }
    }
}

impl<T: Send + Sync + 'static> HttpBody for Kept<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let keep =
            |bytes| Bytes::from_owner(Owned { bytes, _until_written: Arc::clone(&self.until_written) });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(keep))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<T> AsRef<[u8]> for Owned<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
