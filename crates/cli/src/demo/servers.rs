use anyhow::{Context as _, Result};
use blackfriday_broker::{EventLog, LogConfig};
use blackfriday_stack::{Kafka, KafkaOptions, RabbitMq, RabbitMqOptions, StackError, Valkey, ValkeyOptions};
use blackfriday_store::{Store, StoreConfig, ValkeyConfig};

use super::configured::arguments;
use super::path::{Path, StoreKind};

/// Those that the paths need.
pub(super) struct Servers {
    kafka: Option<Kafka>,
    rabbitmq: Option<RabbitMq>,
    valkey: Option<Valkey>,
    redis: Option<Valkey>,
}

impl Servers {
    /// Starts them all at once, and waits until each serves.
    pub(super) async fn start(paths: &[Path]) -> Result<Self, StackError> {
        let log = |log| paths.iter().any(|path| path.log == log);
        let store = |store| paths.iter().any(|path| path.store == store);
        // Compiled code for Kafka, a thread a core for RabbitMQ: the demo is also where speed is measured.
        let options = KafkaOptions { for_load: true, ..KafkaOptions::default() };
        let rabbitmq = RabbitMqOptions { for_load: true, ..RabbitMqOptions::default() };
        let (kafka, rabbitmq, valkey, redis) = tokio::try_join!(
            if_needed(log(EventLog::Kafka), Kafka::start_with(options)),
            if_needed(log(EventLog::RabbitMq), RabbitMq::start_with(rabbitmq)),
            if_needed(store(StoreKind::Valkey), Valkey::start()),
            if_needed(store(StoreKind::Redis), Valkey::start_redis_with(ValkeyOptions::default())),
        )?;
        Ok(Self { kafka, rabbitmq, valkey, redis })
    }

    /// The flags by which a command reaches a log.
    pub(super) fn log_flags(&self, log: EventLog) -> Vec<String> {
        let (flag, address) = match log {
            EventLog::Kafka => {
                ("--kafka-brokers", self.kafka.as_ref().map(|kafka| kafka.bootstrap().to_owned()))
            }
            EventLog::RabbitMq => ("--rabbitmq-servers", self.rabbitmq.as_ref().map(RabbitMq::address)),
        };
        let address = address.expect("every log of a path runs");
        ["--log", log.name(), flag, &address].map(str::to_owned).into()
    }

    /// The flags by which a command reaches a store.
    pub(super) fn store_flags(&self, store: StoreKind) -> [String; 2] {
        ["--valkey-url".to_owned(), self.url(store).to_owned()]
    }

    /// Where a store is.
    pub(super) fn url(&self, store: StoreKind) -> &str {
        let url = match store {
            StoreKind::Valkey => self.valkey.as_ref().map(Valkey::url),
            StoreKind::Redis => self.redis.as_ref().map(Valkey::url),
        };
        url.expect("every store of a path runs")
    }

    pub(super) fn log(&self, log: EventLog) -> Result<LogConfig> {
        arguments(&self.log_flags(log))
    }

    pub(super) fn store(&self, store: StoreKind) -> Result<Store> {
        let valkey = ValkeyConfig::new(self.url(store)).map_err(anyhow::Error::msg)?;
        Store::new(&valkey, &StoreConfig::default()).context("a store")
    }
}

async fn if_needed<T>(
    needed: bool,
    start: impl Future<Output = Result<T, StackError>>,
) -> Result<Option<T>, StackError> {
    if needed { start.await.map(Some) } else { Ok(None) }
}
