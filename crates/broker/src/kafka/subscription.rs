//! Reading partitions, each from an offset that the caller names.
//!
//! A thread of its own polls the client and cuts batches; a bounded channel hands them on. When nobody takes them the
//! thread waits, and the client stops fetching at its own limit: memory stays flat however far the log is ahead.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::KafkaConfig;
use super::headers::{Wanted, to_record};
use super::lifeline::Lifeline;
use crate::{BrokerError, RecordBatch, TopicPartition};

const IDLE_POLL: Duration = Duration::from_millis(50);
/// Batches that wait for the reader.
const CHANNEL: usize = 4;

/// Where a batch is cut.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Records in a batch.
    pub max_records: usize,
    /// Bytes of payload in a batch, give or take one record.
    pub max_bytes: usize,
    /// From the first record of a batch to its end.
    pub max_wait: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { max_records: 10_000, max_bytes: 4 << 20, max_wait: Duration::from_millis(50) }
    }
}

/// What a subscription says.
#[derive(Debug)]
pub enum SubscriptionEvent {
    /// The next records of a partition.
    Batch(RecordBatch),
    /// Some partition's position is not in the log: compare the positions with the watermarks.
    OutOfRange,
}

/// Reads partitions from given offsets.
pub struct Subscription {
    events: mpsc::Receiver<SubscriptionEvent>,
    commands: Sender<Command>,
}

enum Command {
    Start { partition: TopicPartition, offset: i64, epoch: u64 },
    Stop(TopicPartition),
}

struct Reports;

/// The polling thread's state.
struct Poller {
    consumer: Arc<BaseConsumer<Reports>>,
    lifeline: Lifeline,
    commands: Receiver<Command>,
    events: mpsc::Sender<SubscriptionEvent>,
    limits: BatchLimits,
    wanted: Wanted,
    open: HashMap<TopicPartition, Open>,
}

/// A batch that is being filled.
struct Open {
    batch: RecordBatch,
    bytes: usize,
    since: Option<Instant>,
}

impl Subscription {
    /// Opens a subscription of nothing. `with_traces`: whether records' trace contexts are read, at the cost of an
    /// allocation per record.
    ///
    /// # Errors
    /// A setting is refused.
    pub fn open(kafka: &KafkaConfig, limits: BatchLimits, with_traces: bool) -> Result<Self, BrokerError> {
        Self::open_with(kafka, limits, if with_traces { Wanted::Trace } else { Wanted::Nothing })
    }

    /// Opens a subscription of nothing, whose records come with all their headers.
    ///
    /// # Errors
    /// A setting is refused.
    pub fn open_with_headers(kafka: &KafkaConfig, limits: BatchLimits) -> Result<Self, BrokerError> {
        Self::open_with(kafka, limits, Wanted::All)
    }

    fn open_with(kafka: &KafkaConfig, limits: BatchLimits, wanted: Wanted) -> Result<Self, BrokerError> {
        let made = BaseConsumer::from_config_and_context(&settings(kafka), Reports);
        let consumer = Arc::new(made.map_err(|error| BrokerError::Client(error.into()))?);
        let (commands, receiver) = channel();
        let (sender, events) = mpsc::channel(CHANNEL);
        let lifeline = Lifeline::new(kafka);
        let open = HashMap::new();
        let poller = Poller { consumer, lifeline, commands: receiver, events: sender, limits, wanted, open };
        let named = thread::Builder::new().name("kafka-fetch".to_owned());
        named.spawn(move || poller.run()).map_err(BrokerError::Thread)?;
        Ok(Self { events, commands })
    }

    /// Reads a partition from `offset` on. A partition that is being read already starts over there; batches of an
    /// older `epoch` are void.
    pub fn start(&self, partition: TopicPartition, offset: i64, epoch: u64) {
        // The thread ends only after this handle is dropped.
        drop(self.commands.send(Command::Start { partition, offset, epoch }));
    }

    /// Reads a partition no more.
    pub fn stop(&self, partition: TopicPartition) {
        drop(self.commands.send(Command::Stop(partition)));
    }

    /// The next event; `None` if the polling thread died.
    pub async fn next(&mut self) -> Option<SubscriptionEvent> {
        self.events.recv().await
    }
}

