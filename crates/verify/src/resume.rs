//! Moves the position of a partition that its consumer stopped: what is in between is never counted, or counted again.

use anyhow::{Result, bail};
use blackfriday_broker::{Admin, LogConfig, TopicPartition, Watermarks};
use blackfriday_store::{Outcome, StoreConfig, StoredPartition, ValkeyConfig};
use blackfriday_terminal::failure::Usage;
use blackfriday_terminal::output;

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
    for line in told(&partition, &stored, log, to) {
        output::line(line);
    }
    if arguments.dry_run {
        return Ok(true);
    }
    match store.resume(&arguments.topic, arguments.partition, stored.next, to).await? {
        Outcome::Applied => {
            output::line(format!("{partition}: counting goes on at {to}"));
            Ok(true)
        }
        Outcome::Refused { stored } => bail!("the position moved to {stored} meanwhile; nothing was changed"),
        Outcome::Stopped { reason } => bail!("still stopped: {reason}"),
    }
}

/// What there is, and what the move means.
fn told(partition: &TopicPartition, stored: &StoredPartition, log: Watermarks, to: i64) -> Vec<String> {
    let (next, Watermarks { low, high }) = (stored.next, log);
    let state = stored
        .stopped
        .as_ref()
        .map_or_else(|| "not stopped".to_owned(), |reason| format!("stopped: {reason}"));
    let mut lines = vec![
        format!("{partition} is {state}"),
        format!("{partition}: counted up to {next}; the log holds {low} to {high}"),
    ];
    if to > next {
        lines.push(format!("records {next} to {to} are never counted"));
    }
    if low > next && to >= low {
        lines.push(format!("of those, {next} to {low} are gone from the log"));
    }
    if to < next {
        lines.push(format!("records {to} to {} are counted, on top of what is counted", next.min(high)));
    }
    if stored.stopped.is_some() && to == next {
        lines.push("records below that position may be others than those that were counted".to_owned());
    }
    lines
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
        let told = |low, high, to| told(&ventas, &stopped, Watermarks { low, high }, to).join("\n");
        let lost = told(250, 300, 250);
        assert!(lost.contains("stopped: a gap") && lost.contains("200 to 250 are never counted"), "{lost}");
        assert!(lost.contains("200 to 250 are gone"), "{lost}");
        let again = told(0, 600, 0);
        assert!(again.contains("records 0 to 200 are counted, on top"), "{again}");
        assert!(told(0, 100, 0).contains("records 0 to 100 are counted, on top"));
        assert!(At::Offset(7).in_log(Watermarks { low: 0, high: 6 }).is_err());
        assert!(at("earliest").is_ok() && at("-1").is_err() && at("now").is_err());
    }
}
