use std::collections::HashMap;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blackfriday_broker::kafka::{Admin, BatchLimits, KafkaConfig, Subscription, SubscriptionEvent};
use blackfriday_broker::{Record, TopicPartition};
use blackfriday_proto::{Event, decode_record};
use serde_json::{Map, Value, json};

use crate::output;

/// Prints records as JSON lines.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  blackfriday tail --topic ventas --from end --follow | jq .sale.producto_id"
)]
pub struct Arguments {
    /// The topic.
    #[arg(long, default_value = "ventas")]
    topic: String,
    /// Only this partition.
    #[arg(long)]
    partition: Option<i32>,
    /// Where to begin: an offset, `beginning` or `end`.
    #[arg(long, default_value = "beginning", value_parser = from)]
    from: From,
    /// Go on with records as they come.
    #[arg(long)]
    follow: bool,
    /// Stop after this many.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
    #[command(flatten)]
    kafka: KafkaConfig,
}

#[derive(Debug, Clone, Copy)]
enum From {
    Beginning,
    End,
    Offset(i64),
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let admin = Admin::new(&arguments.kafka)?;
    let mut subscription = Subscription::open_with_headers(&arguments.kafka, BatchLimits::default())?;
    let mut ends = HashMap::new();
    for partition in admin.partitions(&arguments.topic).await? {
        if arguments.partition.is_some_and(|only| only != partition.partition) {
            continue;
        }
        let log = admin.watermarks(&partition).await?;
        let from = match arguments.from {
            From::Beginning => log.low,
            From::End => log.high,
            From::Offset(offset) => offset.clamp(log.low, log.high),
        };
        if arguments.follow || from < log.high {
            subscription.start(partition.clone(), from, 0);
            ends.insert(partition, log.high);
        }
    }
    let mut left = arguments.limit;
    while left > 0 && !ends.is_empty() && !output::is_closed() {
        let Some(SubscriptionEvent::Batch(batch)) = subscription.next().await else { break };
        for record in batch.records.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            output::line(to_json(&batch.partition, record));
            left -= 1;
        }
        if !arguments.follow && ends.get(&batch.partition).is_some_and(|end| batch.to >= *end) {
            subscription.stop(batch.partition.clone());
            ends.remove(&batch.partition);
        }
    }
    Ok(())
}

/// A record as one JSON object: where it lies, its headers, and its event, or why there is none.
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
    match decode_record(&record.payload) {
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
