//! The second store of weather reports, which counts what the other log has: shown next to Valkey's, and never in its way.
//!
//! Invariant: a Redis that is away or slow costs a reader at the most [`LIMIT`], and nothing but its own numbers.

use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use blackfriday_store::{Store, WeatherSnapshot};
use tokio::time::timeout;

use crate::trouble::{ReadError, Trouble};

/// How long a reader of everything waits for this part.
const LIMIT: Duration = Duration::from_millis(500);

/// The second store.
pub(crate) struct Redis {
    store: Store,
    /// Of the last read, so that a change is logged once.
    last: Mutex<Option<Trouble>>,
}

impl Redis {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, last: Mutex::default() }
    }

    /// The weather reports that it counted.
    pub(crate) async fn weather(&self) -> Result<WeatherSnapshot, Trouble> {
        let read = timeout(LIMIT, self.store.weather()).await;
        let read = read.map_or(Err(ReadError::Late(LIMIT)), |read| read.map_err(ReadError::Store));
        let now = read.as_ref().err().map(ReadError::trouble);
        let before = mem::replace(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner), now);
        match &read {
            Err(error) if before != now => error.log("Redis"),
            Ok(_) if before.is_some() => tracing::info!("Redis can be read again"),
            _ => {}
        }
        read.map_err(|error| error.trouble())
    }
}
