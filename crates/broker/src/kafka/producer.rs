//! Publishing with acknowledgement.
//!
//! Records are handed over in batches, and one completion serves a whole batch: a slot per record, filled by the delivery
//! callback, and a countdown that wakes the waiting task once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::thread;
use std::time::Duration;

use rdkafka::bindings::{rd_kafka_message_status, rd_kafka_msg_status_t};
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::lifeline::Lifeline;
use super::monitor::{PROBE_TIMEOUT, watch_broker};
use super::progress::{Mark, Progress};
use super::scheduling::batched;
use super::{KafkaConfig, ProducerConfig, headers, security};
use crate::{Availability, BrokerError, OutgoingRecord, Position, PublishError};

type Outcome = Result<Position, PublishError>;

/// Publishes records and tells when they are acknowledged. Clones share one client.
#[derive(Clone)]
pub struct Producer {
    client: Arc<Client>,
    availability: Availability,
    progress: Arc<Progress>,
}

/// The live client, which is replaced after a fatal error.
struct Client {
    current: RwLock<Arc<ThreadedProducer<Deliveries>>>,
    config: rdkafka::ClientConfig,
    deliveries: Deliveries,
}

/// Receives the client's events.
#[derive(Clone)]
struct Deliveries {
    availability: Availability,
    /// Wakes the monitor.
    hint: SyncSender<()>,
}

/// The place of one record in its batch.
struct Slot {
    batch: Arc<Batch>,
    at: usize,
}

struct Batch {
    progress: Arc<Progress>,
    mark: Mark,
    outcomes: Mutex<Vec<Option<Outcome>>>,
    pending: AtomicUsize,
    done: Notify,
}

/// A batch of records that were handed over.
pub struct BatchDelivery(Arc<Batch>);

impl Producer {
    /// Makes a producer that looks for the broker in the background. `topic` is the one whose metadata tells that the
    /// broker is there.
    ///
    /// # Errors
    /// A setting is refused by the client. That the broker is away is none.
    pub fn new(kafka: &KafkaConfig, producer: &ProducerConfig, topic: &str) -> Result<Self, BrokerError> {
        let availability = Availability::new();
        let (hint, hints) = sync_channel(1);
        let deliveries = Deliveries { availability: availability.clone(), hint };
        let config = settings(kafka, producer);
        let current = make(&config, &deliveries)?;
        let client = Arc::new(Client { current: RwLock::new(current), config, deliveries });

        let (weak, topic, seen) = (Arc::downgrade(&client), topic.to_owned(), availability.clone());
        let lifeline = Lifeline::new(kafka);
        let monitor = move || watch_broker(&seen, &hints, || probe(&weak, &topic, &lifeline));
        let named = thread::Builder::new().name("kafka-monitor".to_owned());
        named.spawn(monitor).map_err(BrokerError::Thread)?;
        Ok(Self { client, availability, progress: Arc::new(Progress::new()) })
    }

    /// Whether the broker can be reached.
    pub fn availability(&self) -> &Availability {
        &self.availability
    }

    /// Hands records over without waiting. Each gets its outcome in the delivery, in order: a record that the queue does
    /// not take, or any while the broker is away or takes no records, has failed already.
    pub fn publish_batch(&self, records: Vec<OutgoingRecord>) -> BatchDelivery {
        let batch = Arc::new(Batch {
            progress: Arc::clone(&self.progress),
            mark: self.progress.mark(),
            outcomes: Mutex::new(vec![None; records.len()]),
            pending: AtomicUsize::new(records.len()),
            done: Notify::new(),
        });
        let available = self.availability.is_available() && self.progress.admits();
        let client = self.client.current();
        for (at, record) in records.into_iter().enumerate() {
            let slot = Box::new(Slot { batch: Arc::clone(&batch), at });
            if !available {
                slot.fill(Err(PublishError::Unavailable));
            } else if let Err((error, slot)) = send(&client, &record, slot) {
                slot.fill(Err(of_client_error(&error)));
            }
        }
        BatchDelivery(batch)
    }

    /// Publishes one record and waits for its outcome.
    ///
    /// # Errors
    /// It is not acknowledged.
    pub async fn publish(&self, record: OutgoingRecord) -> Outcome {
        self.publish_batch(vec![record]).outcomes().await.pop().unwrap_or(Err(PublishError::OutcomeUnknown))
    }

    /// Waits until everything handed over has its outcome, or the limit is reached.
    ///
    /// # Errors
    /// Records were still on their way at the limit.
    pub async fn flush(&self, limit: Duration) -> Result<(), BrokerError> {
        let client = self.client.current();
        let flushed = tokio::task::spawn_blocking(move || client.flush(limit)).await;
        let failed = |source| BrokerError::Ask { what: "the last acknowledgements", source };
        match flushed {
            Ok(flushed) => flushed.map_err(|error| failed(error.into())),
            Err(error) => Err(failed(error.into())),
        }
    }
}

impl BatchDelivery {
    /// Waits for every outcome. Bounded by the producer's message timeout, which is long.
    pub async fn outcomes(self) -> Vec<Outcome> {
        self.0.wait().await;
        self.0.take()
    }

    /// Waits for every outcome until `deadline`; what has none by then is [`PublishError::OutcomeUnknown`].
    pub async fn outcomes_until(self, deadline: Instant) -> Vec<Outcome> {
        // An elapsed deadline shows in the outcomes that are missing.
        drop(timeout_at(deadline, self.0.wait()).await);
        self.0.take()
    }
}

