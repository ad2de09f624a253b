//! A client that sends each record by itself: what the broker refused for the size of its batch is sent again through it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseRecord, Producer as _};
use tokio::runtime::Handle;

use super::client::{Client, Live};
use super::config::KafkaConfig;
use super::deliveries::Deliveries;
use super::fate::of_client_error;
use super::lifeline::Lifeline;
use super::turns::Sent;
use crate::error::PublishError;

/// How long a topic that took no batch is sent single records, since the last batch that it did not take.
const NARROW: Duration = Duration::from_secs(60);

/// The client, made when it is needed.
pub(super) struct Alone {
    config: rdkafka::ClientConfig,
    deliveries: Deliveries,
    lifeline: Lifeline,
    runtime: Handle,
    client: Mutex<Option<Arc<Client>>>,
    narrow: Narrow,
}

/// Topics that are known to take no batch, and since when.
#[derive(Debug, Default)]
struct Narrow {
    /// Whether there is any: most of the time there is not.
    any: AtomicBool,
    since: Mutex<HashMap<String, Instant>>,
}

impl Alone {
    pub(super) fn new(
        kafka: &KafkaConfig,
        config: &rdkafka::ClientConfig,
        deliveries: Deliveries,
        runtime: Handle,
    ) -> Self {
        let mut config = config.clone();
        config.set("batch.num.messages", "1");
        Self {
            config,
            deliveries,
            lifeline: Lifeline::new(kafka),
            runtime,
            client: Mutex::default(),
            narrow: Narrow::default(),
        }
    }

    /// The client, if this topic's records are for it: as long as it is not due to find out again.
    pub(super) fn takes(&self, topic: &str) -> Option<Live> {
        if self.narrow.holds(topic) { self.current() } else { None }
    }

    /// The client, if it was ever needed.
    pub(super) fn current(&self) -> Option<Live> {
        self.made().map(|client| client.current())
    }

    /// Replaces the client after a fatal error, and sees that it does not lose the cluster.
    pub(super) fn look_after(&self, topic: &str) {
        let Some(client) = self.made() else { return };
        client.replace_if_fatal();
        self.lifeline.look(client.current().client(), topic);
    }

    /// Sends a record again. Gives its place back if it cannot, and why; then it was not written.
    pub(super) fn send(
        &self,
        message: &BorrowedMessage<'_>,
        sent: Box<Sent>,
    ) -> Result<(), (PublishError, Box<Sent>)> {
        let Some(client) = self.get_or_make() else {
            return Err((PublishError::Unavailable, sent));
        };
        self.narrow.note(message.topic());
        let mut again = BaseRecord::<[u8], [u8], Box<Sent>>::with_opaque_to(message.topic(), sent)
            .partition(message.partition())
            .payload(message.payload().unwrap_or_default())
            .timestamp(message.timestamp().to_millis().unwrap_or_default());
        if let Some(key) = message.key() {
            again = again.key(key);
        }
        if let Some(headers) = message.headers() {
            again = again.headers(headers.detach());
        }
        let sent = client.current().send(again);
        sent.map_err(|(error, record)| (of_client_error(&error), record.delivery_opaque))
    }

    fn get_or_make(&self) -> Option<Arc<Client>> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if client.is_none() {
            *client = Client::new(self.config.clone(), self.deliveries.clone(), self.runtime.clone())
                .inspect_err(|error| tracing::error!(%error, "no second producer"))
                .map(Arc::new)
                .ok();
        }
        client.clone()
    }

    fn made(&self) -> Option<Arc<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Narrow {
    fn holds(&self, topic: &str) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let mut narrow = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        narrow.retain(|_, since| since.elapsed() < NARROW);
        self.any.store(!narrow.is_empty(), Ordering::Release);
        narrow.contains_key(topic)
    }

    /// It took no batch just now.
    fn note(&self, topic: &str) {
        let mut narrow = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        narrow.insert(topic.to_owned(), Instant::now());
        self.any.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_narrow_until_a_minute_after_the_last_batch_that_it_did_not_take() {
        let narrow = Narrow::default();
        let age = || {
            for since in narrow.since.lock().expect("one thread").values_mut() {
                *since = since.checked_sub(NARROW / 2).expect("the clock runs since the machine started");
            }
        };
        assert!(!narrow.holds("ventas"));
        narrow.note("ventas");
        age();
        narrow.note("ventas");
        age();
        assert!(narrow.holds("ventas") && !narrow.holds("clima"), "the second refusal was half a minute ago");
        age();
        assert!(!narrow.holds("ventas"));
    }
}
