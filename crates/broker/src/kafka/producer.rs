//! Publishing with acknowledgement.
//!
//! The broker refuses a batch of records that is larger than the topic allows as a whole. So what is refused for its size
//! is sent once more, alone, by a client of its own: only a record that is too large by itself is reported as such.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::Producer as _;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::alone::Alone;
use super::client::Client;
use super::config::{KafkaConfig, ProducerConfig};
use super::deliveries::{Deliveries, Events, SendAgain};
use super::lifeline::Lifeline;
use super::monitor::{PROBE_TIMEOUT, watch_broker};
use super::turns::{Turns, hand};
use crate::availability::Availability;
use crate::complaints::Complaints;
use crate::delivery::{Batch, BatchDelivery, Outcome, Slot};
use crate::error::{BrokerError, PublishError};
use crate::faults::{Faults, Reasons};
use crate::producer::Destination;
use crate::progress::Progress;
use crate::record::OutgoingRecord;

/// Publishes records and reports when they are acknowledged. Clones share one client.
#[derive(Clone)]
pub struct Producer {
    client: Arc<Client>,
    alone: Arc<Alone>,
    availability: Availability,
    progress: Arc<Progress>,
    faults: Arc<Faults>,
    complaints: Complaints,
    turns: Arc<Turns>,
}

impl Producer {
    /// As [`Producer::to`], of one topic with any number of partitions.
    ///
    /// # Errors
    /// As there.
    pub fn new(kafka: &KafkaConfig, producer: &ProducerConfig, topic: &str) -> Result<Self, BrokerError> {
        let destination = Destination { topic: topic.to_owned(), min_partitions: 1 };
        Self::to(kafka, producer, vec![destination])
    }

    /// Makes a producer that looks for the broker in the background. The metadata of each topic shows whether it
    /// can be written to; the broker is there while any of them is.
    ///
    /// # Errors
    /// A setting is refused by the client, or this is not within a runtime. An unreachable broker is not an error here.
    pub fn to(
        kafka: &KafkaConfig,
        producer: &ProducerConfig,
        topics: Vec<Destination>,
    ) -> Result<Self, BrokerError> {
        let (availability, faults) = (Availability::new(), Arc::new(Faults::new()));
        let (hint, hints) = sync_channel(1);
        let config = producer_settings(kafka, producer);
        let complaints = Complaints::default();
        let turns = Arc::new(Turns::new(producer));
        let events = Events {
            availability: availability.clone(),
            hint,
            faults: Arc::clone(&faults),
            complaints: complaints.clone(),
            turns: Arc::clone(&turns),
        };
        let runtime = Handle::try_current().map_err(|error| BrokerError::Client(error.into()))?;
        let alone = Deliveries::of(events.clone(), None);
        let alone = Arc::new(Alone::new(kafka, &config, alone, runtime.clone()));
        let again = Arc::clone(&alone);
        let again: SendAgain = Arc::new(move |message, sent| again.send(message, sent));
        let client = Arc::new(Client::new(config, Deliveries::of(events, Some(again)), runtime)?);
        turns.lead_to(&client);

        let (asked, second) = (Arc::downgrade(&client), Arc::downgrade(&alone));
        let probed = Probed { client: asked, alone: second, turns: Arc::clone(&turns), topics };
        let (seen, judged, lifeline) = (availability.clone(), Arc::clone(&faults), Lifeline::new(kafka));
        let monitor = move || watch_broker(&seen, &hints, || probed.look(&lifeline, &judged));
        let named = thread::Builder::new().name("kafka-monitor".to_owned());
        named.spawn(monitor).map_err(BrokerError::Thread)?;
        let progress = Arc::new(Progress::new());
        Ok(Self { client, alone, availability, progress, faults, complaints, turns })
    }

    /// Why topics take no records, although the broker is there. Follows the changes.
    pub fn watch_topics(&self) -> watch::Receiver<Reasons> {
        self.faults.watch()
    }

    /// Why this topic takes no records now.
    pub fn refuses(&self, topic: &str) -> Option<String> {
        self.faults.reason(topic)
    }

    /// What somebody has to mend, if the client complained in the last seconds: a broker's name that does not resolve, a
    /// wrong password.
    pub fn complaint(&self) -> Option<String> {
        self.complaints.recent()
    }

    /// Whether the broker can be reached.
    pub fn availability(&self) -> &Availability {
        &self.availability
    }

    /// Hands records over without waiting. Each gets its outcome in the delivery, in order: a record that the queue does
    /// not take, or any while the broker is away or takes no records, has failed already.
    pub fn publish_batch(&self, records: Vec<OutgoingRecord>) -> BatchDelivery {
        let batch = Batch::new(&self.progress, records.len());
        let available = self.availability.is_available() && self.progress.admits();
        let current = self.client.current();
        let mut handing = self.turns.hand_over(&current);
        for (at, record) in records.into_iter().enumerate() {
            let slot = Slot { batch: Arc::clone(&batch), at };
            if !available || self.faults.reason(&record.topic).is_some() {
                slot.fill(Err(PublishError::Unavailable));
            } else if let Some(alone) = self.alone.takes(&record.topic) {
                hand(&alone, &record, slot);
            } else {
                handing.add(record, slot);
            }
        }
        handing.finish();
        BatchDelivery(batch)
    }