impl Drop for BatchDelivery {
    fn drop(&mut self) {
        if self.0.pending.load(Ordering::Acquire) > 0 {
            self.0.progress.gave_up(self.0.mark);
        }
    }
}

impl Batch {
    async fn wait(&self) {
        while self.pending.load(Ordering::Acquire) > 0 {
            self.done.notified().await;
        }
    }

    fn take(&self) -> Vec<Outcome> {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || Err(PublishError::OutcomeUnknown);
        outcomes.iter_mut().map(|outcome| outcome.take().unwrap_or_else(unknown)).collect()
    }
}

impl Slot {
    fn fill(&self, outcome: Outcome) {
        let mut outcomes = self.batch.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes[self.at] = Some(outcome);
        drop(outcomes);
        if self.batch.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.batch.done.notify_one();
        }
    }
}

impl Client {
    fn current(&self) -> Arc<ThreadedProducer<Deliveries>> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A fatal error ends an idempotent producer (KIP-360); a new one starts with a new producer id. What the old one
    /// still held gets its outcome when it is dropped.
    fn replace_if_fatal(&self) {
        let Some((code, reason)) = self.current().client().fatal_error() else { return };
        tracing::error!(%code, reason, "the producer met a fatal error and is replaced");
        match make(&self.config, &self.deliveries) {
            Ok(fresh) => *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh,
            Err(error) => tracing::error!(%error, "the producer could not be replaced"),
        }
    }
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the producer reports");
        security::tell_denial(&error, reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.availability.set(false);
        }
        // The channel holds one hint; a second adds nothing.
        self.hint.try_send(()).ok();
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Slot>;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: Box<Slot>) {
        let outcome = match result {
            Ok(message) => Ok(Position { partition: message.partition(), offset: message.offset() }),
            Err((error, message)) => Err(of_delivery_error(error, message)),
        };
        if !matches!(outcome, Err(PublishError::OutcomeUnknown | PublishError::Unavailable)) {
            slot.batch.progress.told();
        }
        slot.fill(outcome);
    }
}

fn settings(kafka: &KafkaConfig, producer: &ProducerConfig) -> rdkafka::ClientConfig {
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
        // The limits of the queue: over them a record is refused, memory stays flat.
        .set("queue.buffering.max.messages", producer.queue_max_records.to_string())
        .set("queue.buffering.max.kbytes", producer.queue_max_kbytes.to_string())
        // The Java client's partitioner, so that any producer puts a key on the same partition; the default is CRC32.
        .set("partitioner", "murmur2_random")
        // Records without a key stay on one partition for this long, which makes fuller batches (default 10).
        .set("sticky.partitioning.linger.ms", "2")
        // Cheapest of the codecs in CPU; records of one topic look alike.
        .set("compression.type", "lz4")
        // Larger than librdkafka's 1 MB default would only delay a batch.
        .set("batch.num.messages", "10000");
    config
}

fn make(
    config: &rdkafka::ClientConfig,
    deliveries: &Deliveries,
) -> Result<Arc<ThreadedProducer<Deliveries>>, BrokerError> {
    let start = || ThreadedProducer::from_config_and_context(config, deliveries.clone());
    let made = batched(start).map_err(BrokerError::Thread)?;
    made.map(Arc::new).map_err(|error| BrokerError::Client(error.into()))
}

fn probe(client: &Weak<Client>, topic: &str, lifeline: &Lifeline) -> bool {
    let Some(client) = client.upgrade() else { return false };
    client.replace_if_fatal();
    let current = client.current();
    let asked = current.client();
    let metadata = lifeline.watch(asked, asked.fetch_metadata(Some(topic), PROBE_TIMEOUT));
    metadata.is_ok_and(|metadata| metadata.topics().iter().any(|topic| !topic.partitions().is_empty()))
}

fn send(
    client: &ThreadedProducer<Deliveries>,
    record: &OutgoingRecord,
    slot: Box<Slot>,
) -> Result<(), (KafkaError, Box<Slot>)> {
    let mut outgoing = BaseRecord::<[u8], [u8], Box<Slot>>::with_opaque_to(&record.topic, slot)
        .payload(&record.payload)
        .timestamp(record.timestamp_ms)
        .headers(headers::of_outgoing(record));
    if let Some(key) = &record.key {
        outgoing = outgoing.key(key);
    }
    if let Some(partition) = record.partition {
        outgoing = outgoing.partition(partition);
    }
    client.send(outgoing).map_err(|(error, record)| (error, record.delivery_opaque))
}

/// The record never left our side.
fn of_client_error(error: &KafkaError) -> PublishError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => PublishError::QueueFull,
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => PublishError::TooLarge,
        Some(
            RDKafkaErrorCode::UnknownPartition | RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::Fatal,
        ) => PublishError::Unavailable,
        _ => PublishError::Rejected(error.to_string()),
    }
}

/// The record may have left: what the client knows of its fate decides.
fn of_delivery_error(error: &KafkaError, message: &BorrowedMessage<'_>) -> PublishError {
    // SAFETY: the pointer is the message's own and lives as long as the borrow; the call only reads it.
    let status = unsafe { rd_kafka_message_status(message.ptr()) };
    if status != rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED {
        return PublishError::OutcomeUnknown;
    }
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => PublishError::TooLarge,
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::PolicyViolation
            | RDKafkaErrorCode::InvalidTimestamp,
        ) => PublishError::Rejected(error.to_string()),
        _ => PublishError::Unavailable,
    }
}
