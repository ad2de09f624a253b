use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_broker::kafka::{Admin, KafkaConfig, Producer, ProducerConfig};
use blackfriday_broker::{OutgoingRecord, Position, PublishError, Record, TopicPartition};
use blackfriday_event::Timestamp;
use blackfriday_proto::decode_record;
use serde_json::json;
use tokio::time::timeout;

use super::{DeadLetter, Which, header, origin, whole_topic};
use crate::failure::Unavailable;
use crate::output;
use crate::records::{self, Headers, Patience};
use crate::verify::Place;

/// Header of a record that was sent again: topic, partition and offset that it came from, as `ventas/2/17`.
const REDRIVEN: &str = "blackfriday-redriven";
const BROKER_LIMIT: Duration = Duration::from_secs(10);

/// Which to send again, and whether.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Send also what still cannot be decoded: it becomes a dead letter again, from its new place.
    #[arg(long)]
    all: bool,
    /// Say what would be sent, and send nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What became of a dead letter.
enum Fate {
    Sent(Position),
    WouldBeSent,
    SentBefore,
    /// It is not sent, because of this.
    Kept(String),
}

/// True if every one was sent, now or before.
pub(super) async fn run(Arguments { which, all, dry_run }: Arguments) -> Result<bool> {
    let letters = which.read().await?;
    let mut done = sent_before(&which.kafka, &letters).await?;
    let producer = if dry_run { None } else { Some(producer(&which).await?) };
    let mut kept = 0;
    for letter in &letters {
        let fate = send_again(producer.as_ref(), letter, all, &mut done).await;
        kept += usize::from(matches!(fate, Fate::Kept(_)));
        output::line(json!({
            "partition": letter.partition.partition,
            "offset": letter.record.offset,
            "outcome": fate.to_string(),
        }));
    }
    output::note(format_args!("{} dead letters, {kept} kept", letters.len()));
    Ok(kept == 0)
}

async fn send_again(
    producer: Option<&Producer>,
    letter: &DeadLetter,
    all: bool,
    done: &mut HashSet<String>,
) -> Fate {
    let Some(place) = origin(&letter.record) else {
        return Fate::Kept("it does not say where it came from".to_owned());
    };
    // It gets another time where it is sent to.
    if let Err(error) = decode_record(&letter.record.payload, Timestamp::default())
        && !all
    {
        return Fate::Kept(format!("it still cannot be decoded: {error}"));
    }
    if !done.insert(name_of(&place)) {
        return Fate::SentBefore;
    }
    let Some(producer) = producer else { return Fate::WouldBeSent };
    match producer.publish(outgoing(&place, &letter.record)).await {
        Ok(position) => Fate::Sent(position),
        // Whether it was written, the next redrive sees in the topic.
        Err(PublishError::OutcomeUnknown) => {
            Fate::Kept("Kafka did not answer: run the redrive again".to_owned())
        }
        Err(error) => Fate::Kept(error.to_string()),
    }
}

/// Its key goes along, and with it the partition whose window of idempotency keys knows it.
fn outgoing(place: &Place, record: &Record) -> OutgoingRecord {
    OutgoingRecord {
        topic: place.partition.topic.to_string(),
        key: record.key.clone(),
        payload: record.payload.clone(),
        timestamp_ms: record.timestamp_ms,
        traceparent: record.traceparent.clone(),
        headers: vec![(REDRIVEN, name_of(place).into_bytes())],
        ..OutgoingRecord::default()
    }
}

/// What the topics of these dead letters have got from a redrive already.
async fn sent_before(kafka: &KafkaConfig, letters: &[DeadLetter]) -> Result<HashSet<String>> {
    let admin = Admin::new(kafka)?;
    let topics: HashSet<_> = letters.iter().filter_map(|letter| origin(&letter.record)).collect();
    let topics: HashSet<_> = topics.into_iter().map(|place| place.partition.topic).collect();
    let mut sent = HashSet::new();
    for topic in topics {
        let ranges = whole_topic(&admin, &topic).await?;
        let add = |_: &TopicPartition, record: Record| {
            sent.extend(header(&record, REDRIVEN));
            ControlFlow::Continue(())
        };
        records::read(kafka, ranges, Headers::All, Patience::UntilStalled, add).await?;
    }
    Ok(sent)
}

async fn producer(which: &Which) -> Result<Producer> {
    // One record at a time, so that none is sent again behind one that is given up.
    let settings = ProducerConfig { message_timeout_ms: 3_000, ..ProducerConfig::default() };
    let producer = Producer::new(&which.kafka, &settings, &which.topic)?;
    let mut available = producer.availability().watch();
    let there = timeout(BROKER_LIMIT, available.wait_for(|available| *available)).await;
    there.with_context(|| Unavailable(format!("Kafka is not reached in {BROKER_LIMIT:?}")))??;
    Ok(producer)
}

fn name_of(place: &Place) -> String {
    format!("{}/{}", place.partition, place.offset)
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(Position { partition, offset }) => {
                write!(f, "sent: partition {partition} offset {offset}")
            }
            Self::WouldBeSent => f.write_str("would be sent"),
            Self::SentBefore => f.write_str("was sent before"),
            Self::Kept(why) => write!(f, "kept: {why}"),
        }
    }
}
