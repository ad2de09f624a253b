use std::time::Duration;

use tokio::sync::watch;

use crate::availability::Availability;
use crate::config::{EventLog, LogConfig, ProducerConfig};
use crate::delivery::{BatchDelivery, Outcome};
use crate::error::BrokerError;
use crate::faults::Reasons;
use crate::record::OutgoingRecord;
use crate::{kafka, rabbitmq};

/// Publishes records and reports when they are acknowledged. Clones share one client.
#[derive(Clone)]
pub enum Producer {
    /// Of Kafka.
    Kafka(kafka::Producer),
    /// Of RabbitMQ.
    RabbitMq(rabbitmq::Producer),
}

/// A topic that is written to.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its name.
    pub topic: String,
    /// Partitions that it must have; with fewer it takes no records.
    pub min_partitions: usize,
}

impl Producer {
    /// As [`Producer::to`], of one topic with any number of partitions.
    ///
    /// # Errors
    /// As there.
    pub fn new(log: &LogConfig, producer: &ProducerConfig, topic: &str) -> Result<Self, BrokerError> {
        Self::to(log, producer, vec![Destination { topic: topic.to_owned(), min_partitions: 1 }])
    }

    /// Makes a producer that looks for the broker in the background, and at each topic: whether it can be written to. The
    /// broker is there while any of them is.
    ///
    /// # Errors
    /// A setting is refused by the client, or this is not within a runtime. An unreachable broker is not an error here.
    pub fn to(
        log: &LogConfig,
        producer: &ProducerConfig,
        topics: Vec<Destination>,
    ) -> Result<Self, BrokerError> {
        match log.log {
            EventLog::Kafka => kafka::Producer::to(&log.kafka, &producer.kafka, topics).map(Self::Kafka),
            EventLog::RabbitMq => {
                rabbitmq::Producer::to(&log.rabbitmq, &producer.rabbitmq, topics).map(Self::RabbitMq)
            }
        }
    }

    /// Why topics take no records, although the broker is there. Follows the changes.
    pub fn watch_topics(&self) -> watch::Receiver<Reasons> {
        match self {
            Self::Kafka(producer) => producer.watch_topics(),
            Self::RabbitMq(producer) => producer.watch_topics(),
        }
    }

    /// Why this topic takes no records now.
    pub fn refuses(&self, topic: &str) -> Option<String> {
        match self {
            Self::Kafka(producer) => producer.refuses(topic),
            Self::RabbitMq(producer) => producer.refuses(topic),
        }
    }

    /// What somebody has to mend, if the client complained in the last seconds: a broker's name that does not resolve, a
    /// wrong password.
    pub fn complaint(&self) -> Option<String> {
        match self {
            Self::Kafka(producer) => producer.complaint(),
            Self::RabbitMq(producer) => producer.complaint(),
        }
    }

    /// Whether the broker can be reached.
    pub fn availability(&self) -> &Availability {
        match self {
            Self::Kafka(producer) => producer.availability(),
            Self::RabbitMq(producer) => producer.availability(),
        }
    }

    /// Hands records over without waiting. Each gets its outcome in the delivery, in order: a record that the queue does
    /// not take, or any while the broker is away or takes no records, has failed already.
    pub fn publish_batch(&self, records: Vec<OutgoingRecord>) -> BatchDelivery {
        match self {
            Self::Kafka(producer) => producer.publish_batch(records),
            Self::RabbitMq(producer) => producer.publish_batch(records),
        }
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
        match self {
            Self::Kafka(producer) => producer.flush(limit).await,
            Self::RabbitMq(producer) => producer.flush(limit).await,
        }
    }
}

impl Destination {
    /// Why a topic with so many partitions cannot be written to as it is meant to be.
    pub(crate) fn lacks(&self, partitions: usize) -> Option<String> {
        match partitions {
            0 => Some("it has no partitions".to_owned()),
            _ if partitions < self.min_partitions => Some(format!(
                "it has {partitions} partitions, and records with a key are spread over {}",
                self.min_partitions
            )),
            _ => None,
        }
    }
}
