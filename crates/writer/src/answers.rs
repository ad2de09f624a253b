//! Answers from when they are made until their peer has taken them.
//!
//! A peer decides by HTTP/2's windows when it takes an answer, and may let none through while it answers every ping.
//!
//! Invariant: what a call holds is given back when the last byte of its answer is written or dropped, not when the answer is
//! made; and a connection whose peer leaves an answer for too long is closed.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use blackfriday_service::Room;
use http_body_util::{BodyExt, Full};
use prost::bytes::Bytes;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

type Response = http::Response<Body>;

/// How long a peer may leave an answer, and how much longer for each 64 KiB of it.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);
const LONGER: Duration = Duration::from_secs(1);
const LONGER_PER_BYTES: usize = 64 << 10;

/// The answers of one connection that its peer has not taken.
#[derive(Debug, Default)]
pub(crate) struct Untaken(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    begun: u64,
    /// When each must be taken, the first one first.
    due: BTreeSet<(Instant, u64)>,
    bytes: usize,
}

/// One of them, until it is dropped.
#[derive(Debug)]
struct Taking {
    untaken: Arc<Untaken>,
    due: (Instant, u64),
    bytes: usize,
}

/// A call's part of the budget of bytes. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct CallRoom(Arc<Mutex<Room>>);

/// An answer's bytes, with what they keep.
struct Kept<T> {
    bytes: Box<[u8]>,
    _taking: Taking,
    _held: T,
}

impl Untaken {
    /// The bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        self.waiting().bytes
    }

    /// Whether the peer has left one for too long.
    pub(crate) fn is_overdue(&self) -> bool {
        self.waiting().due.first().is_some_and(|(due, _)| *due <= Instant::now())
    }

    fn begin(self: &Arc<Self>, bytes: usize, limit: Duration) -> Taking {
        let mut waiting = self.waiting();
        let due = (Instant::now() + limit, waiting.begun);
        waiting.begun += 1;
        waiting.bytes += bytes;
        waiting.due.insert(due);
        Taking { untaken: Arc::clone(self), due, bytes }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let mut waiting = self.untaken.waiting();
        waiting.due.remove(&self.due);
        waiting.bytes -= self.bytes;
    }
}

impl CallRoom {
    pub(crate) fn new(room: Room) -> Self {
        Self(Arc::new(Mutex::new(room)))
    }

    /// Makes room for so many bytes more.
    ///
    /// # Errors
    /// The budget has not enough left.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), Status> {
        let mut room = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        room.take(bytes).map_err(|_full| full())
    }

    fn shrink(&self, bytes: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).shrink(bytes);
    }
}

impl<T> AsRef<[u8]> for Kept<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The budget has not enough left for a message, or for its answer.
pub(crate) fn full() -> Status {
    Status::resource_exhausted("too many bytes of large messages and answers are held; nothing was written")
}

/// The same answer, encoded, which keeps `room` for its own bytes and `held` until the connection has written or dropped it.
pub(crate) async fn kept<T: Send + 'static>(
    answer: Response,
    untaken: &Arc<Untaken>,
    room: &CallRoom,
    held: T,
) -> Response {
    let (parts, body) = answer.into_parts();
    let whole = match body.collect().await {
        Ok(whole) => whole,
        Err(status) => return status.into_http(),
    };
    let trailers = whole.trailers().cloned().map(Ok::<_, Infallible>);
    // A copy of its own: the codec's buffer is larger than what is in it.
    let bytes: Box<[u8]> = whole.to_bytes().as_ref().into();
    if bytes.is_empty() && trailers.is_none() {
        return Response::from_parts(parts, Body::empty());
    }
    room.shrink(bytes.len());
    let taking = untaken.begin(bytes.len(), limit_of(bytes.len()));
    let data = Bytes::from_owner(Kept { bytes, _taking: taking, _held: (room.clone(), held) });
    Response::from_parts(parts, Body::new(Full::new(data).with_trailers(ready(trailers))))
}

fn limit_of(bytes: usize) -> Duration {
    let more = u32::try_from(bytes / LONGER_PER_BYTES).unwrap_or(u32::MAX);
    TAKEN_WITHIN + LONGER.saturating_mul(more)
}

#[cfg(test)]
mod tests {
    use blackfriday_service::BodyBudget;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn an_answer_keeps_what_its_call_holds_until_its_bytes_are_dropped() {
        let (places, untaken) = (Arc::new(Semaphore::new(1)), Arc::new(Untaken::default()));
        let place = Arc::clone(&places).try_acquire_owned().expect("a place");
        let room = CallRoom::new(BodyBudget::new(1).room());
        let answer = Response::new(Body::new(Full::new(Bytes::from_static(b"an answer"))));
        let mut body = kept(answer, &untaken, &room, place).await.into_body();
        let state = || (places.available_permits(), untaken.bytes(), untaken.is_overdue());
        let data = body.frame().await.expect("a frame").expect("no error").into_data().expect("data");
        drop(body);
        assert_eq!((&data[..], state()), (&b"an answer"[..], (0, 9, false)));
        drop(data);
        assert_eq!(state(), (1, 0, false));
    }

    #[test]
    fn the_answer_that_is_due_first_decides() {
        let untaken = Arc::new(Untaken::default());
        let _later = untaken.begin(1, Duration::from_secs(60));
        assert!(!untaken.is_overdue());
        let now = untaken.begin(2, Duration::ZERO);
        assert_eq!((untaken.is_overdue(), untaken.bytes()), (true, 3));
        drop(now);
        assert_eq!((untaken.is_overdue(), untaken.bytes()), (false, 1));
    }
}
