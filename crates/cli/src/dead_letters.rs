//! Records that could not be counted: in `<topic>.dlq`, with their origin and the reason in the headers.
//!
//! A redrive publishes them to the topic that they came from. It is not undone by a crash in between: the offsets that were
//! done are printed as they are acknowledged, and `--from` goes on after the last of them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use blackfriday_broker::kafka::{
    Admin, BatchLimits, KafkaConfig, Producer, ProducerConfig, Subscription, SubscriptionEvent,
};
use blackfriday_broker::{OutgoingRecord, Record, TopicPartition};
use blackfriday_consumer::{ORIGIN_OFFSET, ORIGIN_PARTITION, ORIGIN_TOPIC, REASON, dead_letter_topic};
use blackfriday_proto::decode_record;
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};

use crate::{output, tail};

const BROKER_LIMIT: Duration = Duration::from_secs(10);

/// Looks at records that could not be counted, or sends them again.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Print them as JSON lines, with where they came from and why.
    #[command(after_help = "Example:\n  blackfriday dead-letters list --topic ventas")]
    List(Which),
    /// Publish those that can be decoded now to the topic that they came from.
    #[command(
        after_help = "Example:\n  blackfriday dead-letters redrive --topic ventas --from 0 --to 12\n\n\
        Each offset is printed once it is acknowledged. Nothing remembers it: go on with --from after the last one."
    )]
    Redrive(Redrive),
}

/// Which of them.
#[derive(clap::Args, Debug)]
pub struct Which {
    /// The topic that they came from.
    #[arg(long, default_value = "ventas")]
    topic: String,
    /// First offset in the dead-letter topic.
    #[arg(long, default_value_t = 0)]
    from: i64,
    /// One past the last offset; the end without it.
    #[arg(long)]
    to: Option<i64>,
    #[command(flatten)]
    kafka: KafkaConfig,
}

/// How to send them again.
#[derive(clap::Args, Debug)]
pub struct Redrive {
    #[command(flatten)]
    which: Which,
    /// Say what would be sent, and send nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(command: Command) -> Result<bool> {
    match command {
        Command::List(which) => {
            for (partition, record) in read(&which).await? {
                output::line(describe(&partition, &record));
            }
            Ok(true)
        }
        Command::Redrive(redrive) => send_again(redrive).await,
    }
}

/// True if every one was sent.
async fn send_again(Redrive { which, dry_run }: Redrive) -> Result<bool> {
    let producer = Producer::new(&which.kafka, &ProducerConfig::default(), &which.topic)?;
    let mut available = producer.availability().watch();
    let there = timeout(BROKER_LIMIT, available.wait_for(|available| *available)).await;
    there.context("Kafka is not reached in 10 s")??;
    let mut all = true;
    for (partition, record) in read(&which).await? {
        let outcome = match decode_record(&record.payload) {
            Err(error) => format!("kept, still undecodable: {error}"),
            Ok(_) if dry_run => "would be sent".to_owned(),
            Ok(_) => {
                let sent = producer.publish(again(&record)?).await;
                let place =
                    sent.with_context(|| format!("send {partition} offset {} again", record.offset))?;
                format!("sent to {}/{} offset {}", which.topic, place.partition, place.offset)
            }
        };
        all &= !outcome.starts_with("kept");
        output::line(json!({"partition": partition.partition, "offset": record.offset, "outcome": outcome}));
    }
    Ok(all)
}

fn again(record: &Record) -> Result<OutgoingRecord> {
    Ok(OutgoingRecord {
        topic: header(record, ORIGIN_TOPIC).context("a dead letter names its topic")?,
        key: record.key.clone(),
        payload: record.payload.clone(),
        timestamp_ms: record.timestamp_ms,
        traceparent: record.traceparent.clone(),
        ..OutgoingRecord::default()
    })
}

async fn read(which: &Which) -> Result<Vec<(TopicPartition, Record)>> {
    let admin = Admin::new(&which.kafka)?;
    let mut subscription = Subscription::open_with_headers(&which.kafka, BatchLimits::default())?;
    let mut open = BTreeMap::new();
    for partition in admin.partitions(&dead_letter_topic(&which.topic)).await? {
        let log = admin.watermarks(&partition).await?;
        let (from, to) = (which.from.max(log.low), which.to.unwrap_or(log.high).min(log.high));
        if from < to {
            subscription.start(partition.clone(), from, 0);
            open.insert(partition, to);
        }
    }
    let mut found = Vec::new();
    while !open.is_empty() {
        match subscription.next().await.context("the reading thread died")? {
            SubscriptionEvent::OutOfRange => bail!("the topic was cut while it was read"),
            SubscriptionEvent::Batch(batch) => {
                let Some(to) = open.get(&batch.partition).copied() else { continue };
                if batch.to >= to {
                    open.remove(&batch.partition);
                    subscription.stop(batch.partition.clone());
                }
                let wanted = batch.records.into_iter().filter(|record| record.offset < to);
                found.extend(wanted.map(|record| (batch.partition.clone(), record)));
            }
        }
    }
    Ok(found)
}

fn describe(partition: &TopicPartition, record: &Record) -> Value {
    let mut json = tail::to_json(partition, record);
    json["origin"] = json!({
        "topic": header(record, ORIGIN_TOPIC),
        "partition": header(record, ORIGIN_PARTITION).and_then(|text| text.parse::<i32>().ok()),
        "offset": header(record, ORIGIN_OFFSET).and_then(|text| text.parse::<i64>().ok()),
    });
    json["reason"] = header(record, REASON).into();
    json
}

fn header(record: &Record, name: &str) -> Option<String> {
    let (_, value) = record.headers.iter().find(|(found, _)| found == name)?;
    String::from_utf8(value.clone()).ok()
}
