//! Reading a body under limits: bytes, time, and the memory that all bodies and answers may take together.
//!
//! Invariant: memory is taken from the budget as bytes arrive, never because a client announced them, and nothing is
//! read that is refused: what a client still sends then is thrown away by the connection.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use blackfriday_telemetry::metrics::Registry;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::problem::{Kind, Problem};

/// What a request may hold without a part of the budget. The requests in flight bound the sum, so that many large bodies
/// do not keep small ones out.
const FREE_BYTES: usize = 16 << 10;
/// The least by which memory for a body grows.
const STEP_BYTES: usize = 64 << 10;

/// A body could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It has more bytes than allowed.
    #[error("the body has more than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// It did not arrive in time.
    #[error("the body did not arrive in time")]
    Late,
    /// There is no memory for it now.
    #[error(transparent)]
    Full(#[from] BudgetFull),
    /// The client went away.
    #[error("the body broke off")]
    Broken(#[source] axum::Error),
}

/// The budget has not enough left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes of bodies and answers are held")]
pub struct BudgetFull;

/// The memory of all large bodies and answers together. Clones share it.
#[derive(Debug, Clone)]
pub struct BodyBudget {
    kib: Arc<Semaphore>,
    total_kib: u32,
}

/// One request's part of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    budget: BodyBudget,
    bytes: usize,
    held: Option<OwnedSemaphorePermit>,
}

/// How much a body may be, and how slow.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes.
    pub max_bytes: usize,
    /// Between two parts of it.
    pub stall: Duration,
    /// For the whole.
    pub deadline: Instant,
}

impl BodyBudget {
    /// A budget of so many KiB.
    pub fn new(kib: u32) -> Self {
        let permits = usize::try_from(kib).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { kib: Arc::new(Semaphore::new(permits)), total_kib: kib }
    }

    /// Tells the budget, by its flag, and how much of it is taken.
    #[must_use]
    pub fn of_flag(self, flag: &'static str, registry: &Registry) -> Self {
        let (kib, most) = (Arc::clone(&self.kib), usize::try_from(self.total_kib).unwrap_or(usize::MAX));
        registry.limit(flag, most, move || most.saturating_sub(kib.available_permits()));
        self
    }

    /// An empty part of it.
    pub fn room(&self) -> Room {
        Room { budget: self.clone(), bytes: 0, held: None }
    }

    /// The part for so many bytes of one request. One may fill the budget, and never waits for more than that.
    fn kib_for(&self, bytes: usize) -> u32 {
        let kib = bytes.saturating_sub(FREE_BYTES).div_ceil(1024);
        u32::try_from(kib).unwrap_or(u32::MAX).min(self.total_kib)
    }
}

impl Room {
    /// Makes room for so many bytes more. The first 16 KiB are free.
    ///
    /// # Errors
    /// The budget has not enough left; what was taken before stays.
    pub fn take(&mut self, bytes: usize) -> Result<(), BudgetFull> {
        let wanted = self.bytes.saturating_add(bytes);
        let kib = self.budget.kib_for(wanted);
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = kib.saturating_sub(u32::try_from(held).unwrap_or(u32::MAX));
        if more > 0 {
            let kib = Arc::clone(&self.budget.kib);
            let taken = kib.try_acquire_many_owned(more).map_err(|_| BudgetFull)?;
            match &mut self.held {
                Some(held) => held.merge(taken),
                None => self.held = Some(taken),
            }
        }
        self.bytes = wanted;
        Ok(())
    }

    /// Gives back what is beyond so many bytes.
    pub fn shrink(&mut self, bytes: usize) {
        self.bytes = self.bytes.min(bytes);
        let kept = usize::try_from(self.budget.kib_for(self.bytes)).unwrap_or(usize::MAX);
        if let Some(held) = &mut self.held {
            drop(held.split(held.num_permits().saturating_sub(kept)));
        }
    }
}

/// Reads a whole body. One that is announced as too large is refused before its first byte is read, so that a client
/// that waits for `100 Continue` need not send it.
///
/// # Errors
/// Too large, late, broken off, or there is no room for it.
pub async fn read_body(
    headers: &HeaderMap,
    body: Body,
    limits: BodyLimits,
    room: &mut Room,
) -> Result<Bytes, BodyError> {
    timeout_at(limits.deadline, read(headers, body, limits, room)).await.unwrap_or(Err(BodyError::Late))
}

async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limits: BodyLimits,
    room: &mut Room,
) -> Result<Bytes, BodyError> {
    let limit = limits.max_bytes;
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge { limit });
    }
    let Some(first) = data(&mut body, limits.stall).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return Err(BodyError::TooLarge { limit });
    }
    room.take(first.len())?;
    // Most bodies arrive whole.
    if announced == Some(first.len()) {
        return Ok(first);
    }
    let most = announced.unwrap_or(limit);
    let mut whole = BytesMut::from(first);
    let mut room_bytes = whole.len();
    while let Some(more) = data(&mut body, limits.stall).await? {
        let length = whole.len() + more.len();
        if length > limit {
            return Err(BodyError::TooLarge { limit });
        }
        if length > room_bytes {
            let grown = if length <= FREE_BYTES {
                (2 * length).min(FREE_BYTES)
            } else {
                room_bytes + room_bytes.max(STEP_BYTES)
            };
            let grown = grown.min(most).max(length);
            room.take(grown - room_bytes)?;
            whole.reserve(grown - whole.len());
            room_bytes = grown;
        }
        whole.extend_from_slice(&more);
    }
    Ok(whole.freeze())
}

async fn data(body: &mut Body, stall: Duration) -> Result<Option<Bytes>, BodyError> {
    loop {
        // Most bodies come with their heads, and need no timer.
        let frame = match body.frame().now_or_never() {
            Some(frame) => frame,
            None => timeout(stall, body.frame()).await.map_err(|_elapsed| BodyError::Late)?,
        };
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(BodyError::Broken(error)),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let kind = match &self {
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Late => Kind::Late,
            Self::Full(_) => Kind::Overloaded,
            Self::Broken(_) => Kind::BrokenOff,
        };
        Problem::new(kind, self.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_beyond_the_free_part_and_given_back() {
        let budget = BodyBudget::new(64);
        let mut small = budget.room();
        small.take(FREE_BYTES).expect("free");
        assert_eq!(budget.kib.available_permits(), 64);
        let mut large = budget.room();
        large.take(FREE_BYTES + 1).expect("a KiB");
        large.take(63 << 10).expect("the rest");
        assert_eq!((budget.kib.available_permits(), small.take(1)), (0, Err(BudgetFull)));
        large.shrink(FREE_BYTES + 1024);
        assert_eq!(budget.kib.available_permits(), 63);
        large.take(63 << 10).expect("as much as before");
        assert_eq!(budget.kib.available_permits(), 0);
        drop(large);
        small.take(usize::MAX).expect("one alone may fill it");
    }
}
