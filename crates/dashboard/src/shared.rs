//! One read of the store for all requests at the same time: the primary that counts has one thread, and must not pay for
//! how many look.
//!
//! Invariant: what a request gets was read after it came, and there are at most so many reads a second.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use blackfriday_event::Timestamp;
use blackfriday_store::{Snapshot, Store, WeatherSnapshot};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};

use crate::redis::Redis;
use crate::trouble::{READ_LIMIT, ReadError, Trouble};

/// From the beginning of one read to the next: requests in between share that.
const GAP: Duration = Duration::from_millis(50);
/// The most products that can be asked for.
const MOST: usize = 1000;

/// What was read, and when.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) snapshot: Snapshot,
    /// The weather of the second store, if there is one.
    pub(crate) redis: Option<Result<WeatherSnapshot, Trouble>>,
    pub(crate) at: Timestamp,
}

type Outcome = Result<Arc<Read>, Arc<ReadError>>;

/// The store, as all requests read it.
pub(crate) struct Shared {
    store: Store,
    redis: Option<Redis>,
    usual: Kind,
    large: Kind,
}

/// Snapshots with so many products in each ranking.
struct Kind {
    top: usize,
    last: Mutex<Option<(Instant, Outcome)>>,
}

impl Shared {
    /// `top` products of each ranking are enough for most.
    pub(crate) fn new(store: Store, redis: Option<Redis>, top: usize) -> Self {
        let kind = |top| Kind { top, last: Mutex::default() };
        Self { store, redis, usual: kind(top), large: kind(MOST) }
    }

    /// A snapshot with at least `top` products in each ranking, if there are so many, and the prices of all categories.
    pub(crate) async fn read(&self, top: Option<usize>) -> Outcome {
        let asked = Instant::now();
        let kind = if top.is_some_and(|top| top > self.usual.top) { &self.large } else { &self.usual };
        // In the order in which they asked.
        let mut last = kind.last.lock().await;
        if let Some((began, outcome)) = &*last {
            if *began >= asked {
                return outcome.clone();
            }
            sleep_until(*began + GAP).await;
        }
        let began = Instant::now();
        let outcome = self.snapshot(kind.top).await.map(Arc::new).map_err(Arc::new);
        *last = Some((began, outcome.clone()));
        outcome
    }

    async fn snapshot(&self, top: usize) -> Result<Read, ReadError> {
        let redis = async { Some(self.redis.as_ref()?.weather().await) };
        let (read, redis) = tokio::join!(timeout(READ_LIMIT, self.store.snapshot(top)), redis);
        let snapshot = read.map_err(|_elapsed| ReadError::Late(READ_LIMIT))?.map_err(ReadError::Store)?;
        Ok(Read { snapshot, redis, at: Timestamp::from(SystemTime::now()) })
    }
}
