//! The log's client before a real Kafka: what it says of records, positions and members, and what Kafka then holds.

mod admin;
mod cluster;
mod identity;
mod joined;
mod log;
mod outages;
mod positions;
mod publishing;
mod reading;
mod reconnecting;
mod refusing;
mod settings;

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_broker::kafka::{Admin, KafkaConfig, Producer, ProducerConfig};
use blackfriday_broker::{OutgoingRecord, TopicSpec};
use blackfriday_stack::{Kafka, eventually};

/// How long a test waits for what must happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn config(kafka: &Kafka) -> KafkaConfig {
    KafkaConfig::new(kafka.bootstrap())
}

/// Makes a topic and waits until it can be asked about.
pub(crate) async fn create_topic(kafka: &Kafka, name: &str, partitions: i32) -> Result<Admin> {
    let admin = Admin::new(&config(kafka))?;
    admin
        .create_topics(&[TopicSpec {
            name: name.to_owned(),
            partitions,
            replication: 1,
            ..TopicSpec::default()
        }])
        .await?;
    eventually(LIMIT, async || admin.partitions(name).await.is_ok()).await.context("the new topic")?;
    Ok(admin)
}

/// A producer that has found the broker and the topic.
pub(crate) async fn producer(kafka: &Kafka, settings: &ProducerConfig, topic: &str) -> Result<Producer> {
    let producer = Producer::new(&config(kafka), settings, topic)?;
    until_available(&producer, true).await?;
    Ok(producer)
}

pub(crate) async fn until_available(producer: &Producer, expected: bool) -> Result<()> {
    let mut seen = producer.availability().watch();
    let seen = tokio::time::timeout(LIMIT, seen.wait_for(|available| *available == expected)).await;
    seen.with_context(|| format!("available: {expected}"))??;
    Ok(())
}

/// Stops the broker's clock, and waits until each of its threads has stopped: the signal takes a moment.
pub(crate) async fn pause(kafka: &Kafka) -> Result<()> {
    kafka.pause()?;
    let tasks = format!("/proc/{}/task", kafka.pid().context("it runs")?);
    let is_paused = || -> Result<bool> {
        for task in std::fs::read_dir(&tasks)? {
            let status = std::fs::read_to_string(task?.path().join("status"))?;
            if !status.contains("State:\tT") {
                return Ok(false);
            }
        }
        Ok(true)
    };
    eventually(LIMIT, async || is_paused().is_ok_and(|all| all)).await.context("it is paused")
}

/// A record of this partition whose payload is `id`.
pub(crate) fn record(topic: &str, partition: i32, id: usize) -> OutgoingRecord {
    OutgoingRecord {
        topic: topic.to_owned(),
        partition: Some(partition),
        payload: id.to_string().into_bytes(),
        timestamp_ms: 1_700_000_000_000,
        ..OutgoingRecord::default()
    }
}

/// Publishes records with these ids to a partition; each must be acknowledged.
pub(crate) async fn publish(
    producer: &Producer,
    topic: &str,
    partition: i32,
    ids: Range<usize>,
) -> Result<()> {
    let records = ids.map(|id| record(topic, partition, id)).collect();
    for outcome in producer.publish_batch(records).outcomes().await {
        outcome?;
    }
    Ok(())
}

/// The id that is a record's payload.
pub(crate) fn id(payload: &[u8]) -> Result<usize> {
    Ok(std::str::from_utf8(payload)?.parse()?)
}

/// Bytes that do not shrink when they are compressed, also next to those of another seed.
pub(crate) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}
