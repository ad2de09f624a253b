//! Reading partitions, each from an offset that the caller names.
//!
//! A thread of its own polls the client and cuts batches; a bounded channel hands them on. When nobody takes them the
//! thread waits, and the client stops fetching at its own limit: memory stays flat however far the log is ahead.
//!
//! Reading on is checked where the caller names the record before its position: it is fetched first, and if it is not what
//! it was, nothing is handed over. A topic that is made again under its name while it is read is noticed before any of its
//! new records is handed over: brokers since Kafka 3.1 are asked for records by the topic's id (KIP-516), librdkafka logs a
//! changed id before it asks by the new one, and its log comes through the same queue as the records.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::KafkaConfig;
use super::complaints::{Complaints, Reports, log};
use super::fetched::{Event, Fetched, Message, Wanted};
use super::lifeline::Lifeline;
use crate::{BrokerError, LastRead, RecordBatch, TopicPartition};

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
    /// A partition's position is not in the log, or its log may be another one: compare the position with the watermarks,
    /// and start again after the last record read, not at once: a new leader may lag for a moment.
    OutOfRange {
        /// Which; any, if the client does not name it.
        partition: Option<TopicPartition>,
    },
    /// The log does not hold the record after which a partition was started. It is read no more.
    Replaced {
        /// Which.
        partition: TopicPartition,
        /// Of the start.
        epoch: u64,
    },
    /// A partition cannot be read, for a reason that somebody has to mend. The client goes on trying.
    Failed {
        /// Which.
        partition: TopicPartition,
        /// Why.
        reason: String,
    },
    /// A partition that had failed can be read.
    Recovered(TopicPartition),
}

/// Reads partitions from given offsets.
pub struct Subscription {
    events: mpsc::Receiver<SubscriptionEvent>,
    commands: Sender<Command>,
    complaints: Complaints,
}

enum Command {
    Start { partition: TopicPartition, offset: i64, after: Option<LastRead>, epoch: u64 },
    Stop(TopicPartition),
}

/// The polling thread's state.
struct Poller {
    consumer: Arc<BaseConsumer<Reports>>,
    fetched: Fetched<Reports>,
    complaints: Complaints,
    lifeline: Lifeline,
    commands: Receiver<Command>,
    events: mpsc::Sender<SubscriptionEvent>,
    limits: BatchLimits,
    wanted: Wanted,
    open: HashMap<TopicPartition, Open>,
    /// Partitions that met errors since their last record, and whether that was told.
    failed: HashMap<TopicPartition, bool>,
    /// Topics' ids, as the client logs them.
    ids: HashMap<String, String>,
}

/// A batch that is being filled.
struct Open {
    batch: RecordBatch,
    bytes: usize,
    since: Option<Instant>,
    /// What must come first.
    expected: Option<LastRead>,
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
        let complaints = Complaints::default();
        let made = BaseConsumer::from_config_and_context(&settings(kafka), Reports(complaints.clone()));
        let consumer = Arc::new(made.map_err(|error| BrokerError::Client(error.into()))?);
        let no_queue = || BrokerError::Client("the client has no queue".into());
        let fetched = Fetched::new(Arc::clone(&consumer)).ok_or_else(no_queue)?;
        let (commands, receiver) = channel();
        let (sender, events) = mpsc::channel(CHANNEL);
        let poller = Poller {
            consumer,
            fetched,
            complaints: complaints.clone(),
            lifeline: Lifeline::new(kafka),
            commands: receiver,
            events: sender,
            limits,
            wanted,
            open: HashMap::new(),
            failed: HashMap::new(),
            ids: HashMap::new(),
        };
        let named = thread::Builder::new().name("kafka-fetch".to_owned());
        named.spawn(move || poller.run()).map_err(BrokerError::Thread)?;
        Ok(Self { events, commands, complaints })
    }

    /// Reads a partition from `offset` on. A partition that is being read already starts over there; batches of an
    /// older `epoch` are void.
    pub fn start(&self, partition: TopicPartition, offset: i64, epoch: u64) {
        self.command(Command::Start { partition, offset, after: None, epoch });
    }

    /// As [`Subscription::start`], if the log still holds the record `last`, whose offset is below `offset`; otherwise
    /// [`SubscriptionEvent::Replaced`] says so, and nothing is read.
    pub fn start_after(&self, partition: TopicPartition, last: LastRead, offset: i64, epoch: u64) {
        self.command(Command::Start { partition, offset, after: Some(last), epoch });
    }

    /// Reads a partition no more.
    pub fn stop(&self, partition: TopicPartition) {
        self.command(Command::Stop(partition));
    }

    /// The next event; `None` if the polling thread died.
    pub async fn next(&mut self) -> Option<SubscriptionEvent> {
        self.events.recv().await
    }

    /// What somebody has to mend, if the client complained in the last seconds: a broker's name that does not resolve, a
    /// wrong password.
    pub fn complaint(&self) -> Option<String> {
        self.complaints.recent()
    }

    fn command(&self, command: Command) {
        // The thread ends only after this handle is dropped.
        drop(self.commands.send(command));
    }
}

