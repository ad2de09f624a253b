//! The log, read once from its beginning, or from where retention has left it: which events it holds, which of them count, and
//! the store that they add up to.
//!
//! Each record goes through the store's naive model and through a small note by identity (`Seen`), because there may be millions
//! of events. What receipts say is asked of those notes afterwards (`told`).

mod gone;
mod seen;
pub(crate) mod told;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::Result;
use blackfriday_broker::{LogConfig, Record, Topic, TopicPartition};
use blackfriday_event::Timestamp;
use blackfriday_proto::decode_record;
use blackfriday_store::{LastRecord, Recorded, StoredPartition, Value, model};
use blackfriday_terminal::progress::{Length, Progress};
use uuid::Uuid;

use self::gone::part_of;
pub(crate) use self::seen::Facts;
use self::seen::{Other, Seen};
use crate::records::{self, Headers, Patience, Place, Range, belongs};
use crate::wait::{Offsets, Span, Stored};

/// A record of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: Uuid,
    pub(crate) place: Place,
}

/// Whether the way to the result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Yes,
    No,
}

/// Records between two looks at how far it is.
const SHOW_EVERY: u64 = 4_096;

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
    /// Partitions that lost their beginning, and of which nothing was read yet.
    unbegun: BTreeSet<TopicPartition>,
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
    /// Records of which nobody can say any more whether they count: their key may be that of a lost one.
    pub(crate) undecided: u64,
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

/// Reads the spans, and shows how far it is where `shown` says so.
pub(crate) async fn read(config: &LogConfig, spans: &[Span], mut log: Log, shown: Shown) -> Result<Log> {
    let range = |span: &Span| Range {
        partition: span.partition.clone(),
        from: span.low,
        to: span.end.max(span.position).min(span.high),
    };
    let ranges: Vec<_> = spans.iter().map(range).collect();
    let all = ranges.iter().map(|range| u64::try_from(range.to - range.from).unwrap_or(0)).sum();
    let progress = (shown == Shown::Yes).then(|| Progress::new(&[("read", Length::Number(all))]));
    let mut read = 0_u64;
    let add = |partition: &TopicPartition, record: Record| {
        log.add(partition, &record);
        read += 1;
        if let Some(progress) = progress.as_ref().filter(|_| read.is_multiple_of(SHOW_EVERY)) {
            progress.show(&[read], "records");
        }
        ControlFlow::Continue(())
    };
    records::read(config, ranges, Headers::None, Patience::UntilStalled, add).await?;
    Ok(log)
}

impl Log {
    /// Nothing is read yet; what is below the positions of `stored` will go into the model. Of what retention has taken before
    /// the spans, `dump` is believed.
    pub(crate) fn new(
        mut model: model::State,
        stored: Stored,
        spans: &[Span],
        dump: &Arc<BTreeMap<String, Value>>,
    ) -> Self {
        let mut lows = Offsets::new();
        for Span { partition, low, .. } in spans.iter().filter(|span| span.low > 0) {
            model.lose(part_of(&partition.topic), partition.partition, *low, dump);
            lows.insert(partition.clone(), *low);
        }
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
            let low = lows.get(&partition).copied().unwrap_or(0);
            unproved_identities.extend(last.filter(|last| last.offset >= low).map(|last| (partition, last)));
        }
        Self {
            model,
            positions,
            unbegun: lows.into_keys().collect(),
            unproved_identities,
            stopped,
            partitions: Vec::new(),
            events: HashMap::new(),
            records: 0,
            others: HashMap::new(),
            counted: 0,
            repeated: 0,
            undecided: 0,
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
        self.begin(partition, record);
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
        let recorded = is_counted.then(|| self.count(partition, record.offset, &event));
        match recorded {
            Some(Recorded::Counted) => self.counted += 1,
            Some(Recorded::Repeated) => self.repeated += 1,
            Some(Recorded::Conflicting) => self.conflicts.push(found.clone()),
            Some(Recorded::Undecided) => self.undecided += 1,
            None => self.uncounted.push(found.clone()),
        }
        self.note(facts, found, recorded);
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

    fn count(
        &mut self,
        partition: &TopicPartition,
        offset: i64,
        event: &blackfriday_event::Event,
    ) -> Recorded {
        let (topic, number) = (&*partition.topic, partition.partition);
        match event {
            blackfriday_event::Event::Sale(sale) => self.model.record_sale(topic, number, offset, sale),
            blackfriday_event::Event::Weather(report) => {
                self.model.record_weather(topic, number, offset, report)
            }
        }
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
