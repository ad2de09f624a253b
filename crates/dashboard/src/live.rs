use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blackfriday_service::Shutdown;
use blackfriday_store::{Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::Config;
use crate::view::Resumen;

/// What a stream is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reading {
    /// Nothing was read yet.
    None,
    /// The counters.
    Counters(Arc<Resumen>),
    /// Valkey is away.
    Away,
}

/// Reads the store: once for each API request, and in a shared loop for all event streams.
#[derive(Debug)]
pub(crate) struct Live {
    store: StoreHandle,
    top: usize,
    interval: Duration,
    streams: Arc<Semaphore>,
    readings: watch::Sender<Reading>,
    /// Whether the loop runs. Changed under the lock only, so that there is never a second loop.
    polling: Mutex<bool>,
    shutdown: Shutdown,
}

/// The store has no form that could be printed.
struct StoreHandle(Store);

impl std::fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

/// One stream's place among all, for as long as it lives.
pub(crate) struct Seat {
    _permit: OwnedSemaphorePermit,
    pub(crate) readings: watch::Receiver<Reading>,
    pub(crate) shutdown: Shutdown,
}

impl Live {
    pub(crate) fn new(store: Store, config: &Config, shutdown: Shutdown) -> Self {
        Self {
            store: StoreHandle(store),
            top: config.top.into(),
            interval: config.poll_interval(),
            streams: Arc::new(Semaphore::new(config.max_streams)),
            readings: watch::Sender::new(Reading::None),
            polling: Mutex::new(false),
            shutdown,
        }
    }

    /// The counters now.
    pub(crate) async fn read(&self, top: Option<usize>) -> Result<Resumen, StoreError> {
        Ok(Resumen::of(&self.store.0.snapshot(top.unwrap_or(self.top)).await?))
    }

    /// A place for one more stream; `None` if all are taken. The first one starts the loop.
    pub(crate) fn join(self: &Arc<Self>) -> Option<Seat> {
        let permit = Arc::clone(&self.streams).try_acquire_owned().ok()?;
        let readings = self.readings.subscribe();
        let mut polling = self.polling.lock().unwrap_or_else(PoisonError::into_inner);
        if !*polling {
            *polling = true;
            self.readings.send_replace(Reading::None);
            tokio::spawn(Arc::clone(self).poll());
        }
        drop(polling);
        Some(Seat { _permit: permit, readings, shutdown: self.shutdown.clone() })
    }

    /// Reads again and again until nobody listens.
    async fn poll(self: Arc<Self>) {
        while self.goes_on() {
            let reading = match self.read(None).await {
                Ok(counters) => Reading::Counters(Arc::new(counters)),
                Err(error) => {
                    tracing::debug!(%error, "the store cannot be read");
                    Reading::Away
                }
            };
            self.readings.send_if_modified(|last| {
                let changed = *last != reading;
                *last = reading;
                changed
            });
            tokio::time::sleep(self.interval).await;
        }
    }

    /// False once nobody listens: the loop ends, and the next stream starts another.
    fn goes_on(&self) -> bool {
        let mut polling = self.polling.lock().unwrap_or_else(PoisonError::into_inner);
        *polling = self.readings.receiver_count() > 0 && !self.shutdown.is_begun();
        *polling
    }
}
