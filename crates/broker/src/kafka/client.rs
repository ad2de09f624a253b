//! The client of a producer, which is replaced after a fatal error.

use std::sync::{Arc, PoisonError, RwLock};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::producer::{Producer as _, ThreadedProducer};

use super::deliveries::Deliveries;
use super::scheduling::batched;
use crate::error::BrokerError;

pub(super) type Live = Arc<ThreadedProducer<Deliveries>>;

/// The live client.
pub(super) struct Client {
    current: RwLock<Live>,
    config: rdkafka::ClientConfig,
    deliveries: Deliveries,
}

impl Client {
    /// # Errors
    /// A setting is refused.
    pub(super) fn new(config: rdkafka::ClientConfig, deliveries: Deliveries) -> Result<Self, BrokerError> {
        let current = RwLock::new(make(&config, &deliveries)?);
        Ok(Self { current, config, deliveries })
    }

    pub(super) fn current(&self) -> Live {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A fatal error ends an idempotent producer (KIP-360); a new one starts with a new producer id. What the old one
    /// still held gets its outcome when it is dropped.
    pub(super) fn replace_if_fatal(&self) {
        let Some((code, reason)) = self.current().client().fatal_error() else { return };
        tracing::error!(%code, reason, "the producer met a fatal error and is replaced");
        match make(&self.config, &self.deliveries) {
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

fn make(config: &rdkafka::ClientConfig, deliveries: &Deliveries) -> Result<Live, BrokerError> {
    let start = || ThreadedProducer::from_config_and_context(config, deliveries.clone());
    let made = batched(start).map_err(BrokerError::Thread)?;
    made.map(Arc::new).map_err(|error| BrokerError::Client(error.into()))
}
