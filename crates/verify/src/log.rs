//! The log, read once from its beginning: which events it holds, which of them count, and the store that they add up to.
//!
//! Each record goes through the store's naive model and through a small note by identity (`Seen`), because there may be millions
//! of events. What receipts say is asked of those notes afterwards (`told`).

pub(crate) mod told;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::Result;
use blackfriday_broker::kafka::KafkaConfig;
use blackfriday_broker::{Record, Topic, TopicPartition};
use blackfriday_event::{IDEMPOTENCY_WINDOW_MS, Timestamp};
use blackfriday_proto::decode_record;
use blackfriday_receipts::Content;
use blackfriday_store::{LastRecord, Recorded, StoredPartition, model};
use uuid::Uuid;

use crate::records::{self, Headers, Patience, Place, Range, belongs};
use crate::wait::{Offsets, Span, Stored};

/// A record of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: Uuid,
    pub(crate) place: Place,
}

/// What kind of event a receipt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Sale,
    Weather,
}

/// An event: the same key of a sale and of a report gives two events with one identity.
pub(crate) type Event = (Kind, Uuid);

/// What the log holds. Small, because there may be millions of events.
pub(crate) struct Log {
    /// The store as it must be at the positions.
    pub(crate) model: model::State,
    positions: Offsets,
    /// The last counted records that the store knows and that were not found yet: of another log, if any are left.
    unproved_identities: BTreeMap<TopicPartition, LastRecord>,
    /// Why partitions are stopped.
    pub(crate) stopped: Vec<(Place, String)>,
    /// By number, for `Seen`.
    partitions: Vec<TopicPartition>,
    pub(crate) events: HashMap<Event, Seen>,
    /// Records of events that hold something else than the one that was counted last.
    others: HashMap<Event, Vec<Other>>,
    /// Records of events.
    pub(crate) records: u64,
    /// Records that the store has counted.
    pub(crate) counted: u64,
    /// Records under an idempotency key that was counted already.
    pub(crate) repeated: u64,
    /// Second records of an event, which count twice.
    pub(crate) doubled: Vec<Found>,
    /// Records under the key of another event, which do not count.
    pub(crate) conflicts: Vec<Found>,
    /// Events beyond the positions.
    pub(crate) uncounted: Vec<Found>,
    /// Records below the positions that cannot be decoded, which belong to the dead letters.
    pub(crate) undecodable: Vec<Place>,
    /// Counted records under a key whose time is their producer's, by topic.
    pub(crate) by_producers_time: BTreeMap<Topic, u64>,
    /// Records below the positions with an event that belongs to another topic, and so to the dead letters as well.
    pub(crate) misplaced: Vec<Place>,
}

/// An event in the log.
pub(crate) struct Seen {
    keyed: bool,
    /// A client has a receipt for it.
    pub(crate) told: bool,
    /// Of the record that was counted last.
    content: Content,
    /// A client has a receipt for this very content.
    content_told: bool,
    /// Where its first record is.
    partition: u32,
    offset: i64,
    /// Time of acceptance of the record that was counted last.
    counted_at: Timestamp,
}

/// A further record of an event.
struct Other {
    content: Content,
    /// It counts as an event of its own: its key was free by then. Without, its key belongs to another event.
    counts: bool,
    /// A client has a receipt for it.
    told: bool,
}

