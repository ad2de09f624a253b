//! Looks into the broker, and lets go of records as its retention does.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use blackfriday_broker::kafka::{Admin, KafkaConfig, Subscription};
use blackfriday_broker::{BatchLimits, SubscriptionEvent};
use blackfriday_broker::{Record, RecordBatch, TopicPartition};
use blackfriday_stack::{Kafka, eventually};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::timeout;

use crate::{LIMIT, config, id};

/// The records of each partition of a topic, as they lie there.
pub(crate) async fn read(kafka: &Kafka, topic: &str) -> Result<HashMap<i32, Vec<Record>>> {
    read_at(&config(kafka), topic).await
}

async fn read_at(kafka: &KafkaConfig, topic: &str) -> Result<HashMap<i32, Vec<Record>>> {
    let admin = Admin::new(kafka)?;
    let mut subscription = Subscription::open_with_headers(kafka, BatchLimits::default())?;
    let mut missing = HashMap::new();
    for partition in admin.partitions(topic).await? {
        // A broker that hung for long has to take its place again.
        let has_leader = eventually(LIMIT, async || admin.watermarks(&partition).await.is_ok()).await;
        has_leader.context("the partition's leader")?;
        let log = admin.watermarks(&partition).await?;
        if log.low < log.high {
            subscription.start(partition.clone(), log.low, 0);
            missing.insert(partition, log.high);
        }
    }
    let mut found: HashMap<i32, Vec<Record>> = HashMap::new();
    while !missing.is_empty() {
        let batch = next_batch(&mut subscription).await?;
        missing.retain(|partition, end| *partition != batch.partition || batch.to < *end);
        found.entry(batch.partition.partition).or_default().extend(batch.records);
    }
    Ok(found)
}

/// The ids in one partition, in the order of their offsets.
pub(crate) async fn ids(kafka: &Kafka, topic: &str, partition: i32) -> Result<Vec<usize>> {
    ids_at(&config(kafka), topic, partition).await
}

/// Likewise, of whatever speaks Kafka's protocol.
pub(crate) async fn ids_at(kafka: &KafkaConfig, topic: &str, partition: i32) -> Result<Vec<usize>> {
    let records = read_at(kafka, topic).await?.remove(&partition).unwrap_or_default();
    records.iter().map(|record| id(&record.payload)).collect()
}

/// The next event, which must be records.
pub(crate) async fn next_batch(subscription: &mut Subscription) -> Result<RecordBatch> {
    match timeout(LIMIT, subscription.next()).await.context("the next records")? {
        Some(SubscriptionEvent::Batch(batch)) => Ok(batch),
        other => bail!("{other:?} instead of records"),
    }
}

/// Deletes what is before `offset`, as retention does.
pub(crate) async fn delete_before(kafka: &Kafka, partition: &TopicPartition, offset: i64) -> Result<()> {
    let client: AdminClient<DefaultClientContext> = raw(kafka).create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(offset))?;
    let options = AdminOptions::new().operation_timeout(Some(LIMIT)).request_timeout(Some(LIMIT));
    let deleted = client.delete_records(&list, &options).await?;
    for element in deleted.elements() {
        element.error()?;
    }
    Ok(())
}

/// Deletes a topic and waits until it can no longer be asked about.
pub(crate) async fn delete_topic(kafka: &Kafka, admin: &Admin, topic: &str) -> Result<()> {
    let client: AdminClient<DefaultClientContext> = raw(kafka).create()?;
    for deleted in client.delete_topics(&[topic], &AdminOptions::new()).await? {
        deleted.map_err(|(topic, code)| anyhow::anyhow!("delete {topic}: {code}"))?;
    }
    eventually(LIMIT, async || admin.partitions(topic).await.is_err()).await.context("it is gone")
}

/// Gives a topic more partitions.
pub(crate) async fn add_partitions(kafka: &Kafka, topic: &str, count: usize) -> Result<()> {
    let client: AdminClient<DefaultClientContext> = raw(kafka).create()?;
    for added in client.create_partitions(&[NewPartitions::new(topic, count)], &AdminOptions::new()).await? {
        added.map_err(|(topic, code)| anyhow::anyhow!("partitions of {topic}: {code}"))?;
    }
    Ok(())
}

/// Changes one setting of a topic.
pub(crate) async fn alter(kafka: &Kafka, topic: &str, name: &str, value: &str) -> Result<()> {
    let client: AdminClient<DefaultClientContext> = raw(kafka).create()?;
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
    for altered in client.alter_configs(&[change], &AdminOptions::new()).await? {
        altered.map_err(|(topic, code)| anyhow::anyhow!("alter {topic:?}: {code}"))?;
    }
    Ok(())
}

/// Writes records of a transaction that ends as is said.
pub(crate) async fn transact(kafka: &Kafka, topic: &str, ids: Range<usize>, commit: bool) -> Result<()> {
    let producer: BaseProducer = raw(kafka).set("transactional.id", "foreign").create()?;
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || -> Result<()> {
        producer.init_transactions(LIMIT)?;
        producer.begin_transaction()?;
        for id in ids {
            let payload = id.to_string();
            let record = BaseRecord::<str, str>::to(&topic).partition(0).payload(&payload);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.flush(LIMIT)?;
        if commit {
            producer.commit_transaction(LIMIT)?
        } else {
            producer.abort_transaction(LIMIT)?
        }
        Ok(())
    })
    .await?
}

/// What a group has committed for these partitions, as tools that show lag see it.
pub(crate) async fn committed(
    kafka: &Kafka,
    group: &str,
    partitions: &[TopicPartition],
) -> Result<Vec<Option<i64>>> {
    let client: BaseConsumer = raw(kafka).set("group.id", group).create()?;
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    let asked = tokio::task::spawn_blocking(move || client.committed_offsets(list, LIMIT)).await??;
    let offset = |partition: &TopicPartition| match asked
        .find_partition(&partition.topic, partition.partition)?
        .offset()
    {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    };
    Ok(partitions.iter().map(offset).collect())
}

/// A client that shares no setting with ours.
fn raw(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap());
    config
}
