//! Every record of the log, decoded by hand.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_broker::{
    Admin, BatchLimits, EventLog, LogConfig, SALES, Subscription, SubscriptionEvent, WEATHER,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tokio::time::timeout;

use super::protobuf::{Field, fields};
use crate::chaos::ledger::Sent;

/// A broker that gives nothing for this long, although there is more, is away.
const STALL: Duration = Duration::from_secs(30);

/// A record as it lies in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) topic: &'static str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// When the log appended it, in milliseconds since the epoch.
    pub(super) time_ms: u64,
    pub(super) id: Vec<u8>,
    /// Empty for none.
    pub(super) key: String,
    pub(super) event: Event,
}

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Sale {
        category: u64,
        product: String,
        cents: u64,
        units: u64,
    },
    Weather {
        description: String,
        country: String,
        weather: String,
    },
    /// Nothing that can be counted.
    Other,
}

/// All records of both topics, by partition and offset.
pub(super) async fn read(log: &LogConfig) -> Result<Vec<Raw>> {
    let mut records = match log.log {
        EventLog::Kafka => {
            let servers = log.kafka.brokers.clone();
            tokio::task::spawn_blocking(move || read_kafka(&servers)).await.context("the reader died")??
        }
        EventLog::RabbitMq => read_rabbitmq(log).await?,
    };
    records.sort_by_key(|record| (record.topic, record.partition, record.offset));
    Ok(records)
}

impl Raw {
    fn new(topic: &'static str, partition: i32, offset: i64, time_ms: i64, payload: &[u8]) -> Self {
        let time_ms = u64::try_from(time_ms).unwrap_or(0);
        let empty = Self {
            topic,
            partition,
            offset,
            time_ms,
            id: Vec::new(),
            key: String::new(),
            event: Event::Other,
        };
        decoded(payload).map_or(empty.clone(), |(id, key, event)| Self { id, key, event, ..empty })
    }

    /// By which its client knows it.
    pub(super) fn name(&self) -> &str {
        match &self.event {
            Event::Sale { product, .. } => product,
            Event::Weather { description, .. } => description,
            Event::Other => "",
        }
    }

    /// Whether it is an event in the topic where it belongs.
    pub(super) fn can_be_counted(&self) -> bool {
        match self.event {
            Event::Sale { .. } => self.topic == SALES,
            Event::Weather { .. } => self.topic == WEATHER,
            Event::Other => false,
        }
    }

    /// For people.
    pub(super) fn place(&self) -> String {
        format!("{}/{} offset {}", self.topic, self.partition, self.offset)
    }

    /// Whether it holds what was sent, in the topic where it belongs.
    pub(super) fn is(&self, sent: &Sent) -> bool {
        match (&self.event, sent) {
            (Event::Sale { category, cents, units, .. }, Sent::Sale { category: c, cents: p, units: u }) => {
                self.can_be_counted()
                    && (*category, *cents, *units) == ((*c).into(), (*p).into(), (*u).into())
            }
            (Event::Weather { country, weather, .. }, Sent::Weather { country: c, weather: w }) => {
                self.can_be_counted() && country == c && weather == w
            }
            _ => false,
        }
    }
}

fn read_kafka(servers: &str) -> Result<Vec<Raw>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "a-judge-of-no-group")
        .set("enable.auto.commit", "false")
        .create()
        .context("make a reader")?;
    let (mut assigned, mut left) = (TopicPartitionList::new(), Vec::new());
    for topic in [SALES, WEATHER] {
        let metadata = consumer.fetch_metadata(Some(topic), STALL).context("ask for the partitions")?;
        let partitions = metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions);
        for partition in partitions {
            let (low, high) =
                consumer.fetch_watermarks(topic, partition.id(), STALL).context("ask for the ends")?;
            ensure!(low == 0, "{topic}/{} does not go back to its beginning", partition.id());
            if high > 0 {
                assigned.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
                left.push((topic, partition.id(), high));
            }
        }
    }
    consumer.assign(&assigned).context("read")?;
    let mut records = Vec::new();
    while !left.is_empty() {
        let message = consumer.poll(STALL).context("the log gave no record")?.context("read a record")?;
        let topic = if message.topic() == SALES { SALES } else { WEATHER };
        let (partition, offset) = (message.partition(), message.offset());
        let time_ms = message.timestamp().to_millis().unwrap_or(-1);
        records.push(Raw::new(topic, partition, offset, time_ms, message.payload().unwrap_or_default()));
        left.retain(|(of, id, high)| !(*of == topic && *id == partition && offset + 1 >= *high));
    }
    Ok(records)
}

