use std::time::Duration;

use crate::config::{EventLog, LogConfig};
use crate::error::BrokerError;
use crate::partition::TopicPartition;
use crate::record::{LastRead, RecordBatch};
use crate::{kafka, rabbitmq};

/// Where a batch is cut.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Records in a batch.
    pub max_records: usize,
    /// Bytes of payload in a batch, give or take one record.
    pub max_bytes: usize,
    /// From the first record of a batch to its end, at the longest: the batches of all partitions are handed on together.
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
    /// The log does not hold the record after which a partition was started. It is not read any more.
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
pub enum Subscription {
    /// Of Kafka.
    Kafka(kafka::Subscription),
    /// Of RabbitMQ.
    RabbitMq(rabbitmq::Subscription),
}

impl Subscription {
    /// Opens a subscription of nothing. `with_traces`: whether records' trace contexts are read, at the cost of an
    /// allocation per record.
    ///
    /// # Errors
    /// A setting is refused.
    pub fn open(log: &LogConfig, limits: BatchLimits, with_traces: bool) -> Result<Self, BrokerError> {
        match log.log {
            EventLog::Kafka => kafka::Subscription::open(&log.kafka, limits, with_traces).map(Self::Kafka),
            EventLog::RabbitMq => {
                rabbitmq::Subscription::open(&log.rabbitmq, limits, with_traces).map(Self::RabbitMq)
            }
        }
    }

    /// Opens a subscription of nothing, whose records come with all their headers.
    ///
    /// # Errors
    /// A setting is refused.
    pub fn open_with_headers(log: &LogConfig, limits: BatchLimits) -> Result<Self, BrokerError> {
        match log.log {
            EventLog::Kafka => kafka::Subscription::open_with_headers(&log.kafka, limits).map(Self::Kafka),
            EventLog::RabbitMq => {
                rabbitmq::Subscription::open_with_headers(&log.rabbitmq, limits).map(Self::RabbitMq)
            }
        }
    }

    /// Reads a partition from `offset` on. A partition that is being read already starts over there; batches of an
    /// older `epoch` are void.
    pub fn start(&self, partition: TopicPartition, offset: i64, epoch: u64) {
        match self {
            Self::Kafka(subscription) => subscription.start(partition, offset, epoch),
            Self::RabbitMq(subscription) => subscription.start(partition, offset, epoch),
        }
    }

    /// As [`Subscription::start`], if the log still holds the record `last`, whose offset is below `offset`; otherwise
    /// [`SubscriptionEvent::Replaced`] says so, and nothing is read.
    pub fn start_after(&self, partition: TopicPartition, last: LastRead, offset: i64, epoch: u64) {
        match self {
            Self::Kafka(subscription) => subscription.start_after(partition, last, offset, epoch),
            Self::RabbitMq(subscription) => subscription.start_after(partition, last, offset, epoch),
        }
    }

    /// Stops reading a partition.
    pub fn stop(&self, partition: TopicPartition) {
        match self {
            Self::Kafka(subscription) => subscription.stop(partition),
            Self::RabbitMq(subscription) => subscription.stop(partition),
        }
    }

    /// The next event; `None` if what fetches has died.
    pub async fn next(&mut self) -> Option<SubscriptionEvent> {
        match self {
            Self::Kafka(subscription) => subscription.next().await,
            Self::RabbitMq(subscription) => subscription.next().await,
        }
    }

    /// What somebody has to mend, if the client complained in the last seconds: a broker's name that does not resolve, a
    /// wrong password.
    pub fn complaint(&self) -> Option<String> {
        match self {
            Self::Kafka(subscription) => subscription.complaint(),
            Self::RabbitMq(subscription) => subscription.complaint(),
        }
    }
}
