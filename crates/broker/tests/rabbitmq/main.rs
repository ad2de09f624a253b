//! The log's client before a real RabbitMQ: what it says of records, positions and members, and what RabbitMQ then holds.

mod access;
mod admin;
mod foreign;
mod identity;
mod log;
mod members;
mod outages;
mod publishing;
mod reading;

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_broker::rabbitmq::{Admin, Producer, ProducerConfig, RabbitMqConfig};
use blackfriday_broker::{Destination, OutgoingRecord, TopicPartition, TopicSpec};
use blackfriday_stack::{RabbitMq, eventually};

/// How long a test waits for what must happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn config(rabbitmq: &RabbitMq) -> RabbitMqConfig {
    RabbitMqConfig::new(rabbitmq.address())
}

pub(crate) fn topic(name: &str, partitions: i32) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions, replication: 1, ..TopicSpec::default() }
}

/// Makes a topic.
pub(crate) async fn create_topic(rabbitmq: &RabbitMq, name: &str, partitions: i32) -> Result<Admin> {
    let admin = Admin::new(&config(rabbitmq))?;
    admin.create_topics(&[topic(name, partitions)]).await?;
    Ok(admin)
}

pub(crate) fn to(topic: &str) -> Destination {
    Destination { topic: topic.to_owned(), min_partitions: 1 }
}

/// A producer that has found the broker and the topic.
pub(crate) async fn producer(rabbitmq: &RabbitMq, topic: &str) -> Result<Producer> {
    let producer = Producer::to(&config(rabbitmq), &ProducerConfig::default(), vec![to(topic)])?;
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
pub(crate) async fn pause(rabbitmq: &RabbitMq) -> Result<()> {
    rabbitmq.pause()?;
    let tasks = format!("/proc/{}/task", rabbitmq.pid().context("it runs")?);
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

/// Has the broker write down that it has streams at all. RabbitMQ 3.10 writes it some time after it made the first one; killed
/// before, it was seen to start without its streams, whatever their files held.
pub(crate) async fn on_disk(rabbitmq: &RabbitMq) -> Result<()> {
    rabbitmq.rabbitmqctl(&["eval", "dets:sync(ra_coordination_directory_reverse)."]).await?;
    Ok(())
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

pub(crate) fn ventas(partition: i32) -> TopicPartition {
    TopicPartition::new("ventas", partition)
}