/// With the services' own reader: there is no other client of streams. What it gives is decoded by hand all the same.
async fn read_rabbitmq(log: &LogConfig) -> Result<Vec<Raw>> {
    let admin = Admin::new(log)?;
    let mut subscription = Subscription::open(log, BatchLimits::default(), false)?;
    let mut left = Vec::new();
    for topic in [SALES, WEATHER] {
        for partition in admin.partitions(topic).await? {
            let end = admin.watermarks(&partition).await?.high;
            if end > 0 {
                subscription.start(partition.clone(), 0, 0);
                left.push((partition, end));
            }
        }
    }
    let mut records = Vec::new();
    while !left.is_empty() {
        let event = timeout(STALL, subscription.next()).await.context("the log gave no record")?;
        let SubscriptionEvent::Batch(batch) = event.context("the reader died")? else { continue };
        let topic = if *batch.partition.topic == *SALES { SALES } else { WEATHER };
        let of = batch.partition.partition;
        let raw = |record: &blackfriday_broker::Record| {
            Raw::new(topic, of, record.offset, record.timestamp_ms, &record.payload)
        };
        records.extend(batch.records.iter().map(raw));
        left.retain(|(partition, end)| *partition != batch.partition || batch.to < *end);
    }
    Ok(records)
}

fn decoded(payload: &[u8]) -> Option<(Vec<u8>, String, Event)> {
    let (mut id, mut key, mut event) = (Vec::new(), String::new(), Event::Other);
    for (number, field) in fields(payload)? {
        match number {
            1 => id = field.bytes()?.to_vec(),
            3 => key = field.text()?.to_owned(),
            4 => event = sale(&fields(field.bytes()?)?)?,
            5 => event = weather(&fields(field.bytes()?)?)?,
            _ => {}
        }
    }
    Some((id, key, event))
}

fn sale(fields: &[(u64, Field<'_>)]) -> Option<Event> {
    let number = |wanted| find(fields, wanted).map_or(Some(0), Field::number);
    let product = find(fields, 2)?.text()?.to_owned();
    Some(Event::Sale { category: number(1)?, product, cents: number(3)?, units: number(4)? })
}

fn weather(fields: &[(u64, Field<'_>)]) -> Option<Event> {
    let text =
        |wanted| find(fields, wanted).map_or(Some(String::new()), |field| field.text().map(str::to_owned));
    Some(Event::Weather { description: text(1)?, country: text(2)?, weather: text(3)? })
}

/// The last one of a number, as protobuf has it.
fn find<'a>(fields: &[(u64, Field<'a>)], wanted: u64) -> Option<Field<'a>> {
    fields.iter().rev().find(|(number, _)| *number == wanted).map(|(_, field)| *field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_field_by_field() {
        let mut payload = vec![0x0a, 2, 7, 8, 0x10, 5, 0x1a, 1, b'k', 0x22, 9];
        payload.extend([0x08, 2, 0x12, 3, b'c', b'-', b'1', 0x18, 9]);
        let raw = Raw::new(SALES, 1, 7, 17, &payload);
        assert_eq!((raw.id.as_slice(), raw.key.as_str(), raw.name()), (&[7, 8][..], "k", "c-1"));
        assert_eq!(raw.event, Event::Sale { category: 2, product: "c-1".to_owned(), cents: 9, units: 0 });
        assert!(raw.is(&Sent::Sale { category: 2, cents: 9, units: 0 }));
        assert!(!raw.is(&Sent::Sale { category: 2, cents: 10, units: 0 }));
        assert_eq!(Raw::new(SALES, 1, 7, 17, b"garbage").event, Event::Other);
    }
}
