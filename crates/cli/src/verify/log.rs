use std::collections::HashMap;
use std::ops::ControlFlow;

use anyhow::Result;
use blackfriday_broker::kafka::KafkaConfig;
use blackfriday_broker::{Record, TopicPartition};
use blackfriday_event::Timestamp;
use blackfriday_proto::{Event, decode_record};
use blackfriday_store::{LastRecord, Recorded, model};
use uuid::Uuid;

use super::wait::{Offsets, Span};
use crate::records::{self, Headers, Patience, Range};

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) partition: TopicPartition,
    pub(crate) offset: i64,
}

/// A record of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: Uuid,
    pub(crate) place: Place,
}

/// What kind of event a receipt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sale,
    Weather,
}

/// What the log holds. Small, because there may be millions of events.
pub(super) struct Log {
    /// The store as it must be at the positions.
    pub(super) model: model::State,
    positions: Offsets,
    /// By number, for `Seen`.
    partitions: Vec<TopicPartition>,
    pub(super) events: HashMap<Uuid, Seen>,
    /// Records of events.
    pub(super) records: u64,
    /// Records under an idempotency key that was counted already.
    pub(super) repeated: u64,
    /// Second records of an event, which count twice.
    pub(super) doubled: Vec<Found>,
    /// Events that lie beyond the positions.
    pub(super) uncounted: Vec<Found>,
    /// Records below the positions that are no events, which belong to the dead letters.
    pub(super) undecodable: Vec<Place>,
}

/// The first record of an event.
pub(super) struct Seen {
    pub(super) kind: Kind,
    pub(super) keyed: bool,
    /// A client has a receipt for it.
    pub(super) told: bool,
    partition: u32,
    offset: i64,
}

/// Reads the spans.
pub(super) async fn read(kafka: &KafkaConfig, spans: &[Span], mut log: Log) -> Result<Log> {
    let ranges = spans.iter().map(|span| Range {
        partition: span.partition.clone(),
        from: 0,
        to: span.end.max(span.position).min(span.high),
    });
    let add = |partition: &TopicPartition, record: Record| {
        log.add(partition, &record);
        ControlFlow::Continue(())
    };
    records::read(kafka, ranges, Headers::None, Patience::UntilStalled, add).await?;
    Ok(log)
}

impl Log {
    /// Nothing is read yet; what lies below `positions` will go into the model.
    pub(super) fn new(mut model: model::State, positions: Offsets) -> Self {
        for (partition, position) in &positions {
            model.advance(&partition.topic, partition.partition, *position);
        }
        Self {
            model,
            positions,
            partitions: Vec::new(),
            events: HashMap::new(),
            records: 0,
            repeated: 0,
            doubled: Vec::new(),
            uncounted: Vec::new(),
            undecodable: Vec::new(),
        }
    }

    /// The next record of a partition.
    pub(super) fn add(&mut self, partition: &TopicPartition, record: &Record) {
        let is_counted = record.offset < self.positions.get(partition).copied().unwrap_or(0);
        let place = || Place { partition: partition.clone(), offset: record.offset };
        if is_counted {
            let last = LastRecord { offset: record.offset, digest: record.digest() };
            self.model.pass(&partition.topic, partition.partition, last);
        }
        let accepted_at = Timestamp::from_log(record.timestamp_ms);
        let event = accepted_at.and_then(|accepted_at| decode_record(&record.payload, accepted_at).ok());
        let Some(event) = event else {
            self.undecodable.extend(is_counted.then(place));
            return;
        };
        let (id, kind, keyed) = match &event {
            Event::Sale(sale) => (sale.id, Kind::Sale, sale.idempotency_key.is_some()),
            Event::Weather(report) => (report.id, Kind::Weather, report.idempotency_key.is_some()),
        };
        let id = id.as_uuid();
        self.records += 1;
        let found = || Found { id, place: place() };
        let admitted = if is_counted {
            self.count(partition, record.offset, &event)
        } else {
            self.uncounted.push(found());
            !keyed
        };
        self.repeated += u64::from(is_counted && !admitted);
        let partition = self.number_of(partition);
        match self.events.get(&id) {
            // Under a key, the same partition counts it once more only after the keys' window, as was promised.
            Some(first) if admitted && (!keyed || first.partition != partition) => self.doubled.push(found()),
            Some(_) => {}
            None => {
                let seen = Seen { kind, keyed, told: false, partition, offset: record.offset };
                self.events.insert(id, seen);
            }
        }
    }

    /// Events that no client has a receipt for, in the order of the log.
    pub(super) fn untold(&self) -> Vec<Found> {
        let untold = self.events.iter().filter(|(_, seen)| !seen.told);
        let mut untold: Vec<_> = untold
            .map(|(id, seen)| {
                let partition = self.partitions[seen.partition as usize].clone();
                Found { id: *id, place: Place { partition, offset: seen.offset } }
            })
            .collect();
        untold.sort_by(|a, b| a.place.cmp(&b.place));
        untold
    }

    /// False if it is a repetition under a key that was counted.
    fn count(&mut self, partition: &TopicPartition, offset: i64, event: &Event) -> bool {
        let (topic, number) = (&*partition.topic, partition.partition);
        let recorded = match event {
            Event::Sale(sale) => self.model.record_sale(topic, number, offset, sale),
            Event::Weather(report) => self.model.record_weather(topic, number, offset, report),
        };
        recorded == Recorded::Counted
    }

    fn number_of(&mut self, partition: &TopicPartition) -> u32 {
        let known = self.partitions.iter().position(|known| known == partition);
        let number = known.unwrap_or_else(|| {
            self.partitions.push(partition.clone());
            self.partitions.len() - 1
        });
        u32::try_from(number).expect("a topic has far fewer partitions")
    }
}
