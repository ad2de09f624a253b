//! Partitions that lose their leader. A real Kafka of one node cannot lose one and keep the others, so this is librdkafka's
//! own stand-in for two brokers.

use anyhow::{Context as _, Result, ensure};
use blackfriday_broker::dead_letter::topic_of;
use blackfriday_broker::{LogConfig, OutgoingRecord, Producer, ProducerConfig};
use blackfriday_proto::encode_record;
use blackfriday_stack::{Valkey, eventually};
use blackfriday_store::{Store, StoreConfig, ValkeyConfig};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::DefaultProducerContext;
use tokio::time::timeout;

use crate::bench::{Consumer, LIMIT, PARTITIONS, sale, start};

/// The broker of all partitions but one, the broker of that one, and which it is.
const LEADER: i32 = 1;
const OTHER: i32 = 2;
const LOST: i32 = 1;

struct Bench {
    cluster: MockCluster<'static, DefaultProducerContext>,
    valkey: Valkey,
    store: Store,
    producer: Producer,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_leader_at_the_start_holds_no_other_up() -> Result<()> {
    let bench = Bench::start().await?;
    bench.publish(0..PARTITIONS, 20).await?;
    bench.cluster.partition_leader("ventas", LOST, None)?;
    let consumer = bench.consumer()?;
    bench.counts(&[0, 2], 20).await?;
    bench.shows_the_lost(&consumer).await?;
    ensure!(!bench.store.partitions("ventas").await?.contains_key(&LOST), "it is not counted");
    bench.cluster.partition_leader("ventas", LOST, Some(OTHER))?;
    bench.counts_all(&consumer, 20).await?;
    consumer.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_leader_dies_holds_no_other_up() -> Result<()> {
    let bench = Bench::start().await?;
    bench.publish(0..PARTITIONS, 20).await?;
    let consumer = bench.consumer()?;
    bench.counts_all(&consumer, 20).await?;
    bench.publish([LOST], 20).await?;
    bench.counts(&[LOST], 40).await?;
    bench.cluster.broker_down(OTHER)?;
    bench.publish([0, 2], 40).await?;
    bench.counts(&[0, 2], 60).await?;
    bench.shows_the_lost(&consumer).await?;
    bench.cluster.broker_up(OTHER)?;
    bench.publish([LOST], 20).await?;
    bench.counts_all(&consumer, 60).await?;
    consumer.stop().await
}

impl Bench {
    async fn start() -> Result<Self> {
        let cluster = MockCluster::new(2)?;
        cluster.create_topic("ventas", PARTITIONS, 1)?;
        for partition in 0..PARTITIONS {
            let leader = if partition == LOST { OTHER } else { LEADER };
            cluster.partition_leader("ventas", partition, Some(leader))?;
        }
        for topic in ["clima".to_owned(), topic_of("ventas"), topic_of("clima")] {
            cluster.create_topic(&topic, 1, 1)?;
            cluster.partition_leader(&topic, 0, Some(LEADER))?;
        }
        cluster.coordinator(MockCoordinator::Group("blackfriday".to_owned()), LEADER)?;
        let valkey = Valkey::start().await?;
        let config = ValkeyConfig::new(valkey.url()).map_err(anyhow::Error::msg)?;
        let store = Store::new(&config, &StoreConfig::default())?;
        let kafka = LogConfig::kafka_at(cluster.bootstrap_servers());
        let producer = Producer::new(&kafka, &ProducerConfig::default(), "ventas")?;
        timeout(LIMIT, producer.availability().watch().wait_for(|available| *available)).await??;
        Ok(Self { cluster, valkey, store, producer })
    }

    fn consumer(&self) -> Result<Consumer> {
        start(&self.cluster.bootstrap_servers(), self.valkey.url(), &[])
    }

    async fn publish(&self, partitions: impl IntoIterator<Item = i32>, count: u64) -> Result<()> {
        for partition in partitions {
            for n in 0..count {
                let payload = encode_record(&sale(n, None));
                let topic = "ventas".to_owned();
                let record =
                    OutgoingRecord { topic, partition: Some(partition), payload, ..Default::default() };
                eventually(LIMIT, async || self.producer.publish(record.clone()).await.is_ok()).await?;
            }
        }
        Ok(())
    }

    async fn shows_the_lost(&self, consumer: &Consumer) -> Result<()> {
        let shown = async || {
            consumer.lacks("partitions can be read")
                && consumer.metric("blackfriday_consumer_unreadable_partitions") == Some(1.0)
        };
        Ok(eventually(LIMIT, shown).await?)
    }

    async fn counts_all(&self, consumer: &Consumer, position: i64) -> Result<()> {
        self.counts(&[0, 1, 2], position).await?;
        let ready = async || consumer.context.readiness.is_ready();
        let missing = || format!("{:?}", consumer.context.readiness.missing());
        eventually(LIMIT, ready).await.with_context(missing)?;
        ensure!(consumer.metric("blackfriday_consumer_unreadable_partitions").is_none());
        Ok(())
    }

    /// Waits until these partitions are counted up to here.
    async fn counts(&self, partitions: &[i32], position: i64) -> Result<()> {
        let counted = async || {
            let stored = self.store.partitions("ventas").await.unwrap_or_default();
            partitions.iter().all(|id| stored.get(id).is_some_and(|stored| stored.next == position))
        };
        eventually(LIMIT, counted).await.with_context(|| format!("{partitions:?} up to {position}"))
    }
}
