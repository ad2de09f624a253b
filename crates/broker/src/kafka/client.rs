//! The client of a producer, which is replaced after a fatal error.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rdkafka::producer::Producer as _;
use tokio::runtime::Handle;

use super::deliveries::Deliveries;
use super::scheduling::batched;
use super::served::Served;
use crate::error::BrokerError;

/// Between two replacements of clients that soon fail again, the least and the most. Each logs in anew, which costs both sides
/// milliseconds of CPU; who may not write, and will be allowed to, is to find out soon.
const WAITS: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(2)];
/// A client that lasted so long did not fail at its start.
const LASTED: Duration = Duration::from_secs(10);

pub(super) type Live = Arc<Served>;

/// The live client.
pub(super) struct Client {
    current: RwLock<Live>,
    config: rdkafka::ClientConfig,
    deliveries: Deliveries,
    runtime: Handle,
    replacements: Mutex<Replacements>,
}

/// When the last one was made, and how long the next one waits.
#[derive(Debug)]
struct Replacements {
    last: Instant,
    wait: Duration,
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
        let replacements = Mutex::new(Replacements::new(Instant::now()));
        Ok(Self { current, config, deliveries, runtime, replacements })
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

impl Replacements {
    const fn new(now: Instant) -> Self {
        Self { last: now, wait: WAITS[0] }
    }

    /// Whether one that failed is to be replaced now, which is then done.
    fn is_due(&mut self, now: Instant) -> bool {
        let lasted = now.saturating_duration_since(self.last);
        if lasted < self.wait {
            return false;
        }
        self.wait = if lasted >= LASTED { WAITS[0] } else { (self.wait * 2).min(WAITS[1]) };
        self.last = now;
        true
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
    fn clients_that_fail_at_their_start_are_replaced_ever_more_seldom_and_one_that_lasted_at_once() {
        let begun = Instant::now();
        let mut replacements = Replacements::new(begun);
        let mut at = |seconds: f64| replacements.is_due(begun + Duration::from_secs_f64(seconds));
        let made = (0_u32..200).filter(|tenth| at(f64::from(*tenth) / 10.0)).count();
        assert!((10..=14).contains(&made), "{made} in 20 s");
        assert!(at(60.0), "it lasted");
        assert!(!at(60.1) && at(60.4), "that is forgotten then");
    }
}
