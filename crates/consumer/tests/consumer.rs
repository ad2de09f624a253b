//! The consumer over real Kafka and Valkey: whatever happens, the store is what the log adds up to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use blackfriday_broker::kafka::{
    Admin, BatchLimits, KafkaConfig, Producer, ProducerConfig, Subscription, SubscriptionEvent, TopicSpec,
};
use blackfriday_broker::{OutgoingRecord, Record, TopicPartition};
use blackfriday_consumer::{Config, Error, ORIGIN_OFFSET, ORIGIN_PARTITION, REASON, dead_letter_topic, run};
use blackfriday_event::{
    Category, EventId, IdempotencyKey, Money, ProductId, Quantity, Sale, SaleDraft, Timestamp,
};
use blackfriday_proto::{Event, decode_record, encode_sale};
use blackfriday_service::Context;
use blackfriday_stack::{Kafka, Valkey, eventually};
use blackfriday_store::{LastRecord, Store, StoreConfig, ValkeyConfig};
use clap::Parser;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PARTITIONS: i32 = 3;
const LIMIT: Duration = Duration::from_secs(40);

/// Kafka, Valkey, and what was published to each partition of `ventas`.
struct Bench {
    kafka: Kafka,
    valkey: Valkey,
    producer: Producer,
    store: Store,
    log: BTreeMap<i32, Vec<Option<Sale>>>,
}

struct Consumer {
    context: Context,
    running: JoinHandle<Result<(), Error>>,
}

impl Bench {
    async fn start() -> Result<Self> {
        let (kafka, valkey) = tokio::try_join!(Kafka::start(), Valkey::start())?;
        let client = KafkaConfig::new(kafka.bootstrap());
        let spec = |name: String, partitions| TopicSpec { name, partitions, replication: 1 };
        let mut topics = vec![spec("ventas".into(), PARTITIONS), spec("clima".into(), 1)];
        topics.extend(["ventas", "clima"].map(|topic| spec(dead_letter_topic(topic), 1)));
        Admin::new(&client)?.create_topics(&topics).await?;
        let producer = Producer::new(&client, &ProducerConfig::default(), "ventas")?;
        timeout(LIMIT, producer.availability().watch().wait_for(|available| *available)).await??;
        let store = Store::new(
            &ValkeyConfig::new(valkey.url()).map_err(anyhow::Error::msg)?,
            &StoreConfig::default(),
        )?;
        Ok(Self { kafka, valkey, producer, store, log: BTreeMap::new() })
    }

    fn consumer(&self, arguments: &[&str]) -> Result<Consumer> {
        let backends = ["test", "--kafka-brokers", self.kafka.bootstrap(), "--valkey-url", self.valkey.url()];
        let config = Config::try_parse_from(backends.iter().chain(arguments))?;
        let context = Context::new("consumer");
        Ok(Consumer { context: context.clone(), running: tokio::spawn(run(config, context)) })
    }

    /// Publishes a record to a partition: a sale, or bytes that are none.
    async fn publish(&mut self, partition: i32, sale: Option<Sale>) -> Result<()> {
        let payload = sale.as_ref().map_or_else(|| b"nonsense".to_vec(), encode_sale);
        let record = OutgoingRecord {
            topic: "ventas".into(),
            partition: Some(partition),
            payload,
            ..OutgoingRecord::default()
        };
        let position = self.producer.publish(record).await?;
        let log = self.log.entry(partition).or_default();
        ensure!(usize::try_from(position.offset)? == log.len(), "offsets are consecutive");
        log.push(sale);
        Ok(())
    }

    async fn publish_sales(&mut self, count: u64) -> Result<()> {
        for n in 0..count {
            self.publish(i32::try_from(n)? % PARTITIONS, Some(sale(n, None))).await?;
        }
        Ok(())
    }

    /// Waits until the store is what the log adds up to, key by key.
    async fn counts_exactly(&self) -> Result<()> {
        let mut model = self.store.model();
        for (partition, record) in self.records().await? {
            let last = LastRecord { offset: record.offset, digest: record.digest() };
            model.pass("ventas", partition, last);
            let accepted_at = Timestamp::from_log(record.timestamp_ms).context("the log's time")?;
            if let Ok(Event::Sale(sale)) = decode_record(&record.payload, accepted_at) {
                model.record_sale("ventas", partition, record.offset, &sale);
            }
        }
        for (partition, log) in &self.log {
            model.advance("ventas", *partition, i64::try_from(log.len())?);
        }
        let now = Timestamp::from(SystemTime::now()).millis();
        let equal = async || self.store.dump().await.is_ok_and(|dump| model.compare(&dump, now).is_empty());
        if eventually(LIMIT, equal).await.is_err() {
            anyhow::bail!("the store differs: {:?}", model.compare(&self.store.dump().await?, now));
        }
        Ok(())
    }
}

impl Bench {
    /// Everything that the topic holds, with its partition.
    async fn records(&self) -> Result<Vec<(i32, Record)>> {
        let mut subscription =
            Subscription::open(&KafkaConfig::new(self.kafka.bootstrap()), BatchLimits::default(), false)?;
        let mut missing = BTreeMap::new();
        for (partition, log) in &self.log {
            subscription.start(TopicPartition::new("ventas", *partition), 0, 0);
            missing.insert(*partition, i64::try_from(log.len())?);
        }
        let mut records = Vec::new();
        while !missing.is_empty() {
            let event = timeout(LIMIT, subscription.next()).await.context("the topic's records")?;
            let Some(SubscriptionEvent::Batch(batch)) = event else { anyhow::bail!("{event:?}") };
            let partition = batch.partition.partition;
            missing.retain(|missing, end| *missing != partition || batch.to < *end);
            records.extend(batch.records.into_iter().map(|record| (partition, record)));
        }
        Ok(records)
    }
}

