//! A request's body, and what becomes of the part that nobody reads.
//!
//! A refusal needs no body. Invariant: after it the connection goes on only if the whole body has come and was thrown
//! away; otherwise the answer says `connection: close`. So no byte of a body is ever taken for a request, and no client
//! sends its next request into a connection that is about to end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::connection::Activity;

/// A body that usually comes with its head.
const SMALL_BYTES: u64 = 16 << 10;
/// How long a refusal waits for such a body, when its head and body are two packets.
const PATIENCE: Duration = Duration::from_millis(50);

/// A request's body.
#[derive(Debug)]
pub(super) struct Received {
    incoming: Option<Incoming>,
    /// Where a small body goes if it is dropped before its end.
    left: Option<oneshot::Sender<Incoming>>,
    activity: Arc<Activity>,
}

/// The rest of a request's body, once it is dropped.
#[derive(Debug)]
pub(super) struct Rest {
    left: oneshot::Receiver<Incoming>,
    activity: Arc<Activity>,
}

impl Received {
    /// `is_expected`: the client sends the body only when it is asked to, so the rest is never asked for.
    pub(super) fn new(incoming: Incoming, is_expected: bool, activity: Arc<Activity>) -> (Self, Rest) {
        let is_small = incoming.size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BYTES);
        let (sender, receiver) = oneshot::channel();
        let rest = Rest { left: receiver, activity: Arc::clone(&activity) };
        let left = (is_small && !is_expected).then_some(sender);
        (Self { incoming: Some(incoming), left, activity }, rest)
    }
}

impl Rest {
    /// Throws away what has come of the body, and says whether the connection can go on: a small body is there whole.
    pub(super) async fn discard(mut self) {
        let Ok(incoming) = self.left.try_recv() else { return };
        let drained = timeout(PATIENCE, drain(incoming)).await;
        if drained != Ok(true) {
            self.activity.leave_unread();
        }
    }
}

/// Whether it came to its end.
async fn drain(mut incoming: Incoming) -> bool {
    while let Some(frame) = incoming.frame().await {
        if frame.is_err() {
            return false;
        }
    }
    true
}

impl Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(incoming).poll_frame(cx));
        if frame.is_none() {
            self.incoming = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take().filter(|incoming| !incoming.is_end_stream()) else {
            return;
        };
        // Without a receiver the answer was made before.
        let kept = self.left.take().is_some_and(|left| left.send(incoming).is_ok());
        if !kept {
            self.activity.leave_unread();
        }
    }
}
