//! Looks into the broker.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use blackfriday_broker::{Admin, BatchLimits, LogConfig, Record, Subscription, SubscriptionEvent, TopicSpec};
use blackfriday_event::{Event, Sale, Timestamp, WeatherReport};
use blackfriday_proto::decode_record;
use blackfriday_stack::Kafka;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use tokio::time::timeout;

use crate::LIMIT;

/// Partitions of each topic.
const PARTITIONS: i32 = 4;

/// A record and where it is.
pub(crate) struct Found {
    pub(crate) partition: i32,
    pub(crate) record: Record,
}

pub(crate) async fn create_topics(kafka: &Kafka) -> Result<()> {
    create_topics_in(&config(kafka)).await
}

pub(crate) async fn create_topics_in(config: &LogConfig) -> Result<()> {
    let topic = |name: &str| TopicSpec {
        name: name.to_owned(),
        partitions: PARTITIONS,
        replication: 1,
        ..TopicSpec::default()
    };
    Ok(Admin::new(config)?.create_topics(&[topic("ventas"), topic("clima")]).await?)
}

/// Everything that a topic holds.
pub(crate) async fn read(kafka: &Kafka, topic: &str) -> Result<Vec<Found>> {
    read_of(&config(kafka), topic).await
}

/// Everything that a topic of any log holds.
pub(crate) async fn read_of(config: &LogConfig, topic: &str) -> Result<Vec<Found>> {
    let admin = Admin::new(config)?;
    let mut subscription = Subscription::open_with_headers(config, BatchLimits::default())?;
    let mut missing = HashMap::new();
    for partition in admin.partitions(topic).await? {
        let log = admin.watermarks(&partition).await?;
        if log.low < log.high {
            subscription.start(partition.clone(), log.low, 0);
            missing.insert(partition, log.high);
        }
    }
    let mut found = Vec::new();
    while !missing.is_empty() {
        let event = timeout(LIMIT, subscription.next()).await.context("the topic's records")?;
        let Some(SubscriptionEvent::Batch(batch)) = event else { bail!("{event:?} instead of a batch") };
        missing.retain(|partition, end| *partition != batch.partition || batch.to < *end);
        let partition = batch.partition.partition;
        found.extend(batch.records.into_iter().map(|record| Found { partition, record }));
    }
    Ok(found)
}

/// Changes one setting of a topic.
pub(crate) async fn alter(kafka: &Kafka, topic: &str, name: &str, value: &str) -> Result<()> {
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
    for altered in raw(kafka)?.alter_configs(&[change], &AdminOptions::new()).await? {
        altered.map_err(|(topic, code)| anyhow::anyhow!("alter {topic:?}: {code}"))?;
    }
    Ok(())
}

/// Gives a topic more partitions.
pub(crate) async fn add_partitions(kafka: &Kafka, topic: &str, count: usize) -> Result<()> {
    let new = [NewPartitions::new(topic, count)];
    for added in raw(kafka)?.create_partitions(&new, &AdminOptions::new()).await? {
        added.map_err(|(topic, code)| anyhow::anyhow!("partitions of {topic}: {code}"))?;
    }
    Ok(())
}

fn raw(kafka: &Kafka) -> Result<AdminClient<DefaultClientContext>> {
    let mut config = ClientConfig::new();
    Ok(config.set("bootstrap.servers", kafka.bootstrap()).create()?)
}

impl Found {
    pub(crate) fn sale(&self) -> Result<Sale> {
        match decode_record(&self.record.payload, self.accepted_at()?)? {
            Event::Sale(sale) => Ok(sale),
            other => bail!("{other:?} is no sale"),
        }
    }

    pub(crate) fn weather(&self) -> Result<WeatherReport> {
        match decode_record(&self.record.payload, self.accepted_at()?)? {
            Event::Weather(report) => Ok(report),
            other => bail!("{other:?} is no weather report"),
        }
    }

    fn accepted_at(&self) -> Result<Timestamp> {
        Timestamp::from_millis(u64::try_from(self.record.timestamp_ms)?).context("a time")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.record.headers.iter().find(|(header, _)| header == name)?;
        std::str::from_utf8(value).ok()
    }
}

fn config(kafka: &Kafka) -> LogConfig {
    LogConfig::kafka_at(kafka.bootstrap())
}
