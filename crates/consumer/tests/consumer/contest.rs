//! Two consumers of one log whose server assigns nothing: RabbitMQ before 3.11.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blackfriday_broker::{Admin, LogConfig, OutgoingRecord, Producer, ProducerConfig, dead_letter};
use blackfriday_consumer::{Config, run};
use blackfriday_proto::encode_record;
use blackfriday_service::Context;
use blackfriday_stack::{RabbitMq, Valkey, eventually};
use blackfriday_store::{Store, StoreConfig, ValkeyConfig};
use clap::Parser;
use tokio::time::timeout;

use crate::bench::{Consumer, LIMIT, PARTITIONS, sale, topic};

/// Records of the log: as many as two consumers fought over for a minute.
const RECORDS: u64 = 60_000;
/// Appended while both consumers run.
const MORE: u64 = 3_000;
const APPEND: usize = 1_000;
/// For all of it, on a machine that others use.
const RECOUNT: Duration = Duration::from_secs(15);
/// Until a partition has one reader, each of the others may lose three times, and once more when somebody adopts it.
const REFUSALS: f64 = 4.0;
const REFUSED: &str = "blackfriday_consumer_refused_batches_total";

/// The log and the store, which outlive the consumers.
struct Log {
    rabbitmq: RabbitMq,
    valkey: Valkey,
    store: Store,
    producer: Producer,
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_that_are_told_of_everything_share_it_after_a_few_refusals() -> Result<()> {
    let log = Log::start().await?;
    log.append(RECORDS).await?;
    let consumers = [log.consumer()?, log.consumer()?];
    log.is_counted(RECORDS).await?;
    let refused = refusals(&consumers);
    ensure!(refused <= bound(1), "{refused} batches were refused");

    for n in 0..MORE / 100 {
        log.append(100).await?;
        log.is_counted(RECORDS + (n + 1) * 100).await?;
    }
    ensure!(refusals(&consumers) <= bound(1), "{} batches were refused", refusals(&consumers));

    // Both find that the position is not theirs, or nobody's, and count all of it again.
    log.valkey.command(&["FLUSHALL"]).await?;
    let began = Instant::now();
    log.is_counted(RECORDS + MORE).await?;
    let (took, refused) = (began.elapsed(), refusals(&consumers));
    eprintln!("all is counted again after {took:?}; {refused} batches were refused");
    ensure!(took < RECOUNT && refused <= bound(2), "{took:?}, {refused} batches were refused");
    for consumer in consumers {
        consumer.stop().await?;
    }
    Ok(())
}

/// Of both consumers, in all partitions, after so many beginnings.
fn bound(beginnings: u8) -> f64 {
    2.0 * f64::from(PARTITIONS) * REFUSALS * f64::from(beginnings)
}

fn refusals(consumers: &[Consumer]) -> f64 {
    consumers.iter().filter_map(|consumer| consumer.metric(REFUSED)).sum()
}

impl Log {
    async fn start() -> Result<Self> {
        let (rabbitmq, valkey) = tokio::try_join!(RabbitMq::start(), Valkey::start())?;
        let client = LogConfig::rabbitmq_at(rabbitmq.address());
        let topics = ["ventas".to_owned(), dead_letter::topic_of("ventas")];
        Admin::new(&client)?.create_topics(&topics.map(|name| topic(&name, PARTITIONS))).await?;
        let producer = Producer::new(&client, &ProducerConfig::default(), "ventas")?;
        timeout(LIMIT, producer.availability().watch().wait_for(|available| *available)).await??;
        let url = ValkeyConfig::new(valkey.url()).map_err(anyhow::Error::msg)?;
        let store = Store::new(&url, &StoreConfig::default())?;
        Ok(Self { rabbitmq, valkey, store, producer })
    }

    fn consumer(&self) -> Result<Consumer> {
        let address = self.rabbitmq.address();
        let backends = ["--log", "rabbitmq", "--rabbitmq-servers", &address];
        let store = ["--valkey-url", self.valkey.url(), "--topics", "ventas"];
        let config = Config::try_parse_from(["test"].iter().chain(&backends).chain(&store))?;
        let context = Context::new("consumer");
        Ok(Consumer { context: context.clone(), running: tokio::spawn(run(config, context)) })
    }

    async fn append(&self, count: u64) -> Result<()> {
        let record = |n: u64| OutgoingRecord {
            topic: "ventas".into(),
            partition: Some(i32::try_from(n).unwrap_or(0) % PARTITIONS),
            payload: encode_record(&sale(n, None)),
            ..OutgoingRecord::default()
        };
        let records: Vec<_> = (0..count).map(record).collect();
        for some in records.chunks(APPEND) {
            for outcome in self.producer.publish_batch(some.to_vec()).outcomes().await {
                outcome?;
            }
        }
        Ok(())
    }

    async fn is_counted(&self, count: u64) -> Result<()> {
        let counted = async || {
            let stored = self.store.partitions("ventas").await.unwrap_or_default();
            u64::try_from(stored.values().map(|at| at.next).sum::<i64>()).is_ok_and(|sum| sum == count)
        };
        eventually(LIMIT, counted).await.with_context(|| format!("{count} are counted"))
    }
}
