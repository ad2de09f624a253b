//! Sends dead letters again, each once for each reason.
//!
//! The topic that a letter came from is read first: a record that carries the letter's origin in its header was sent already. What
//! would only be buried again is kept, and why is said.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_broker::dead_letter::{CONFLICT, REASON};
use blackfriday_broker::{
    Admin, LogConfig, OutgoingRecord, Position, Producer, ProducerConfig, PublishError, Record,
    TopicPartition,
};
use blackfriday_event::Timestamp;
use blackfriday_proto::decode_record;
use blackfriday_terminal::failure::Unavailable;
use blackfriday_terminal::output::{self, count, grouped};
use serde_json::json;
use tokio::time::timeout;

use super::{DeadLetter, Which, header, origin, whole_topic};
use crate::records::{self, Headers, Patience, Place, belongs};

/// Header of a record that was sent again: topic, partition and offset that it came from, as `ventas/2/17`.
const REDRIVEN: &str = "blackfriday-redriven";
/// Header of a dead letter that holds the beginning of a large record only.
const ORIGIN_LENGTH: &str = "blackfriday-origin-length";
const BROKER_LIMIT: Duration = Duration::from_secs(10);

/// Which to send again, and whether.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Send also what still cannot be counted, as far as can be seen, and what failed again for the same reason: it
    /// becomes a dead letter again, from its new place. And what has the idempotency key of another event: it becomes a dead
    /// letter again within 24 hours of that event, and counts next to it afterwards.
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

/// What a topic has got from redrives.
#[derive(Default)]
struct Before {
    /// Origins of what was sent.
    sent: HashSet<String>,
    /// Where each of it is now, and its origin.
    origins: HashMap<Place, String>,
    /// Why each dead letter was buried, by its origin.
    reasons: HashMap<String, String>,
}

/// True if every one was sent, now or before.
pub(super) async fn run(Arguments { which, all, dry_run }: Arguments) -> Result<bool> {
    let every = which.whole().read().await?;
    let letters: Vec<_> = every.iter().filter(|letter| which.holds(letter)).collect();
    let mut before = Before::read(&which.log, &every).await?;
    let producer = if dry_run { None } else { Some(producer(&which).await?) };
    let mut kept = 0;
    for letter in &letters {
        let fate = send_again(producer.as_ref(), letter, all, &mut before).await;
        kept += u64::from(matches!(fate, Fate::Kept(_)));
        output::line(json!({
            "partition": letter.partition.partition,
            "offset": letter.record.offset,
            "outcome": fate.to_string(),
        }));
    }
    let letters = count(letters.len() as u64, "dead letter", "dead letters");
    output::note(format_args!("{letters}, {} kept", grouped(kept)));
    Ok(kept == 0)
}

async fn send_again(
    producer: Option<&Producer>,
    letter: &DeadLetter,
    all: bool,
    before: &mut Before,
) -> Fate {
    let Some(place) = origin(&letter.record) else {
        return Fate::Kept("it does not say where it came from".to_owned());
    };
    if before.sent.contains(&name_of(&place)) {
        return Fate::SentBefore;
    }
    if let Some(bytes) = header(&letter.record, ORIGIN_LENGTH) {
        return Fate::Kept(format!(
            "it is the beginning of a record of {bytes} bytes, which is at {}",
            name_of(&place)
        ));
    }
    if let Some(why) = why_in_vain(&place, &letter.record, before)
        && !all
    {
        return Fate::Kept(why);
    }
    before.sent.insert(name_of(&place));
    let Some(producer) = producer else { return Fate::WouldBeSent };
    match producer.publish(outgoing(&place, &letter.record)).await {
        Ok(position) => Fate::Sent(position),
        // Whether it was written, the next redrive sees in the topic.
        Err(PublishError::OutcomeUnknown) => {
            Fate::Kept("the event log did not answer: run the redrive again".to_owned())
        }
        Err(error) => Fate::Kept(error.to_string()),
    }
}

/// Why the consumer would bury it again, as far as can be seen from here.
fn why_in_vain(place: &Place, record: &Record, before: &Before) -> Option<String> {
    // It gets another time where it is sent to.
    match decode_record(&record.payload, Timestamp::default()) {
        Err(error) => return Some(format!("it still cannot be decoded: {error}")),
        Ok(event) if !belongs(&event, &place.partition.topic) => {
            return Some(format!("its event does not belong to the topic {}", place.partition.topic));
        }
        Ok(_) => {}
    }
    let reason = header(record, REASON).unwrap_or_default();
    if reason.starts_with(CONFLICT) {
        return Some(format!("{reason}: only --all sends it again"));
    }
    let first = before.origins.get(place)?;
    // Without the first letter, which retention may have taken, nothing says that this reason is another one.
    let is_same = before.reasons.get(first).is_none_or(|before| *before == reason);
    is_same.then(|| format!("it was sent again from {first}, and failed again for the same reason: {reason}"))
}

/// It goes to the partition that it came from, whose window of idempotency keys knows its key.
fn outgoing(place: &Place, record: &Record) -> OutgoingRecord {
    OutgoingRecord {
        topic: place.partition.topic.to_string(),
        key: record.key.clone(),
        partition: Some(place.partition.partition),
        payload: record.payload.clone(),
        timestamp_ms: record.timestamp_ms,
        traceparent: record.traceparent.clone(),
        headers: vec![(REDRIVEN, name_of(place).into_bytes())],
    }
}

impl Before {
    /// Reads the topics that these dead letters came from.
    async fn read(config: &LogConfig, letters: &[DeadLetter]) -> Result<Self> {
        let admin = Admin::new(config)?;
        let mut before = Self::default();
        let mut topics = HashSet::new();
        for letter in letters {
            let Some(place) = origin(&letter.record) else { continue };
            before.reasons.insert(name_of(&place), header(&letter.record, REASON).unwrap_or_default());
            topics.insert(place.partition.topic);
        }
        for topic in topics {
            let ranges = whole_topic(&admin, &topic).await?;
            let add = |partition: &TopicPartition, record: Record| {
                if let Some(origin) = header(&record, REDRIVEN) {
                    let place = Place { partition: partition.clone(), offset: record.offset };
                    before.origins.insert(place, origin.clone());
                    before.sent.insert(origin);
                }
                ControlFlow::Continue(())
            };
            records::read(config, ranges, Headers::All, Patience::UntilStalled, add).await?;
        }
        Ok(before)
    }
}

async fn producer(which: &Which) -> Result<Producer> {
    // One record at a time, so that none is sent again behind one that is given up.
    let settings = ProducerConfig::giving_up_after(3_000);
    let producer = Producer::new(&which.log, &settings, &which.topic)?;
    let mut available = producer.availability().watch();
    let there = timeout(BROKER_LIMIT, available.wait_for(|available| *available)).await;
    there.with_context(|| Unavailable(format!("the event log is not reached in {BROKER_LIMIT:?}")))??;
    Ok(producer)
}

fn name_of(place: &Place) -> String {
    format!("{}/{}", place.partition, place.offset)
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(Position { partition, offset: Some(offset) }) => {
                write!(f, "sent: partition {partition} offset {offset}")
            }
            Self::Sent(Position { partition, offset: None }) => write!(f, "sent: partition {partition}"),
            Self::WouldBeSent => f.write_str("would be sent"),
            Self::SentBefore => f.write_str("was sent before"),
            Self::Kept(why) => write!(f, "kept: {why}"),
        }
    }
}
