use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::Activity;

/// A body that usually comes with its head.
const SMALL_BODY_BYTES: u64 = 16 << 10;
/// A request's body, which notes that it was not read to its end.
#[derive(Debug)]
pub(in crate::http) struct Received {
    incoming: Incoming,
    /// hyper throws away what has already come of it, and the connection can stay.
    is_small: bool,
    ended: bool,
    activity: Arc<Activity>,
}

/// An answer's body, whose bytes keep `until_written` until the kernel has them.
pub(in crate::http) struct Kept<T> {
    body: Body,
    until_written: Arc<T>,
}

struct Owned<T> {
    bytes: Bytes,
    _until_written: Arc<T>,
}

impl Received {
    /// `is_expected`: the client waits until it is asked for.
    pub(in crate::http) fn new(incoming: Incoming, is_expected: bool, activity: Arc<Activity>) -> Self {
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
    pub(in crate::http) fn new(body: Body, until_written: T) -> Self {
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
