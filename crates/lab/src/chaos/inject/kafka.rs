//! What somebody else does to Kafka's topics.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use blackfriday_broker::SALES;
use blackfriday_stack::{Election, KafkaCluster, eventually};
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, ResourceSpecifier,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::chaos::field::Field;
use crate::chaos::kind::Kind;
use crate::chaos::schedule::Planned;

const LIMIT: Duration = Duration::from_secs(20);
/// Until another broker leads, or the first one again.
const LEADER_LIMIT: Duration = Duration::from_secs(40);
const IN_SYNC: &str = "min.insync.replicas";
/// Segments of this size, and a compression that no writer of ours uses.
const OTHER_SETTINGS: [(&str, &str); 2] = [("segment.bytes", "1048576"), ("compression.type", "lz4")];
/// The most that a topic is given.
const PARTITIONS: usize = 12;

pub(super) async fn begin(field: &Field, fault: &Planned) -> Result<()> {
    let kafka = field.main.log.bootstrap()?;
    match fault.kind {
        Kind::TopicSettings => {
            set(&kafka, SALES, &OTHER_SETTINGS.map(|(name, value)| (name, Some(value)))).await
        }
        Kind::PartitionsAdded => add_a_partition(&kafka, SALES).await,
        Kind::TooFewInSync => {
            let all = field.main.log.kafka()?.nodes().len().to_string();
            set(&kafka, SALES, &[(IN_SYNC, Some(&all))]).await?;
            Ok(field.main.log.kill(fault.pick)?)
        }
        Kind::LeadersMoved => move_leaders(field.main.log.kafka()?).await,
        _ => Ok(()),
    }
}

pub(super) async fn heal(field: &Field, fault: &Planned) -> Result<()> {
    let kafka = field.main.log.bootstrap()?;
    match fault.kind {
        Kind::TopicSettings => set(&kafka, SALES, &OTHER_SETTINGS.map(|(name, _)| (name, None))).await,
        Kind::TooFewInSync => {
            field.main.log.restart(fault.pick).await?;
            set(&kafka, SALES, &[(IN_SYNC, None)]).await
        }
        _ => Ok(()),
    }
}

/// Sets settings of a topic, or takes them back, and leaves its others as they are.
pub(super) async fn set(kafka: &str, topic: &str, changes: &[(&str, Option<&str>)]) -> Result<()> {
    let admin = admin(kafka)?;
    let (resource, options) = (ResourceSpecifier::Topic(topic), options());
    let described =
        admin.describe_configs([&resource], &options).await.context("ask for a topic's settings")?;
    let described =
        described.into_iter().next().context("no answer")?.map_err(|code| anyhow!("{topic}: {code}"))?;
    let own = described.entries.into_iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
    let mut settings: BTreeMap<String, String> =
        own.filter_map(|entry| Some((entry.name, entry.value?))).collect();
    for (name, value) in changes {
        match value {
            Some(value) => settings.insert((*name).to_owned(), (*value).to_owned()),
            None => settings.remove(*name),
        };
    }
    let all = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let altered = admin.alter_configs(&[AlterConfig { specifier: resource, entries: all }], &options).await;
    let altered = altered.context("set a topic's settings")?;
    altered.into_iter().try_for_each(|one| one.map(drop).map_err(|(_, code)| anyhow!("{topic}: {code}")))
}

/// Deletes the records of a partition below this offset, as retention does.
pub(crate) async fn delete_before(kafka: &str, topic: &str, partition: i32, offset: u64) -> Result<()> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(i64::try_from(offset)?))?;
    let deleted = admin(kafka)?.delete_records(&list, &options()).await.context("delete records")?;
    deleted.elements().iter().try_for_each(|element| element.error()).context("delete records")
}

/// Deletes a topic, which takes a moment longer.
pub(crate) async fn delete_topic(kafka: &str, topic: &str) -> Result<()> {
    let deleted = admin(kafka)?.delete_topics(&[topic], &options()).await.context("delete a topic")?;
    deleted.into_iter().try_for_each(|one| one.map(drop).map_err(|(topic, code)| anyhow!("{topic}: {code}")))
}

/// How many partitions a topic has.
pub(super) fn partitions(kafka: &str, topic: &str) -> Result<usize> {
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", kafka).create().context("make a client")?;
    let metadata = client.fetch_metadata(Some(topic), LIMIT).context("ask for the partitions")?;
    Ok(metadata.topics().first().map_or(0, |topic| topic.partitions().len()))
}

async fn add_a_partition(kafka: &str, topic: &'static str) -> Result<()> {
    let servers = kafka.to_owned();
    let there = tokio::task::spawn_blocking(move || partitions(&servers, topic)).await??;
    if there >= PARTITIONS {
        return Ok(());
    }
    let made = admin(kafka)?.create_partitions(&[NewPartitions::new(topic, there + 1)], &options()).await;
    made.context("add a partition")?
        .into_iter()
        .try_for_each(|one| one.map(drop).map_err(|(_, code)| anyhow!("{topic}: {code}")))
}

/// The broker that leads the first partition hangs until another one leads, and is put in its place again.
async fn move_leaders(kafka: &KafkaCluster) -> Result<()> {
    let old = kafka.leader(SALES, 0).await?.context("a partition without a leader")?;
    old.pause()?;
    let others: Vec<_> = kafka.nodes().iter().filter(|node| node.id() != old.id()).collect();
    let leads = async |is_old: bool| {
        let known = others[0].partitions(SALES).await.unwrap_or_default();
        let leader = known.iter().find(|partition| partition.id == 0).and_then(|partition| partition.leader);
        leader.is_some_and(|leader| (leader == old.id()) == is_old)
    };
    let moved = eventually(LEADER_LIMIT, async || leads(false).await).await;
    old.resume()?;
    moved.context("another leader")?;
    // It has to be in sync before it can lead again; where it was not the first replica, the first one leads.
    let elected = async || others[0].elect(SALES, 0, Election::Preferred).await.is_ok();
    eventually(LEADER_LIMIT, elected).await.context("the preferred leader")
}

fn admin(kafka: &str) -> Result<AdminClient<DefaultClientContext>> {
    ClientConfig::new().set("bootstrap.servers", kafka).create().context("make an admin client")
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(LIMIT)).request_timeout(Some(LIMIT))
}