/// Reads the spans.
pub(crate) async fn read(kafka: &KafkaConfig, spans: &[Span], mut log: Log) -> Result<Log> {
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
    /// Nothing is read yet; what is below the positions of `stored` will go into the model.
    pub(crate) fn new(mut model: model::State, stored: Stored) -> Self {
        let mut positions = Offsets::new();
        let (mut unproved_identities, mut stopped) = (BTreeMap::new(), Vec::new());
        for (partition, StoredPartition { next, last, stopped: why }) in stored {
            model.advance(&partition.topic, partition.partition, next);
            positions.insert(partition.clone(), next);
            if let Some(why) = why {
                // The proof names it once, as stopped: the store is right to say so.
                model.stop(&partition.topic, partition.partition, &why);
                stopped.push((Place { partition: partition.clone(), offset: next }, why));
            }
            unproved_identities.extend(last.map(|last| (partition, last)));
        }
        Self {
            model,
            positions,
            unproved_identities,
            stopped,
            partitions: Vec::new(),
            events: HashMap::new(),
            records: 0,
            others: HashMap::new(),
            counted: 0,
            repeated: 0,
            doubled: Vec::new(),
            conflicts: Vec::new(),
            uncounted: Vec::new(),
            undecodable: Vec::new(),
            by_producers_time: BTreeMap::new(),
            misplaced: Vec::new(),
        }
    }

    /// The next record of a partition.
    pub(crate) fn add(&mut self, partition: &TopicPartition, record: &Record) {
        let is_counted = record.offset < self.positions.get(partition).copied().unwrap_or(0);
        let place = Place { partition: partition.clone(), offset: record.offset };
        if is_counted {
            self.pass(partition, record);
        }
        let accepted_at = Timestamp::from_log(record.timestamp_ms);
        let event = accepted_at.and_then(|accepted_at| decode_record(&record.payload, accepted_at).ok());
        let Some(event) = event else {
            self.undecodable.extend(is_counted.then_some(place));
            return;
        };
        let facts = Facts::of(&event);
        if !belongs(&event, &partition.topic) {
            self.misplaced.extend(is_counted.then_some(place));
            return;
        }
        self.records += 1;
        let found = Found { id: facts.event.1, place };
        if is_counted && facts.keyed && !record.appended {
            *self.by_producers_time.entry(Arc::clone(&partition.topic)).or_default() += 1;
        }
        let admitted = if is_counted {
            let admitted = self.count(partition, record.offset, &event);
            self.counted += u64::from(admitted);
            admitted
        } else {
            self.uncounted.push(found.clone());
            !facts.keyed
        };
        self.note(facts, found, admitted, is_counted);
    }

    /// Keeps what the proof needs of a record.
    fn note(&mut self, facts: Facts, found: Found, admitted: bool, is_counted: bool) {
        let Facts { event, keyed, content, accepted_at } = facts;
        let partition = self.number_of(&found.place.partition);
        let Some(seen) = self.events.get_mut(&event) else {
            let offset = found.place.offset;
            let (told, content_told, counted_at) = (false, false, accepted_at);
            let seen = Seen { keyed, told, content, content_told, partition, offset, counted_at };
            self.events.insert(event, seen);
            return;
        };
        let is_other = seen.content != content;
        if admitted {
            // Under a key it counts once more only after the keys' window, as was promised, wherever it is.
            let apart_ms = seen.counted_at.millis().abs_diff(accepted_at.millis());
            if !keyed || apart_ms <= IDEMPOTENCY_WINDOW_MS {
                self.doubled.push(found);
            }
            seen.counted_at = accepted_at;
            let before = std::mem::replace(&mut seen.content, content);
            if is_other {
                self.others.entry(event).or_default().push(Other {
                    content: before,
                    counts: true,
                    told: false,
                });
            }
        } else if is_other {
            self.others.entry(event).or_default().push(Other { content, counts: false, told: false });
            self.conflicts.extend(is_counted.then_some(found));
        } else {
            self.repeated += u64::from(is_counted);
        }
    }

    /// Where the log does not hold the record that was counted last: it lost its tail, or is another one.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = Place> {
        let all = self.unproved_identities.iter();
        all.map(|(partition, last)| Place { partition: partition.clone(), offset: last.offset })
    }

    /// What the consumer does not count and has to bury.
    pub(crate) fn belongs_to_the_dead_letters(&self) -> impl Iterator<Item = &Place> {
        let conflicts = self.conflicts.iter().map(|found| &found.place);
        self.undecodable.iter().chain(&self.misplaced).chain(conflicts)
    }

    /// Where the first record of an event is.
    pub(crate) fn found(&self, id: Uuid, seen: &Seen) -> Found {
        let partition = self.partitions[seen.partition as usize].clone();
        Found { id, place: Place { partition, offset: seen.offset } }
    }

    /// Remembers the last record below the position, and whether it is the one that the store knows.
    fn pass(&mut self, partition: &TopicPartition, record: &Record) {
        let last = LastRecord { offset: record.offset, digest: record.digest() };
        self.model.pass(&partition.topic, partition.partition, last);
        if self.unproved_identities.get(partition) == Some(&last) {
            self.unproved_identities.remove(partition);
        }
    }

    /// False if it is under a key that was counted.
    fn count(&mut self, partition: &TopicPartition, offset: i64, event: &blackfriday_event::Event) -> bool {
        let (topic, number) = (&*partition.topic, partition.partition);
        let recorded = match event {
            blackfriday_event::Event::Sale(sale) => self.model.record_sale(topic, number, offset, sale),
            blackfriday_event::Event::Weather(report) => {
                self.model.record_weather(topic, number, offset, report)
            }
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

/// What is kept of a record's event.
struct Facts {
    event: Event,
    keyed: bool,
    content: Content,
    accepted_at: Timestamp,
}

impl Facts {
    fn of(event: &blackfriday_event::Event) -> Self {
        let (kind, content) = match event {
            blackfriday_event::Event::Sale(sale) => (Kind::Sale, Content::of_sale(&sale.draft)),
            blackfriday_event::Event::Weather(report) => (Kind::Weather, Content::of_weather(&report.draft)),
        };
        Self {
            event: (kind, event.id().as_uuid()),
            keyed: event.idempotency_key().is_some(),
            content,
            accepted_at: event.accepted_at(),
        }
    }
}
