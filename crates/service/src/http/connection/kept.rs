use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// An answer's body, whose bytes keep `until_written` until the kernel has them.
pub(in crate::http) struct Kept<T> {
    body: Body,
    until_written: Arc<T>,
}

struct Owned<T> {
    bytes: Bytes,
    _until_written: Arc<T>,
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