impl Poller {
    fn run(mut self) {
        while self.obey() {
            let polled = Arc::clone(&self.consumer);
            let alive = match polled.poll(self.patience()) {
                Some(Ok(message)) => {
                    self.add(&message);
                    true
                }
                Some(Err(error)) => self.report(&error),
                None => true,
            };
            if !(alive && self.send_ripe()) {
                return;
            }
            if let Some(partition) = self.open.keys().next() {
                self.lifeline.look(self.consumer.client(), &partition.topic);
            }
        }
    }

    /// Carries out what was asked for; false once the subscription is dropped.
    fn obey(&mut self) -> bool {
        loop {
            let done = match self.commands.try_recv() {
                Ok(Command::Start { partition, offset, epoch }) => self.start(partition, offset, epoch),
                Ok(Command::Stop(partition)) => self.stop(&partition),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            };
            if let Err(error) = done {
                tracing::error!(%error, "the client refused a change of partitions");
            }
        }
    }

    fn start(&mut self, partition: TopicPartition, offset: i64, epoch: u64) -> Result<(), KafkaError> {
        self.stop(&partition)?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(offset))?;
        self.consumer.incremental_assign(&list)?;
        let batch = RecordBatch {
            partition: partition.clone(),
            epoch,
            from: offset,
            to: offset,
            records: Vec::new(),
        };
        self.open.insert(partition, Open { batch, bytes: 0, since: None });
        Ok(())
    }

    fn stop(&mut self, partition: &TopicPartition) -> Result<(), KafkaError> {
        if self.open.remove(partition).is_none() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(&partition.topic, partition.partition);
        self.consumer.incremental_unassign(&list)
    }

    /// How long a poll may wait: until the oldest open batch is ripe.
    fn patience(&self) -> Duration {
        let oldest = self.open.values().filter_map(|open| open.since).min();
        oldest.map_or(IDLE_POLL, |since| self.limits.max_wait.saturating_sub(since.elapsed()).min(IDLE_POLL))
    }

    fn add(&mut self, message: &BorrowedMessage<'_>) {
        let found = self
            .open
            .iter_mut()
            .find(|(key, _)| key.partition == message.partition() && &*key.topic == message.topic());
        // What was fetched before a stop or a start over is void.
        let Some((_, open)) = found.filter(|(_, open)| message.offset() >= open.batch.to) else { return };
        open.bytes += message.payload_len();
        open.batch.to = message.offset() + 1;
        open.batch.records.push(to_record(message, self.wanted));
        open.since.get_or_insert_with(Instant::now);
    }

    /// Tells what an error means; false once nobody listens.
    fn report(&mut self, error: &KafkaError) -> bool {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                self.events.blocking_send(SubscriptionEvent::OutOfRange).is_ok()
            }
            _ => {
                tracing::debug!(%error, "fetching reports");
                true
            }
        }
    }

    /// Sends every batch that is full or old enough; false once nobody listens.
    fn send_ripe(&mut self) -> bool {
        for open in self.open.values_mut() {
            let Some(since) = open.since else { continue };
            let full =
                open.batch.records.len() >= self.limits.max_records || open.bytes >= self.limits.max_bytes;
            if full || since.elapsed() >= self.limits.max_wait {
                let next = RecordBatch {
                    partition: open.batch.partition.clone(),
                    epoch: open.batch.epoch,
                    from: open.batch.to,
                    to: open.batch.to,
                    records: Vec::new(),
                };
                let ripe = std::mem::replace(&mut open.batch, next);
                (open.bytes, open.since) = (0, None);
                if self.events.blocking_send(SubscriptionEvent::Batch(ripe)).is_err() {
                    return false;
                }
            }
        }
        true
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the fetching client reports");
    }
}

impl ConsumerContext for Reports {}

fn settings(kafka: &KafkaConfig) -> rdkafka::ClientConfig {
    let mut config = kafka.client();
    config
        // The client demands a group even where partitions are assigned by hand; it never joins this one.
        .set("group.id", "blackfriday-unused")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A position that is not in the log is an error with a name, never a silent jump.
        .set("auto.offset.reset", "error")
        // What is fetched ahead stays small (defaults: 100000 records, 64 MiB).
        .set("queued.min.messages", "20000")
        .set("queued.max.messages.kbytes", "16384")
        // A fetch that finds little is answered after 20 ms instead of 500, so that the counts stay warm; one that finds
        // this many bytes at once.
        .set("fetch.wait.max.ms", "20")
        .set("fetch.min.bytes", "65536")
        // After an empty fetch queue, look again soon (default 1000 ms).
        .set("fetch.queue.backoff.ms", "10");
    config
}
