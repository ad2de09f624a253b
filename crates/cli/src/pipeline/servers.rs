//! Kafka, RabbitMQ, Valkey and Redis: child processes of this one, or somebody else's, which are neither started nor stopped.

use std::process::ExitStatus;

use anyhow::{Context as _, Result};
use blackfriday_broker::kafka::KafkaConfig;
use blackfriday_broker::{EventLog, LogConfig};
use blackfriday_stack::{
    Kafka, KafkaOptions, RabbitMq, RabbitMqOptions, StackError, Valkey, ValkeyKind, ValkeyOptions,
};
use blackfriday_store::{Store, StoreConfig, ValkeyConfig};

pub(crate) use blackfriday_stack::Place;

use super::path::{Path, StoreKind};

/// Those that the paths need.
pub(crate) struct Servers {
    theirs: Theirs,
    kafka: Option<Kafka>,
    rabbitmq: Option<RabbitMq>,
    valkey: Option<Valkey>,
    redis: Option<Valkey>,
}

/// Somebody else's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Theirs {
    pub(crate) kafka: Option<KafkaConfig>,
    pub(crate) valkey: Option<ValkeyConfig>,
}

/// Where ours are to be found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    pub(crate) kafka: Place,
    pub(crate) rabbitmq: Place,
    pub(crate) valkey: Place,
    pub(crate) redis: Place,
}

/// One of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Kafka,
    RabbitMq,
    Valkey,
    Redis,
}

impl Servers {
    /// Starts ours all at once, and waits until each serves.
    pub(crate) async fn start(paths: &[Path], places: &Places, theirs: Theirs) -> Result<Self, StackError> {
        let log = |log| paths.iter().any(|path| path.log == log);
        let store = |store| paths.iter().any(|path| path.store == store);
        // Compiled code for Kafka, a thread a core for RabbitMQ: here speed is seen.
        let of_kafka = KafkaOptions { for_load: true, ..KafkaOptions::default() };
        let of_rabbitmq = RabbitMqOptions { for_load: true, ..RabbitMqOptions::default() };
        let of_redis = ValkeyOptions { kind: ValkeyKind::Redis, ..ValkeyOptions::default() };
        let is_kafka_ours = log(EventLog::Kafka) && theirs.kafka.is_none();
        let is_valkey_ours = store(StoreKind::Valkey) && theirs.valkey.is_none();
        let (kafka, rabbitmq, valkey, redis) = tokio::try_join!(
            if_needed(is_kafka_ours, Kafka::start_at(&places.kafka, of_kafka)),
            if_needed(log(EventLog::RabbitMq), RabbitMq::start_at(&places.rabbitmq, of_rabbitmq)),
            if_needed(is_valkey_ours, Valkey::start_at(&places.valkey, ValkeyOptions::default())),
            if_needed(store(StoreKind::Redis), Valkey::start_at(&places.redis, of_redis)),
        )?;
        Ok(Self { theirs, kafka, rabbitmq, valkey, redis })
    }

    /// How a client reaches a log of the paths.
    pub(crate) fn log(&self, log: EventLog) -> LogConfig {
        match (log, &self.theirs.kafka) {
            (EventLog::Kafka, Some(theirs)) => theirs.clone().into(),
            (EventLog::Kafka, None) => LogConfig::kafka_at(running(&self.kafka).bootstrap()),
            (EventLog::RabbitMq, _) => LogConfig::rabbitmq_at(running(&self.rabbitmq).address()),
        }
    }

    /// How a client reaches a store of the paths.
    pub(crate) fn valkey(&self, store: StoreKind) -> Result<ValkeyConfig> {
        match (store, &self.theirs.valkey) {
            (StoreKind::Valkey, Some(theirs)) => Ok(theirs.clone()),
            _ => ValkeyConfig::new(&self.url(store)).map_err(anyhow::Error::msg),
        }
    }

    pub(crate) fn store(&self, store: StoreKind) -> Result<Store> {
        Store::new(&self.valkey(store)?, &StoreConfig::default()).context("a store")
    }

