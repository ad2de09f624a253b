use std::time::Duration;

use crate::config::{EventLog, LogConfig};
use crate::error::BrokerError;
use crate::partition::TopicPartition;
use crate::record::Watermarks;
use crate::{kafka, rabbitmq};

/// A topic to be made.
#[derive(Debug, Clone, Default)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication: i32,
    /// How long its records are kept at the least, in whole segments; `None`: what the broker is set to.
    pub retention: Option<Duration>,
    /// Bytes of a partition from which on its oldest segments go; `None`: what the broker is set to.
    pub retention_bytes: Option<u64>,
}

/// Where a topic that is there is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDifference {
    /// What differs: `partitions`, `copies`, or the log's own name of a setting.
    pub what: String,
    /// What it is.
    pub found: String,
    /// What was asked for.
    pub asked: String,
}

/// Asks the event log about topics, and makes them.
pub enum Admin {
    /// Kafka.
    Kafka(kafka::Admin),
    /// RabbitMQ.
    RabbitMq(Box<rabbitmq::Admin>),
}

impl Admin {
    /// Makes a client; it connects when it is used.
    ///
    /// # Errors
    /// A setting is refused.
    pub fn new(log: &LogConfig) -> Result<Self, BrokerError> {
        match log.log {
            EventLog::Kafka => kafka::Admin::new(&log.kafka).map(Self::Kafka),
            EventLog::RabbitMq => rabbitmq::Admin::new(&log.rabbitmq).map(Box::new).map(Self::RabbitMq),
        }
    }

    /// Makes the topics that do not exist yet.
    ///
    /// # Errors
    /// The broker does not answer within 10 s, or refuses one.
    pub async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), BrokerError> {
        match self {
            Self::Kafka(admin) => admin.create_topics(topics).await,
            Self::RabbitMq(admin) => admin.create_topics(topics).await,
        }
    }

    /// Where a topic is not what is asked for, as far as the log tells: RabbitMQ tells nothing but the partitions.
    ///
    /// # Errors
    /// The broker does not answer within 10 s, or there is no such topic.
    pub async fn differences(&self, spec: &TopicSpec) -> Result<Vec<TopicDifference>, BrokerError> {
        match self {
            Self::Kafka(admin) => admin.differences(spec).await,
            Self::RabbitMq(admin) => {
                let found = admin.partitions(&spec.name).await?.len();
                Ok(TopicDifference::new("partitions", found, spec.partitions).into_iter().collect())
            }
        }
    }

    /// The partitions of a topic.
    ///
    /// # Errors
    /// The broker does not answer within 10 s, or there is no such topic.
    pub async fn partitions(&self, topic: &str) -> Result<Vec<TopicPartition>, BrokerError> {
        match self {
            Self::Kafka(admin) => admin.partitions(topic).await,
            Self::RabbitMq(admin) => admin.partitions(topic).await,
        }
    }

    /// As [`Admin::partitions`], with another limit.
    ///
    /// # Errors
    /// As there.
    pub async fn partitions_within(
        &self,
        topic: &str,
        limit: Duration,
    ) -> Result<Vec<TopicPartition>, BrokerError> {
        match self {
            Self::Kafka(admin) => admin.partitions_within(topic, limit).await,
            Self::RabbitMq(admin) => admin.partitions_within(topic, limit).await,
        }
    }

    /// The offsets that a partition holds.
    ///
    /// # Errors
    /// The broker does not answer within 10 s.
    pub async fn watermarks(&self, partition: &TopicPartition) -> Result<Watermarks, BrokerError> {
        match self {
            Self::Kafka(admin) => admin.watermarks(partition).await,
            Self::RabbitMq(admin) => admin.watermarks(partition).await,
        }
    }

    /// As [`Admin::watermarks`], with another limit.
    ///
    /// # Errors
    /// As there.
    pub async fn watermarks_within(
        &self,
        partition: &TopicPartition,
        limit: Duration,
    ) -> Result<Watermarks, BrokerError> {
        match self {
            Self::Kafka(admin) => admin.watermarks_within(partition, limit).await,
            Self::RabbitMq(admin) => admin.watermarks_within(partition, limit).await,
        }
    }

    /// What a topic's setting is; `None` if the log has no such setting, or our user may not see it.
    ///
    /// # Errors
    /// The broker does not answer within 10 s.
    pub async fn setting(&self, topic: &str, name: &str) -> Result<Option<String>, BrokerError> {
        match self {
            Self::Kafka(admin) => admin.setting(topic, name).await,
            // It does not tell a stream's arguments over this protocol.
            Self::RabbitMq(_) => Ok(None),
        }
    }
}

impl TopicDifference {
    /// None if both are the same.
    pub(crate) fn new(what: &str, found: impl ToString, asked: impl ToString) -> Option<Self> {
        let (found, asked) = (found.to_string(), asked.to_string());
        (found != asked).then(|| Self { what: what.to_owned(), found, asked })
    }
}
