use anyhow::{Context, Result};
use blackfriday_broker::{EventLog, LogConfig};
use blackfriday_stack::{Kafka, KafkaCluster, KafkaClusterOptions, KafkaOptions, RabbitMq, RabbitMqOptions};

use super::field::Setup;

/// The log's heap: enough that its collector is not what is measured.
const KAFKA_HEAP_MIB: u32 = 1024;

/// The log's server.
pub(crate) enum Server {
    Kafka(Box<Kafka>),
    Cluster(KafkaCluster),
    RabbitMq(Box<RabbitMq>),
}

impl Server {
    /// Starts it, and waits until it serves.
    pub(super) async fn start(setup: &Setup) -> Result<Self> {
        let of_kafka = KafkaOptions { for_load: true, heap_mib: KAFKA_HEAP_MIB, ..KafkaOptions::default() };
        Ok(match setup.log {
            EventLog::Kafka if setup.brokers == 1 => {
                Self::Kafka(Box::new(Kafka::start_with(of_kafka).await?))
            }
            EventLog::Kafka => {
                let options = KafkaClusterOptions {
                    brokers: setup.brokers,
                    replication: setup.brokers,
                    each: of_kafka,
                    ..KafkaClusterOptions::default()
                };
                Self::Cluster(KafkaCluster::start_with(options).await?)
            }
            EventLog::RabbitMq => {
                let options = RabbitMqOptions { for_load: true, ..RabbitMqOptions::default() };
                Self::RabbitMq(Box::new(RabbitMq::start_with(options).await?))
            }
        })
    }

    /// As a client is told where it is.
    pub(super) fn config(&self) -> LogConfig {
        match (self, self.brokers()) {
            (Self::RabbitMq(rabbitmq), _) => LogConfig::rabbitmq_at(rabbitmq.address()),
            (_, brokers) => LogConfig::kafka_at(brokers.unwrap_or_default()),
        }
    }

    /// Kafka's bootstrap servers.
    pub(crate) fn brokers(&self) -> Option<String> {
        match self {
            Self::Kafka(kafka) => Some(kafka.bootstrap().to_owned()),
            Self::Cluster(cluster) => Some(cluster.bootstrap()),
            Self::RabbitMq(_) => None,
        }
    }

    /// Where RabbitMQ speaks AMQP 0.9.1.
    pub(super) fn amqp(&self) -> Option<String> {
        match self {
            Self::RabbitMq(rabbitmq) => Some(rabbitmq.amqp_address()),
            Self::Kafka(_) | Self::Cluster(_) => None,
        }
    }

    /// Its name and version.
    pub(super) async fn version(&self) -> Result<String> {
        let kafka = |kafka: &Kafka| {
            let version = kafka.version().context("Kafka's jars tell no version")?;
            Ok(format!("Kafka {version}"))
        };
        match self {
            Self::Kafka(node) => kafka(node),
            Self::Cluster(cluster) => kafka(cluster.nodes().first().context("a cluster has nodes")?),
            Self::RabbitMq(rabbitmq) => {
                Ok(format!("RabbitMQ {}", rabbitmq.rabbitmqctl(&["version"]).await?.trim()))
            }
        }
    }

    /// Of each of its nodes, where it runs.
    pub(super) fn pids(&self) -> Vec<Option<u32>> {
        match self {
            Self::Kafka(kafka) => vec![kafka.pid()],
            Self::Cluster(cluster) => cluster.nodes().iter().map(Kafka::pid).collect(),
            Self::RabbitMq(rabbitmq) => vec![rabbitmq.pid()],
        }
    }

    /// How services are told where it is.
    pub(super) fn environment(&self) -> (&'static str, String) {
        match (self, self.brokers()) {
            (Self::RabbitMq(rabbitmq), _) => ("BLACKFRIDAY_RABBITMQ_SERVERS", rabbitmq.address()),
            (_, brokers) => ("BLACKFRIDAY_KAFKA_BROKERS", brokers.unwrap_or_default()),
        }
    }
}
