//! Moves the position of a partition that its consumer stopped: what is in between is never counted, or counted again.

use std::ops::Range;

use anyhow::{Result, bail};
use blackfriday_broker::{Admin, LogConfig, TopicPartition, Watermarks};
use blackfriday_store::{Outcome, StoreConfig, StoredPartition, ValkeyConfig};
use blackfriday_terminal::failure::Usage;
use blackfriday_terminal::output;
use serde_json::{Value, json};

use crate::reach;

/// Lets a partition be counted again that its consumer stopped, from another place of its log.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday resume --topic ventas --partition 3 --at earliest --dry-run\n  \
    blackfriday resume --topic ventas --partition 3 --at 1200")]
pub struct Arguments {
    /// The topic.
    #[arg(long, value_name = "TOPIC")]
    topic: String,
    /// The partition.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: i32,
    /// Where counting goes on: `earliest`, `end`, or an offset that the log holds.
    #[arg(long, value_name = "WHERE", value_parser = at)]
    at: At,
    /// Only say what would be lost or counted again.
    #[arg(long)]
    dry_run: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    log: LogConfig,
    #[command(flatten)]
    valkey: ValkeyConfig,
    #[command(flatten)]
    store: StoreConfig,
}

#[derive(Debug, Clone, Copy)]
enum At {
    Earliest,
    End,
    Offset(i64),
}

/// A partition's position goes elsewhere.
struct Move {
    partition: TopicPartition,
    stored: StoredPartition,
    log: Watermarks,
    to: i64,
}

/// Says what the move means, and moves the position unless it is a dry run.
///
/// # Errors
/// The log does not hold the offset, the position moved meanwhile, or the log or Valkey cannot be reached.
pub async fn run(arguments: Arguments) -> Result<bool> {
    let partition = TopicPartition::new(arguments.topic.as_str(), arguments.partition);
    let store = reach::both(&arguments.log, &arguments.valkey, &arguments.store).await?;
    let log = Admin::new(&arguments.log)?.watermarks(&partition).await?;
    let to = arguments.at.in_log(log)?;
    let stored = store.partitions(&arguments.topic).await?.remove(&arguments.partition).unwrap_or_default();
    let planned = Move { partition, stored, log, to };
    if !arguments.json {
        planned.lines().into_iter().for_each(output::line);
    }
    if !arguments.dry_run {
        match store.resume(&arguments.topic, arguments.partition, planned.stored.next, to).await? {
            Outcome::Applied => {}
            Outcome::Refused { stored } => {
                bail!("the position moved to {stored} meanwhile; nothing was changed")
            }
            Outcome::Stopped { reason } => bail!("still stopped: {reason}"),
        }
    }
    if arguments.json {
        output::line(planned.to_json(!arguments.dry_run));
    } else if !arguments.dry_run {
        output::line(format_args!("{}: counting goes on at {to}", planned.partition));
    }
    Ok(true)
}

impl Move {
    /// Records that are never counted.
    fn skipped(&self) -> Option<Range<i64>> {
        (self.to > self.stored.next).then_some(self.stored.next..self.to)
    }

    /// Those of them that the log does not hold any more.
    fn gone(&self) -> Option<Range<i64>> {
        let (next, low) = (self.stored.next, self.log.low);
        (low > next && self.to >= low).then_some(next..low)
    }

    /// Records that are counted, although they may be counted already.
    fn repeated(&self) -> Option<Range<i64>> {
        Some(self.to..self.stored.next.min(self.log.high)).filter(|range| !range.is_empty())
    }

    /// What there is, and what the move means.
    fn lines(&self) -> Vec<String> {
        let Self { partition, stored, log: Watermarks { low, high }, to } = self;
        let state = stored
            .stopped
            .as_ref()
            .map_or_else(|| "not stopped".to_owned(), |reason| format!("stopped: {reason}"));
        let mut lines = vec![
            format!("{partition} is {state}"),
            format!("{partition}: counted up to {}; the log holds {low} to {high}", stored.next),
        ];
        if let Some(Range { start, end }) = self.skipped() {
            lines.push(format!("records {start} to {end} are never counted"));
        }
        if let Some(Range { start, end }) = self.gone() {
            lines.push(format!("of those, {start} to {end} are gone from the log"));
        }
        if let Some(Range { start, end }) = self.repeated() {
            lines.push(format!("records {start} to {end} are counted, on top of what is counted"));
        }
        if stored.stopped.is_some() && *to == stored.next {
            lines.push("records below that position may be others than those that were counted".to_owned());
        }
        lines
    }

    fn to_json(&self, moved: bool) -> Value {
        let range =
            |range: Option<Range<i64>>| range.map(|range| json!({"from": range.start, "to": range.end}));
        json!({
            "topic": &*self.partition.topic,
            "partition": self.partition.partition,
            "stopped": self.stored.stopped,
            "next": self.stored.next,
            "log": {"low": self.log.low, "high": self.log.high},
            "at": self.to,
            "never_counted": range(self.skipped()),
            "gone": range(self.gone()),
            "counted_again": range(self.repeated()),
            "moved": moved,
        })
    }
}

impl At {
    fn in_log(self, Watermarks { low, high }: Watermarks) -> Result<i64> {
        match self {
            Self::Earliest => Ok(low),
            Self::End => Ok(high),
            Self::Offset(offset) if (low..=high).contains(&offset) => Ok(offset),
            Self::Offset(offset) => {
                Err(Usage(format!("--at {offset}: the log holds {low} to {high}")).into())
            }
        }
    }
}

fn at(text: &str) -> Result<At, String> {
    match text {
        "earliest" => Ok(At::Earliest),
        "end" => Ok(At::End),
        offset => match offset.parse() {
            Ok(offset) if offset >= 0 => Ok(At::Offset(offset)),
            _ => Err("must be an offset, `earliest` or `end`".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_and_what_is_counted_again_is_said() {
        let ventas = TopicPartition::new("ventas", 3);
        let stopped = StoredPartition { next: 200, stopped: Some("a gap".to_owned()), ..Default::default() };
        let planned = |low, high, to| {
            let (partition, stored) = (ventas.clone(), stopped.clone());
            Move { partition, stored, log: Watermarks { low, high }, to }
        };
        let told = |low, high, to| planned(low, high, to).lines().join("\n");
        let lost = told(250, 300, 250);
        assert!(lost.contains("stopped: a gap") && lost.contains("200 to 250 are never counted"), "{lost}");
        assert!(lost.contains("200 to 250 are gone"), "{lost}");
        let again = told(0, 600, 0);
        assert!(again.contains("records 0 to 200 are counted, on top"), "{again}");
        assert!(told(0, 100, 0).contains("records 0 to 100 are counted, on top"));
        assert!(!told(0, 100, 100).contains("on top"), "an empty range");
        let json = planned(250, 300, 260).to_json(false);
        assert_eq!(
            (&json["stopped"], &json["next"], &json["at"]),
            (&json!("a gap"), &json!(200), &json!(260))
        );
        assert_eq!(json["never_counted"], json!({"from": 200, "to": 260}));
        assert_eq!(json["gone"], json!({"from": 200, "to": 250}));
        assert_eq!((&json["counted_again"], &json["moved"]), (&Value::Null, &json!(false)));
        assert!(At::Offset(7).in_log(Watermarks { low: 0, high: 6 }).is_err());
        assert!(at("earliest").is_ok() && at("-1").is_err() && at("now").is_err());
    }
}
