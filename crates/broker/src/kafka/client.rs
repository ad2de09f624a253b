//! The client of a producer, which is replaced after a fatal error.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rdkafka::producer::Producer as _;
use tokio::runtime::Handle;

use super::deliveries::Deliveries;
use super::scheduling::batched;
use super::served::Served;
use crate::error::BrokerError;

/// The least time between two replacements. Each one logs in again, which costs both sides milliseconds of CPU, and a client
/// that may not write fails again at once.
const WAIT: Duration = Duration::from_millis(1_500);

pub(super) type Live = Arc<Served>;

/// The live client.
pub(super) struct Client {
    current: RwLock<Live>,
    config: rdkafka::ClientConfig,
    deliveries: Deliveries,
    runtime: Handle,
    replacements: Mutex<Replacements>,
}

impl Client {
    /// Its reports are served on this runtime.
    ///
    /// # Errors
    /// A setting is refused.
    pub(super) fn new(
        config: rdkafka::ClientConfig,
        deliveries: Deliveries,
        runtime: Handle,
    ) -> Result<Self, BrokerError> {
        let current = RwLock::new(make(&config, &deliveries, &runtime)?);
        Ok(Self { current, config, deliveries, runtime, replacements: Mutex::default() })
    }

    pub(super) fn current(&self) -> Live {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A fatal error ends an idempotent producer (KIP-360); a new one starts with a new producer id. What the old one
    /// still held gets its outcome when it is dropped.
    pub(super) fn replace_if_fatal(&self) {
        let Some((code, reason)) = self.current().client().fatal_error() else { return };
        if !self.replacements.lock().unwrap_or_else(PoisonError::into_inner).is_due(Instant::now()) {
            return;
        }
        tracing::error!(%code, reason, "the producer met a fatal error and is replaced");
        match make(&self.config, &self.deliveries, &self.runtime) {
            Ok(fresh) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                let old = std::mem::replace(&mut *current, fresh);
                // Its end takes time and fills slots: nobody waits for the lock meanwhile.
                drop(current);
                drop(old);
            }
            Err(error) => tracing::error!(%error, "the producer could not be replaced"),
        }
    }
}

/// When the last one was made.
#[derive(Debug, Default)]
struct Replacements {
    last: Option<Instant>,
}

impl Replacements {
    /// Whether one that failed is to be replaced now, which is then done.
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= WAIT);
        if is_due {
            self.last = Some(now);
        }
        is_due
    }
}

fn make(
    config: &rdkafka::ClientConfig,
    deliveries: &Deliveries,
    runtime: &Handle,
) -> Result<Live, BrokerError> {
    let start = || Served::start(config, deliveries.clone(), runtime);
    let made = batched(start).map_err(BrokerError::Thread)?;
    made.map_err(|error| BrokerError::Client(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_fails_is_replaced_at_once_and_those_that_fail_at_their_start_seldom() {
        let (begun, mut replacements) = (Instant::now(), Replacements::default());
        let mut at = |seconds: f64| replacements.is_due(begun + Duration::from_secs_f64(seconds));
        assert!(at(0.0), "the first");
        let again = (1_u32..=200).filter(|tenth| at(f64::from(*tenth) / 10.0)).count();
        assert_eq!(again, 13, "in 20 s");
        assert!(at(60.0) && !at(60.1), "one that lasted, and the next");
    }
}