impl Poller {
    fn run(mut self) {
        while self.obey() {
            if !(self.poll() && self.send_ripe()) {
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
                Ok(Command::Start { partition, offset, after, epoch }) => {
                    self.start(partition, offset, after, epoch)
                }
                Ok(Command::Stop(partition)) => {
                    self.failed.remove(&partition);
                    self.stop(&partition)
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            };
            if let Err(error) = done {
                tracing::error!(%error, "the client refused a change of partitions");
            }
        }
    }

    fn start(
        &mut self,
        partition: TopicPartition,
        offset: i64,
        after: Option<LastRead>,
        epoch: u64,
    ) -> Result<(), KafkaError> {
        self.stop(&partition)?;
        let first = after.map_or(offset, |last| last.offset);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(first))?;
        self.consumer.incremental_assign(&list)?;
        let batch = RecordBatch {
            partition: partition.clone(),
            epoch,
            from: offset,
            to: offset,
            records: Vec::new(),
        };
        self.open.insert(partition, Open { batch, bytes: 0, since: None, expected: after });
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

    /// Takes what the client has; false once nobody listens.
    fn poll(&mut self) -> bool {
        match self.fetched.poll(self.patience()) {
            Some(Event::Message(message)) => self.add(&message),
            Some(Event::End(partition, offset)) => self.end(&partition, offset),
            Some(Event::Failed { partition, code, reason }) => self.report(partition, code, &reason),
            Some(Event::Log { level, fac, text }) => self.log(level, &fac, &text),
            Some(Event::Other) | None => true,
        }
    }

    /// How long a poll may wait: until the oldest open batch is ripe.
    fn patience(&self) -> Duration {
        let oldest = self.open.values().filter_map(|open| open.since).min();
        oldest.map_or(IDLE_POLL, |since| self.limits.max_wait.saturating_sub(since.elapsed()).min(IDLE_POLL))
    }

    fn add(&mut self, message: &Message) -> bool {
        let found = self.open.iter_mut().find(|(partition, _)| message.is_of(partition));
        let Some((partition, open)) = found else { return true };
        if let Some(expected) = open.expected {
            let record = message.to_record(Wanted::Nothing);
            if (LastRead { offset: record.offset, digest: record.digest() }) == expected {
                open.expected = None;
                return true;
            }
            let partition = partition.clone();
            return self.replaced(&partition);
        }
        // What was fetched before a stop or a start over is void.
        if message.offset() >= open.batch.to {
            open.bytes += message.payload_len();
            open.batch.to = message.offset() + 1;
            open.batch.records.push(message.to_record(self.wanted));
            open.since.get_or_insert_with(Instant::now);
        }
        self.failed.is_empty() || {
            let partition = partition.clone();
            self.recovered(partition)
        }
    }

    /// The log's control records, or those of aborted transactions, may be between the last record and the end.
    fn end(&mut self, partition: &TopicPartition, offset: i64) -> bool {
        let Some(open) = self.open.get_mut(partition) else { return true };
        if let Some(expected) = open.expected {
            // An end before the record proves nothing: a new leader may not have all yet. The watermarks decide.
            return if offset > expected.offset {
                self.replaced(partition)
            } else {
                self.tell(SubscriptionEvent::OutOfRange { partition: Some(partition.clone()) })
            };
        }
        if offset > open.batch.to {
            open.batch.to = offset;
            open.since.get_or_insert_with(Instant::now);
        }
        self.recovered(partition.clone())
    }

    fn replaced(&mut self, partition: &TopicPartition) -> bool {
        let Some(epoch) = self.open.get(partition).map(|open| open.batch.epoch) else { return true };
        if let Err(error) = self.stop(partition) {
            tracing::error!(%error, %partition, "the client refused to stop reading");
        }
        self.tell(SubscriptionEvent::Replaced { partition: partition.clone(), epoch })
    }

    fn recovered(&mut self, partition: TopicPartition) -> bool {
        self.failed.remove(&partition) != Some(true) || self.tell(SubscriptionEvent::Recovered(partition))
    }

    /// Tells what an error means; false once nobody listens.
    fn report(&mut self, partition: Option<TopicPartition>, code: RDKafkaErrorCode, reason: &str) -> bool {
        match (code, partition) {
            (RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange, partition) => {
                tracing::warn!(
                    partition = partition.as_ref().map(tracing::field::display),
                    reason,
                    "the log changed"
                );
                self.tell(SubscriptionEvent::OutOfRange { partition })
            }
            (code, Some(partition)) => {
                let reason = format!("{partition}: {reason}");
                let mend = self.complaints.hear(Some(code), &reason);
                !(self.open.contains_key(&partition) && fails(&mut self.failed, &partition, mend))
                    || self.tell(SubscriptionEvent::Failed { partition, reason })
            }
            // Of the group that the client names and never joins: whether it might is nobody's trouble.
            (RDKafkaErrorCode::GroupAuthorizationFailed, None) => true,
            (code, None) => {
                self.complaints.hear(Some(code), reason);
                true
            }
        }
    }

    /// The client's log says when a topic has another id than before.
    fn log(&mut self, level: RDKafkaLogLevel, fac: &str, text: &str) -> bool {
        log(level, fac, text);
        let Some((topic, id)) = changed_id(text) else { return true };
        let known = self.ids.insert(topic.to_owned(), id.to_owned());
        if known.is_none_or(|known| known == id) {
            return true;
        }
        tracing::error!(topic, "the topic was made again under its name");
        let of_topic: Vec<_> =
            self.open.keys().filter(|partition| *partition.topic == *topic).cloned().collect();
        for partition in &of_topic {
            if let Err(error) = self.stop(partition) {
                tracing::error!(%error, %partition, "the client refused to stop reading");
            }
        }
        of_topic
            .into_iter()
            .all(|partition| self.tell(SubscriptionEvent::OutOfRange { partition: Some(partition) }))
    }

    fn tell(&self, event: SubscriptionEvent) -> bool {
        self.events.blocking_send(event).is_ok()
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

/// Takes an error of a partition, and says whether it is to be told now: at once if somebody has to mend it, any other when
/// it comes again before a record does.
fn fails(failed: &mut HashMap<TopicPartition, bool>, partition: &TopicPartition, mend: bool) -> bool {
    let before = failed.get(partition).copied();
    let told = mend || before.is_some();
    failed.insert(partition.clone(), told);
    told && before != Some(true)
}

/// Topic and new id of librdkafka's line `Topic NAME changed id from ID to ID` (`rdkafka_topic.c`).
fn changed_id(text: &str) -> Option<(&str, &str)> {
    let (head, ids) = text.split_once(" changed id from ")?;
    let (_, topic) = head.rsplit_once("Topic ")?;
    Some((topic, ids.split_once(" to ")?.1.trim()))
}

fn settings(kafka: &KafkaConfig) -> rdkafka::ClientConfig {
    let mut config = kafka.client();
    config
        // The client demands a group even where partitions are assigned by hand; it never joins this one.
        .set("group.id", "blackfriday-unused")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A position that is not in the log is an error with a name, never a silent jump.
        .set("auto.offset.reset", "error")
        // What a foreign producer wrote in a transaction counts once it is committed, and never if it was aborted. The
        // default, stated because the counts rest on it.
        .set("isolation.level", "read_committed")
        // The end of a partition is told: only that says that what is left before it are control records.
        .set("enable.partition.eof", "true")
        // A topic's changed id is told in the log, see above.
        .set("debug", "topic")
        .set_log_level(RDKafkaLogLevel::Debug)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_partition_is_told_at_once_or_when_it_repeats_and_then_no_more() {
        let (ventas, mut failed) = (TopicPartition::new("ventas", 0), HashMap::new());
        assert!(!fails(&mut failed, &ventas, false), "it may pass");
        assert!(fails(&mut failed, &ventas, false), "it does not");
        assert!(!fails(&mut failed, &ventas, true), "known");
        failed.clear();
        assert!(fails(&mut failed, &ventas, true));
        assert!(!fails(&mut failed, &ventas, false));
    }

    #[test]
    fn the_line_that_tells_a_changed_id_is_read() {
        let line =
            "[thrd:main]: Topic ventas changed id from AAAAAAAAAAAAAAAAAAAAAA to 2ZHLRsM8S9ysKkhwFYGK9Q";
        assert_eq!(changed_id(line), Some(("ventas", "2ZHLRsM8S9ysKkhwFYGK9Q")));
        assert_eq!(changed_id("[thrd:main]: Topic ventas [0] Leader 1 Epoch 0"), None);
    }
}
