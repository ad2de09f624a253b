//! Records that could not be counted: in `<topic>.dlq`, with their origin and the reason in the headers.
//!
//! A redrive publishes them to the topic that they came from, with their origin in a header. Before it sends anything it
//! reads that topic for such headers: what was sent already, by a redrive that was cut off for instance, is not sent again,
//! even if the consumer has buried the same record twice. A record of a redrive that was buried for the reason for which it
//! was buried before is kept: sending it again would bury it again. So is an event under the key of another one: once that key is
//! free, it would count next to it.
//!
//! Invariant: however often `redrive` runs, one after the other, a record that could not be counted is sent once for each
//! reason.

mod redrive;

use std::collections::HashSet;
use std::ops::ControlFlow;

use anyhow::Result;
use blackfriday_broker::dead_letter::{ORIGIN_OFFSET, ORIGIN_PARTITION, ORIGIN_TOPIC, REASON, topic_of};
use blackfriday_broker::{Admin, BrokerError, LogConfig, Record, SALES, TopicPartition};
use blackfriday_terminal::output;
use serde_json::json;

use crate::records::{self, Headers, Patience, Place, Range};
use crate::tail;
use crate::topics::Topics;

/// Looks at records that could not be counted, or sends them again.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Print them as JSON lines, with where they came from and why.
    #[command(
        after_help = "Example:\n  blackfriday dead-letters list --topic ventas --kafka-brokers 127.0.0.1:9092"
    )]
    List(Which),
    /// Publish those that can be counted now to the topic that they came from, each once.
    #[command(after_help = "Examples:\n  \
        blackfriday dead-letters redrive --dry-run\n  \
        blackfriday dead-letters redrive --topic ventas --from 0 --to 12\n\n\
        A record carries where it came from in the header blackfriday-redriven. The topic is read for such headers first,\n\
        so that a redrive can be repeated: what was sent is not sent again, nor what failed again for the same reason.\n\
        What has the idempotency key of another event is kept as well, unless --all is given.\n\
        Do not run two at once.\n\
        Exit code 0 if each was sent, now or before, 1 if some were kept, 69 if the log cannot be reached.")]
    Redrive(redrive::Arguments),
}

/// Which of them.
#[derive(clap::Args, Debug, Clone)]
pub struct Which {
    /// The topic that they came from.
    #[arg(long, value_name = "TOPIC", default_value = SALES)]
    topic: String,
    /// First offset in the dead-letter topic.
    #[arg(long, value_name = "OFFSET", default_value_t = 0,
          value_parser = clap::value_parser!(i64).range(0..))]
    from: i64,
    /// One past the last offset; the end without it.
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    to: Option<i64>,
    #[command(flatten)]
    log: LogConfig,
}

/// A record of a dead-letter topic.
struct DeadLetter {
    partition: TopicPartition,
    record: Record,
}

/// Carries a command out; true if no dead letter was kept.
///
/// # Errors
/// The log cannot be reached.
pub async fn run(command: Command) -> Result<bool> {
    match command {
        Command::List(which) => {
            for letter in which.read().await? {
                output::line(letter.to_json());
            }
            Ok(true)
        }
        Command::Redrive(arguments) => redrive::run(arguments).await,
    }
}

/// Where everything came from that is in the dead-letter topics of these topics.
pub(crate) async fn origins(config: &LogConfig, admin: &Admin, topics: Topics) -> Result<HashSet<Place>> {
    let mut origins = HashSet::new();
    for topic in topics.names() {
        let ranges = match whole_topic(admin, &topic_of(topic)).await {
            // Nothing was buried yet.
            Err(BrokerError::NoTopic(_)) => continue,
            ranges => ranges?,
        };
        let add = |_: &TopicPartition, record: Record| {
            origins.extend(origin(&record));
            ControlFlow::Continue(())
        };
        records::read(config, ranges, Headers::All, Patience::UntilStalled, add).await?;
    }
    Ok(origins)
}

impl Which {
    /// All of the same topic.
    fn whole(&self) -> Self {
        Self { from: 0, to: None, ..self.clone() }
    }

    fn holds(&self, letter: &DeadLetter) -> bool {
        (self.from..self.to.unwrap_or(i64::MAX)).contains(&letter.record.offset)
    }

    async fn read(&self) -> Result<Vec<DeadLetter>> {
        self.log.reach().await?;
        let admin = Admin::new(&self.log)?;
        let mut ranges = whole_topic(&admin, &topic_of(&self.topic)).await?;
        for range in &mut ranges {
            range.from = range.from.max(self.from);
            range.to = range.to.min(self.to.unwrap_or(i64::MAX));
        }
        let mut found = Vec::new();
        let add = |partition: &TopicPartition, record: Record| {
            found.push(DeadLetter { partition: partition.clone(), record });
            ControlFlow::Continue(())
        };
        records::read(&self.log, ranges, Headers::All, Patience::UntilStalled, add).await?;
        found.sort_by(|a, b| (&a.partition, a.record.offset).cmp(&(&b.partition, b.record.offset)));
        Ok(found)
    }
}

impl DeadLetter {
    fn to_json(&self) -> serde_json::Value {
        let mut json = tail::to_json(&self.partition, &self.record);
        json["origin"] = origin(&self.record).map_or(serde_json::Value::Null, |place| {
            json!({"topic": &*place.partition.topic, "partition": place.partition.partition, "offset": place.offset})
        });
        json["reason"] = header(&self.record, REASON).into();
        json
    }
}

async fn whole_topic(admin: &Admin, topic: &str) -> Result<Vec<Range>, BrokerError> {
    let mut ranges = Vec::new();
    for partition in admin.partitions(topic).await? {
        let log = records::watermarks(admin, &partition).await?;
        ranges.push(Range { partition, from: log.low, to: log.high });
    }
    Ok(ranges)
}

/// Where a dead letter came from, if it says so.
fn origin(record: &Record) -> Option<Place> {
    let topic = header(record, ORIGIN_TOPIC)?;
    let partition = header(record, ORIGIN_PARTITION)?.parse().ok()?;
    let offset = header(record, ORIGIN_OFFSET)?.parse().ok()?;
    Some(Place { partition: TopicPartition::new(topic, partition), offset })
}

fn header(record: &Record, name: &str) -> Option<String> {
    let (_, value) = record.headers.iter().find(|(found, _)| found == name)?;
    String::from_utf8(value.clone()).ok()
}