impl Consumer {
    /// Partitions of `ventas` whose lag it tells.
    fn lagging(&self) -> BTreeSet<String> {
        let metrics = self.context.registry.encode();
        let lags = metrics.lines().filter(|line| line.starts_with("blackfriday_consumer_lag_records{"));
        let lags = lags.filter(|line| line.contains("\"ventas\""));
        lags.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
    }

    async fn stop(self) -> Result<()> {
        self.context.shutdown.begin();
        Ok(timeout(LIMIT, self.running).await.context("the consumer ends")???)
    }
}

fn sale(n: u64, key: Option<&str>) -> Sale {
    Sale {
        id: EventId::new_v7(),
        accepted_at: Timestamp::from(SystemTime::now()),
        idempotency_key: key.map(|key| IdempotencyKey::new(key).expect("visible ASCII")),
        draft: SaleDraft {
            category: Category::ALL[usize::try_from(n % 4).expect("small")],
            product_id: ProductId::new(&format!("P-{}", n % 7)).expect("visible"),
            price: Money::from_cents(100 + n).expect("in range"),
            quantity: Quantity::new(1 + i64::try_from(n % 5).expect("small")).expect("in range"),
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_what_the_log_adds_up_to() -> Result<()> {
    let mut bench = Bench::start().await?;
    let first = bench.consumer(&[])?;
    bench.publish_sales(60).await?;
    bench.counts_exactly().await?;

    // The same key counts once; what cannot be decoded goes to the dead letters, and the rest goes on.
    for key in ["a", "b", "a"] {
        bench.publish(0, Some(sale(7, Some(key)))).await?;
    }
    let offset = bench.log[&1].len();
    bench.publish(1, None).await?;
    bench.publish_sales(9).await?;
    bench.counts_exactly().await?;
    let mut dead =
        Subscription::open_with_headers(&KafkaConfig::new(bench.kafka.bootstrap()), BatchLimits::default())?;
    dead.start(TopicPartition::new(dead_letter_topic("ventas"), 0), 0, 0);
    let Some(SubscriptionEvent::Batch(letters)) = timeout(LIMIT, dead.next()).await? else {
        anyhow::bail!("no dead letter");
    };
    let header = |name: &str| {
        let found = letters.records[0].headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    ensure!(header(ORIGIN_PARTITION) == "1" && header(ORIGIN_OFFSET) == offset.to_string(), "{letters:?}");
    ensure!(header(REASON).contains("protobuf") && letters.records[0].payload == b"nonsense", "{letters:?}");

    // A second consumer shares the work, then takes all of it.
    let second = bench.consumer(&[])?;
    bench.publish_sales(60).await?;
    bench.counts_exactly().await?;
    first.stop().await?;
    bench.publish_sales(60).await?;
    bench.counts_exactly().await?;

    // The store loses everything while the consumer runs: the next batch is refused, and all is counted again.
    bench.valkey.command(&["FLUSHALL"]).await?;
    bench.publish_sales(60).await?;
    bench.counts_exactly().await?;

    // The store goes back in time, with its counters: a stale replica is promoted.
    bench.valkey.checkpoint()?;
    bench.publish_sales(30).await?;
    bench.counts_exactly().await?;
    bench.valkey.roll_back()?;
    bench.valkey.restart().await?;
    bench.publish_sales(30).await?;
    bench.counts_exactly().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_lag_is_told_by_whose_partition_it_is() -> Result<()> {
    let mut bench = Bench::start().await?;
    let first = bench.consumer(&[])?;
    bench.publish_sales(9).await?;
    eventually(LIMIT, async || first.lagging().len() == 3).await.context("the first tells all")?;

    let second = bench.consumer(&[])?;
    let shared = async || {
        let (one, other) = (first.lagging(), second.lagging());
        !one.is_empty() && !other.is_empty() && one.is_disjoint(&other) && one.len() + other.len() == 3
    };
    eventually(LIMIT, shared)
        .await
        .with_context(|| format!("{:?} {:?}", first.lagging(), second.lagging()))?;
    first.stop().await?;
    eventually(LIMIT, async || second.lagging().len() == 3).await.context("the second tells all")?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_the_log_does_not_hold_stops_the_consumer_until_told_otherwise() -> Result<()> {
    let mut bench = Bench::start().await?;
    bench.publish(0, Some(sale(1, None))).await?;
    bench.store.resume("ventas", 0, 0, 100).await?;
    let stopped = timeout(LIMIT, bench.consumer(&[])?.running).await.context("the consumer stops")??;
    let Err(Error::Gap(gap)) = stopped else { anyhow::bail!("not a gap: {stopped:?}") };
    ensure!(gap.to_string().contains("ventas/0: offset 100") && gap.to_string().contains("0 to 1"), "{gap}");

    let consumer = bench.consumer(&["--on-gap", "start-over"])?;
    bench.counts_exactly().await?;
    consumer.stop().await
}