    /// Publishes one record and waits for its outcome.
    ///
    /// # Errors
    /// It is not acknowledged.
    pub async fn publish(&self, record: OutgoingRecord) -> Outcome {
        self.publish_batch(vec![record]).outcome().await
    }

    /// Waits until everything handed over has its outcome, or the limit is reached.
    ///
    /// # Errors
    /// Records were still on their way at the limit.
    pub async fn flush(&self, limit: Duration) -> Result<(), BrokerError> {
        let (client, alone, turns) =
            (self.client.current(), Arc::clone(&self.alone), Arc::clone(&self.turns));
        let flush = move || {
            let began = std::time::Instant::now();
            let left = || limit.saturating_sub(began.elapsed());
            // What waited comes after what was on its way.
            client.flush(left())?;
            while !turns.is_idle() {
                if left().is_zero() {
                    return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
                }
                thread::sleep(Duration::from_millis(1));
                client.flush(left())?;
            }
            alone.current().map_or(Ok(()), |alone| alone.flush(left()))
        };
        let flushed = tokio::task::spawn_blocking(flush).await;
        let failed = |source| BrokerError::Ask { what: "the last acknowledgements", source };
        match flushed {
            Ok(flushed) => flushed.map_err(|error| failed(error.into())),
            Err(error) => Err(failed(error.into())),
        }
    }
}

/// The client's settings, each that is not its default with the reason.
pub fn producer_settings(kafka: &KafkaConfig, producer: &ProducerConfig) -> rdkafka::ClientConfig {
    let mut config = kafka.client();
    config
        // A retry of the client must not write a record twice (KIP-98); implies acks=all, stated for the reader.
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // A record that times out bumps the producer's epoch, and what is to be sent again goes out under the new one: the
        // broker cannot tell then that it has it already. So callers give up waiting long before a record does.
        .set("message.timeout.ms", producer.message_timeout_ms.to_string())
        // Default 5 ms; requests arrive in batches already, so little is won by waiting longer.
        .set("linger.ms", producer.linger_ms.to_string())
        .set("max.in.flight.requests.per.connection", producer.max_in_flight.to_string())
        // The limits of the queue: over them a record is refused, memory stays flat.
        .set("queue.buffering.max.messages", producer.queue_max_records.to_string())
        .set("queue.buffering.max.kbytes", producer.queue_max_kib.to_string())
        .set("message.max.bytes", producer.record_max_bytes.to_string())
        // The Java client's partitioner, so that any producer puts a key on the same partition; the default is CRC32.
        .set("partitioner", "murmur2_random")
        // Cheapest of the codecs in CPU; records of one topic look alike.
        .set("compression.type", "lz4")
        // Larger than librdkafka's 1 MB default would only delay a batch.
        .set("batch.num.messages", "10000");
    config
}

/// What the monitor looks at, for as long as it is there: the monitor ends with it.
struct Probed {
    client: Weak<Client>,
    alone: Weak<Alone>,
    turns: Arc<Turns>,
    topics: Vec<Destination>,
}

impl Probed {
    /// Whether any of the topics is there; none once the client is gone. What is wrong with each goes to `faults`.
    fn look(&self, lifeline: &Lifeline, faults: &Faults) -> Option<bool> {
        let client = self.client.upgrade()?;
        client.replace_if_fatal();
        let current = client.current();
        let asked = current.client();
        if let (Some(alone), Some(first)) = (self.alone.upgrade(), self.topics.first()) {
            alone.look_after(&first.topic);
        }
        faults.tick();
        let mut any_is_there = false;
        for destination in &self.topics {
            let metadata =
                lifeline.watch(asked, asked.fetch_metadata(Some(&destination.topic), PROBE_TIMEOUT));
            let Ok(metadata) = metadata else { break };
            let found = metadata.topics().iter().find(|found| found.name() == destination.topic);
            if let Some(found) = found {
                self.turns.looked(found);
            }
            let (partitions, reason) = judge(destination, found);
            faults.looked(&destination.topic, reason);
            any_is_there |= partitions > 0;
        }
        Some(any_is_there)
    }
}

/// How many partitions there are, and why the topic cannot be written to.
fn judge(destination: &Destination, found: Option<&MetadataTopic>) -> (usize, Option<String>) {
    let partitions = found.map_or(0, |found| found.partitions().len());
    let error = found.and_then(|found| found.error()).map(RDKafkaErrorCode::from);
    // A topic that is being made has no leader for a moment, and no partitions.
    let passing = |code: &RDKafkaErrorCode| *code == RDKafkaErrorCode::LeaderNotAvailable && partitions > 0;
    let reason = match error.filter(|code| !passing(code)) {
        Some(code) => Some(code.to_string()),
        None => destination.lacks(partitions),
    };
    (partitions, reason)
}

#[cfg(test)]
mod tests;
