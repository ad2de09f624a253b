//! The client of a producer, which is replaced after a fatal error.

use std::sync::{Arc, PoisonError, RwLock};

use rdkafka::producer::Producer as _;
use tokio::runtime::Handle;

use super::deliveries::Deliveries;
use super::scheduling::batched;
use super::served::Served;
use crate::error::BrokerError;

pub(super) type Live = Arc<Served>;

/// The live client.
pub(super) struct Client {
    current: RwLock<Live>,
    config: rdkafka::ClientConfig,
    deliveries: Deliveries,
    runtime: Handle,
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
        Ok(Self { current, config, deliveries, runtime })
    }

    pub(super) fn current(&self) -> Live {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A fatal error ends an idempotent producer (KIP-360); a new one starts with a new producer id. What the old one
    /// still held gets its outcome when it is dropped.
    pub(super) fn replace_if_fatal(&self) {
        let Some((code, reason)) = self.current().client().fatal_error() else { return };
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

fn make(
    config: &rdkafka::ClientConfig,
    deliveries: &Deliveries,
    runtime: &Handle,
) -> Result<Live, BrokerError> {
    let start = || Served::start(config, deliveries.clone(), runtime);
    let made = batched(start).map_err(BrokerError::Thread)?;
    made.map_err(|error| BrokerError::Client(error.into()))
}
