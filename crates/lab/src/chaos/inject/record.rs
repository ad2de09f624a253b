//! Records that are encoded by hand, as somebody else's client does, and how they get into a log.

use std::time::Duration;

use anyhow::{Result, anyhow};
use blackfriday_broker::{LogConfig, OutgoingRecord, Producer, ProducerConfig};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);
/// More than any log takes: it is the log that refuses.
const RECORD_MAX_BYTES: u32 = 2 << 20;

/// Writes records without keys, as a writer does.
pub(crate) async fn publish(log: &LogConfig, topic: &str, payloads: Vec<Vec<u8>>) -> Result<()> {
    let settings = ProducerConfig::default().with_record_max_bytes(RECORD_MAX_BYTES);
    let producer = Producer::new(log, &settings, topic)?;
    timeout(LIMIT, producer.availability().watch().wait_for(|available| *available)).await??;
    let record = |payload| OutgoingRecord { topic: topic.to_owned(), payload, ..OutgoingRecord::default() };
    for outcome in producer.publish_batch(payloads.into_iter().map(record).collect()).outcomes().await {
        outcome.map_err(|error| anyhow!("publish into {topic}: {error:?}"))?;
    }
    Ok(())
}

/// A valid weather report.
pub(crate) fn report(number: u64) -> Vec<u8> {
    let texts = [(1, format!("poison-{number}")), (2, "GT".to_owned()), (3, "Nublado".to_owned())];
    let report: Vec<u8> = texts.iter().flat_map(|(at, text)| field(*at, text.as_bytes())).collect();
    [id(number), field(5, &report)].concat()
}

/// A valid sale: category and cents are 1, and so is the quantity.
pub(crate) fn sale(number: u64) -> Vec<u8> {
    let product = field(2, format!("poison-{number}").as_bytes());
    let sale = [vec![0x08, 1], product, vec![0x18, 1, 0x20, 1]].concat();
    [id(number), field(4, &sale)].concat()
}

/// An identity of version 7 at the beginning of time.
fn id(number: u64) -> Vec<u8> {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    (id[6], id[8]) = (0x70, 0x80);
    field(1, &id)
}

/// A field of protobuf with a length, which is below 128.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("short");
    [&[number << 3 | 2, length], content].concat()
}