    /// Where a log is: the addresses that a client is given first.
    pub(crate) fn log_address(&self, log: EventLog) -> String {
        let config = self.log(log);
        match log {
            EventLog::Kafka => config.kafka.brokers,
            EventLog::RabbitMq => config.rabbitmq.servers,
        }
    }

    /// Where a store is, without a password.
    pub(crate) fn url(&self, store: StoreKind) -> String {
        match (store, &self.theirs.valkey) {
            (StoreKind::Valkey, Some(theirs)) => theirs.url.to_string(),
            (StoreKind::Valkey, None) => running(&self.valkey).url().to_owned(),
            (StoreKind::Redis, _) => running(&self.redis).url().to_owned(),
        }
    }

    /// What sends commands to a store of ours, as a shell calls it.
    pub(crate) fn client(&self, store: StoreKind) -> String {
        let server = match store {
            StoreKind::Valkey => self.valkey.as_ref(),
            StoreKind::Redis => self.redis.as_ref(),
        };
        let found = server.and_then(Valkey::client);
        found.map_or_else(|| "valkey-cli".to_owned(), |path| path.display().to_string())
    }

    /// Has RabbitMQ write down what it would lose if it were killed soon after its first stream was made.
    pub(crate) async fn settle(&self) -> Result<(), StackError> {
        match &self.rabbitmq {
            Some(rabbitmq) => rabbitmq.settle().await,
            None => Ok(()),
        }
    }

    /// Waits until one of ours ends, which none does by itself.
    pub(crate) async fn ended(&self) -> (Server, ExitStatus) {
        tokio::select! {
            status = end_of(self.kafka.as_ref().map(Kafka::ended)) => (Server::Kafka, status),
            status = end_of(self.rabbitmq.as_ref().map(RabbitMq::ended)) => (Server::RabbitMq, status),
            status = end_of(self.valkey.as_ref().map(Valkey::ended)) => (Server::Valkey, status),
            status = end_of(self.redis.as_ref().map(Valkey::ended)) => (Server::Redis, status),
        }
    }

    /// Starts one of ours again where it was, on its data.
    pub(crate) async fn restart(&self, server: Server) -> Result<(), StackError> {
        match server {
            Server::Kafka => running(&self.kafka).restart().await,
            Server::RabbitMq => running(&self.rabbitmq).restart().await,
            Server::Valkey => running(&self.valkey).restart().await,
            Server::Redis => running(&self.redis).restart().await,
        }
    }

    /// Stops ours, each with its own order of things.
    pub(crate) async fn stop(&self) -> Result<(), StackError> {
        let stopped = tokio::join!(
            stop(self.kafka.as_ref().map(Kafka::stop)),
            stop(self.rabbitmq.as_ref().map(RabbitMq::stop)),
            stop(self.valkey.as_ref().map(Valkey::stop)),
            stop(self.redis.as_ref().map(Valkey::stop)),
        );
        stopped.0.and(stopped.1).and(stopped.2).and(stopped.3)
    }
}

impl Server {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Kafka => "Kafka",
            Self::RabbitMq => "RabbitMQ",
            Self::Valkey => "Valkey",
            Self::Redis => "Redis",
        }
    }
}

fn running<T>(server: &Option<T>) -> &T {
    server.as_ref().expect("every server of a path runs")
}

async fn if_needed<T>(
    needed: bool,
    start: impl Future<Output = Result<T, StackError>>,
) -> Result<Option<T>, StackError> {
    if needed { start.await.map(Some) } else { Ok(None) }
}

/// One that is not ours, or is stopped, ends never.
async fn end_of(ended: Option<impl Future<Output = Result<ExitStatus, StackError>>>) -> ExitStatus {
    if let Some(ended) = ended
        && let Ok(status) = ended.await
    {
        return status;
    }
    std::future::pending().await
}

async fn stop(stop: Option<impl Future<Output = Result<(), StackError>>>) -> Result<(), StackError> {
    match stop {
        Some(stop) => stop.await,
        None => Ok(()),
    }
}
