//! Prints records of a topic, as JSON lines or as lines for people.

use std::ops::ControlFlow;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blackfriday_broker::{Admin, LogConfig, Record, SALES, TopicPartition};
use blackfriday_event::{Event, Timestamp};
use blackfriday_proto::decode_record;
use blackfriday_terminal::failure::Usage;
use blackfriday_terminal::output;
use serde_json::{Map, Value, json};

use crate::records::{self, Headers, Patience, Range};

/// Prints records as JSON lines, or as lines for people.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday tail --topic ventas --from end --follow | jq .sale.producto_id\n  \
    blackfriday tail --format texto --follow\n  \
    blackfriday tail --topic ventas.dlq --limit 1")]
pub struct Arguments {
    /// The topic.
    #[arg(long, value_name = "TOPIC", default_value = SALES)]
    topic: String,
    /// Only this partition.
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// Where to begin in each partition: an offset (or the nearest that there is), `beginning` or `end`.
    #[arg(long, value_name = "WHERE", default_value = "beginning", value_parser = from)]
    from: From,
    /// How records look.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Go on with records as they come.
    #[arg(long)]
    follow: bool,
    /// Stop after this many.
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
    #[command(flatten)]
    log: LogConfig,
}

/// How records look.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// A JSON object in a line.
    Json,
    /// A line for people: `ventas/0 17: Mouse-Gamer (Cant: 2, $50.00) - Electronica`.
    Texto,
}

#[derive(Debug, Clone, Copy)]
enum From {
    Beginning,
    End,
    Offset(i64),
}

/// Prints the records.
///
/// # Errors
/// There is no such topic or partition, or the log cannot be reached.
pub async fn run(arguments: Arguments) -> Result<()> {
    let ranges = ranges(&arguments).await?;
    let mut left = arguments.limit;
    let print = |partition: &TopicPartition, record: Record| {
        if left == 0 || output::is_closed() {
            return ControlFlow::Break(());
        }
        match arguments.format {
            Format::Json => output::line(to_json(partition, &record)),
            Format::Texto => output::line(to_text(partition, &record)),
        }
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let patience = if arguments.follow { Patience::Endless } else { Patience::UntilStalled };
    records::read(&arguments.log, ranges, Headers::All, patience, print).await
}

/// What to print: up to the ends that there are now, or without an end.
async fn ranges(arguments: &Arguments) -> Result<Vec<Range>> {
    arguments.log.reach().await?;
    let admin = Admin::new(&arguments.log)?;
    let mut ranges = Vec::new();
    for partition in admin.partitions(&arguments.topic).await? {
        if arguments.partition.is_some_and(|only| only != partition.partition) {
            continue;
        }
        let log = records::watermarks(&admin, &partition).await?;
        let from = match arguments.from {
            From::Beginning => log.low,
            From::End => log.high,
            From::Offset(offset) => offset.clamp(log.low, log.high),
        };
        ranges.push(Range { partition, from, to: if arguments.follow { i64::MAX } else { log.high } });
    }
    match arguments.partition {
        Some(only) if ranges.is_empty() => {
            Err(Usage(format!("--partition {only}: topic {} has no such partition", arguments.topic)).into())
        }
        _ => Ok(ranges),
    }
}

/// A record as one JSON object: its place, its headers, and its event or why it has no event.
pub(crate) fn to_json(partition: &TopicPartition, record: &Record) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Map<_, _> =
        record.headers.iter().map(|(name, value)| (name.clone(), Value::from(text(value)))).collect();
    let mut json = json!({
        "topic": &*partition.topic,
        "partition": partition.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": record.key.as_deref().map(text),
        "headers": headers,
    });
    // Without a time of the log the event itself can be shown all the same.
    let accepted_at = Timestamp::from_log(record.timestamp_ms).unwrap_or_default();
    match decode_record(&record.payload, accepted_at) {
        Ok(Event::Sale(sale)) => {
            json["id"] = sale.id.to_string().into();
            json["accepted_at_ms"] = sale.accepted_at.millis().into();
            json["sale"] = json!({
                "categoria": sale.draft.category.name(),
                "producto_id": sale.draft.product_id.as_str(),
                "precio": sale.draft.price.to_f64(),
                "cantidad_vendida": sale.draft.quantity.units(),
            });
        }
        Ok(Event::Weather(report)) => {
            json["id"] = report.id.to_string().into();
            json["accepted_at_ms"] = report.accepted_at.millis().into();
            let draft = report.draft;
            json["weather"] =
                json!({"description": draft.description, "country": draft.country, "weather": draft.weather});
        }
        Err(error) => {
            json["error"] = error.to_string().into();
            json["payload_base64"] = STANDARD.encode(&record.payload).into();
        }
    }
    json
}

/// A record as a line for people.
fn to_text(partition: &TopicPartition, record: &Record) -> String {
    let accepted_at = Timestamp::from_log(record.timestamp_ms).unwrap_or_default();
    let event = match decode_record(&record.payload, accepted_at) {
        Ok(Event::Sale(sale)) => sale.draft.to_string(),
        Ok(Event::Weather(report)) => report.draft.to_string(),
        Err(error) => format!("no event: {error}"),
    };
    format!("{partition} {}: {event}", record.offset)
}

fn from(text: &str) -> Result<From, String> {
    match text {
        "beginning" => Ok(From::Beginning),
        "end" => Ok(From::End),
        offset => match offset.parse() {
            Ok(offset) if offset >= 0 => Ok(From::Offset(offset)),
            _ => Err("must be an offset, `beginning` or `end`".to_owned()),
        },
    }
}
