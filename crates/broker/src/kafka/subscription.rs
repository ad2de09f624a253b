//! Reading partitions, each from an offset that the caller names.
//!
//! A thread of its own polls the client and cuts batches; a bounded channel hands them on. When nobody takes them the
//! thread waits, and the client stops fetching at its own limit: memory stays flat however far the log is ahead.
//!
//! Reading on is checked where the caller names the record before its position: it is fetched first, and if it is not what
//! it was, nothing is handed over. A topic that is made again under its name while it is read is noticed before any of its
//! new records is handed over: brokers since Kafka 3.1 are asked for records by the topic's id (KIP-516), librdkafka logs a
//! changed id before it asks by the new one, and its log comes through the same queue as the records.

mod poller;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::BaseConsumer;
use tokio::sync::mpsc;

use self::poller::{Command, Poller};
use super::config::KafkaConfig;
use super::fetched::{Fetched, Wanted};
use super::lifeline::Lifeline;
use super::reports::Reports;
use crate::complaints::Complaints;
use crate::error::BrokerError;
use crate::partition::TopicPartition;
use crate::record::LastRead;
use crate::subscription::{BatchLimits, SubscriptionEvent};

/// Batches that wait for the reader.
const CHANNEL: usize = 4;

/// Reads partitions from given offsets.
pub struct Subscription {
    events: mpsc::Receiver<SubscriptionEvent>,
    commands: Sender<Command>,
    complaints: Complaints,
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
            known: HashSet::new(),
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

    /// Stops reading a partition.
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
        // The end of a partition is reported: only that says that what is left before it are control records.
        .set("enable.partition.eof", "true")
        // A topic's changed id is in the client's log, see above.
        .set("debug", "topic")
        .set_log_level(RDKafkaLogLevel::Debug)
        // What is fetched ahead stays small (defaults: 100000 records, 64 MiB, 1 MiB a fetch of a partition): a
        // backlog fills it.
        .set("queued.min.messages", "5000")
        .set("queued.max.messages.kbytes", "4096")
        .set("fetch.message.max.bytes", "262144")
        // A fetch that finds little is answered after 20 ms instead of 500, so that the counts stay warm; one that finds
        // this many bytes at once.
        .set("fetch.wait.max.ms", "20")
        .set("fetch.min.bytes", "65536")
        // After an empty fetch queue, look again soon (default 1000 ms).
        .set("fetch.queue.backoff.ms", "10");
    config
}
