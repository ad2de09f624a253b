use std::sync::Arc;

use anyhow::{Context, Result, bail};
use blackfriday_broker::{EventLog, LogConfig, rabbitmq};
use blackfriday_stack::{
    Clock, Kafka, KafkaCluster, KafkaClusterOptions, KafkaOptions, Proxy, RabbitMq, RabbitMqOptions, Scarce,
    StackError,
};

use crate::chaos::inject::kafka;

/// Three brokers and all services share a machine's memory.
const KAFKA_HEAP_MIB: u32 = 256;

/// The log's server, or servers.
#[derive(Debug)]
pub(crate) enum Log {
    Kafka(KafkaCluster),
    RabbitMq(Box<RabbitMq>),
}

impl Log {
    pub(super) async fn start(
        log: EventLog,
        brokers: usize,
        clock: Option<Arc<Clock>>,
    ) -> Result<Self, StackError> {
        if log == EventLog::RabbitMq {
            let options = RabbitMqOptions { behind_proxy: true, clock, ..RabbitMqOptions::default() };
            let rabbitmq = RabbitMq::start_with(options).await?;
            return Ok(Self::RabbitMq(Box::new(rabbitmq)));
        }
        let defaults = KafkaOptions::default();
        let each = KafkaOptions { heap_mib: KAFKA_HEAP_MIB, behind_proxy: true, clock, ..defaults };
        let min_in_sync = brokers / 2 + 1;
        let options = KafkaClusterOptions { brokers, replication: brokers, min_in_sync, each };
        Ok(Self::Kafka(KafkaCluster::start_with(options).await?))
    }

    /// How a client reaches it.
    pub(crate) fn config(&self) -> LogConfig {
        match self {
            Self::Kafka(kafka) => LogConfig::kafka_at(kafka.bootstrap()),
            Self::RabbitMq(rabbitmq) => LogConfig::rabbitmq_at(rabbitmq.address()),
        }
    }

    /// Kafka's bootstrap servers.
    pub(crate) fn bootstrap(&self) -> Result<String> {
        self.kafka().map(KafkaCluster::bootstrap)
    }

    /// The brokers.
    pub(crate) fn kafka(&self) -> Result<&KafkaCluster> {
        match self {
            Self::Kafka(kafka) => Ok(kafka),
            Self::RabbitMq(_) => bail!("this fault is one of Kafka, and the log is RabbitMQ"),
        }
    }

    /// One server is killed.
    pub(crate) fn kill(&self, pick: u32) -> Result<(), StackError> {
        match self {
            Self::Kafka(kafka) => node(kafka, pick).kill(),
            Self::RabbitMq(rabbitmq) => rabbitmq.kill(),
        }
    }

    pub(crate) async fn restart(&self, pick: u32) -> Result<(), StackError> {
        match self {
            Self::Kafka(kafka) => node(kafka, pick).restart().await,
            Self::RabbitMq(rabbitmq) => rabbitmq.restart().await,
        }
    }

    pub(crate) fn pause(&self, pick: u32) -> Result<(), StackError> {
        match self {
            Self::Kafka(kafka) => node(kafka, pick).pause(),
            Self::RabbitMq(rabbitmq) => rabbitmq.pause(),
        }
    }

    pub(crate) fn resume(&self, pick: u32) -> Result<(), StackError> {
        match self {
            Self::Kafka(kafka) => node(kafka, pick).resume(),
            Self::RabbitMq(rabbitmq) => rabbitmq.resume(),
        }
    }

    /// Copies the data of a single server that is stopped.
    pub(crate) fn checkpoint(&self) -> Result<(), StackError> {
        match self {
            Self::Kafka(kafka) => kafka.nodes().iter().try_for_each(Kafka::checkpoint),
            Self::RabbitMq(rabbitmq) => rabbitmq.checkpoint(),
        }
    }

    /// Kills a single server, and puts the copy in place of its data.
    pub(crate) fn roll_back(&self) -> Result<(), StackError> {
        match self {
            Self::Kafka(kafka) => kafka.nodes().iter().try_for_each(Kafka::roll_back),
            Self::RabbitMq(rabbitmq) => rabbitmq.roll_back(),
        }
    }

    /// Deletes a topic, with all that it holds.
    pub(crate) async fn delete_topic(&self, topic: &str) -> Result<()> {
        match self {
            Self::Kafka(kafka) => kafka::delete_topic(&kafka.bootstrap(), topic).await,
            Self::RabbitMq(rabbitmq) => {
                let config = LogConfig::rabbitmq_at(rabbitmq.address());
                Ok(rabbitmq::Admin::new(&config.rabbitmq)?.delete_topic(topic).await?)
            }
        }
    }

    /// The disk of a broker takes nothing more, until it is restarted.
    pub(crate) fn fill_disk(&self, pick: u32) -> Result<()> {
        Ok(node(self.kafka()?, pick).limit(Scarce::FileBytes, Some(1))?)
    }

    /// What its clients reach it through.
    pub(super) fn wires(&self) -> Vec<&Proxy> {
        match self {
            Self::Kafka(kafka) => kafka.nodes().iter().filter_map(Kafka::proxy).collect(),
            Self::RabbitMq(rabbitmq) => rabbitmq.proxy().into_iter().collect(),
        }
    }

    /// Copies of each partition.
    pub(super) fn replication(&self) -> Result<i32> {
        match self {
            Self::Kafka(kafka) => i32::try_from(kafka.nodes().len()).context("brokers"),
            Self::RabbitMq(_) => Ok(1),
        }
    }

    pub(super) async fn settle(&self) -> Result<(), StackError> {
        match self {
            Self::Kafka(_) => Ok(()),
            Self::RabbitMq(rabbitmq) => rabbitmq.settle().await,
        }
    }

    pub(super) fn environment(&self) -> [(&'static str, String); 2] {
        let log = |log: EventLog| ("BLACKFRIDAY_EVENT_LOG", log.name().to_owned());
        match self {
            Self::Kafka(kafka) => [log(EventLog::Kafka), ("BLACKFRIDAY_KAFKA_BROKERS", kafka.bootstrap())],
            Self::RabbitMq(rabbitmq) => {
                [log(EventLog::RabbitMq), ("BLACKFRIDAY_RABBITMQ_SERVERS", rabbitmq.address())]
            }
        }
    }
}

fn node(kafka: &KafkaCluster, pick: u32) -> &Kafka {
    let nodes = kafka.nodes();
    &nodes[pick as usize % nodes.len()]
}
