//! What two logs hold of the same events, by identity.
//!
//! Of an event each side keeps what it has first, which is what counts, and a short list of what else was written under its
//! identity: the records of an idempotency key lie in one partition, so that their order is that of the offsets. How often the
//! same is written is of no meaning: a try may be repeated.

use std::collections::{BTreeSet, HashMap};

use blackfriday_broker::{Record, TopicPartition};
use blackfriday_event::Timestamp;
use blackfriday_proto::decode_record;
use blackfriday_receipts::Content;

use crate::log::{Event, Facts, Found};
use crate::records::{Place, belongs};
use crate::wait::Offsets;

/// The two logs.
pub(crate) const SIDES: [usize; 2] = [0, 1];
/// For so long an event that is in one log may be on its way to the other: longer than any hop's deadline.
pub(crate) const ON_ITS_WAY_MS: u64 = 60_000;

/// What the two logs hold. Small, because there may be millions of events.
#[derive(Default)]
pub(crate) struct Pair {
    pub(crate) events: HashMap<Event, Both>,
    further: HashMap<(Event, usize), BTreeSet<Content>>,
    /// By number, for `Held`.
    partitions: Vec<TopicPartition>,
    /// One past the last record when the comparison began, of each side.
    pub(crate) ends: [Offsets; 2],
    /// Where the beginning of a side is gone by retention: the time of the first record that is left.
    pub(crate) begins_at: [Option<Timestamp>; 2],
    /// Records that hold no event of their topic.
    pub(crate) no_events: [u64; 2],
}

/// An event in the two logs.
#[derive(Default)]
pub(crate) struct Both {
    held: [Option<Held>; 2],
}

/// An event in one of them.
struct Held {
    content: Content,
    /// Of the first record.
    partition: u32,
    offset: i64,
    accepted_at: Timestamp,
}

impl Pair {
    /// The next record of a partition of one side.
    pub(crate) fn add(&mut self, side: usize, partition: &TopicPartition, record: &Record) {
        let Some(accepted_at) = Timestamp::from_log(record.timestamp_ms) else {
            self.no_events[side] += 1;
            return;
        };
        let event = decode_record(&record.payload, accepted_at).ok();
        let Some(event) = event.filter(|event| belongs(event, &partition.topic)) else {
            self.no_events[side] += 1;
            return;
        };
        let Facts { event, content, .. } = Facts::of(&event);
        let number = self.number_of(partition);
        let held = &mut self.events.entry(event).or_default().held[side];
        match held {
            None => *held = Some(Held { content, partition: number, offset: record.offset, accepted_at }),
            Some(held) if held.content == content => {}
            Some(_) => {
                self.further.entry((event, side)).or_default().insert(content);
            }
        }
    }

    /// How many events a side holds.
    pub(crate) fn count(&self, side: usize) -> u64 {
        self.events.values().filter(|both| both.held[side].is_some()).count() as u64
    }

    /// Where a side has its first record of an event.
    pub(crate) fn found(&self, event: &Event, side: usize) -> Option<Found> {
        let held = self.held(event, side)?;
        let partition = self.partitions[held.partition as usize].clone();
        Some(Found { id: event.1, place: Place { partition, offset: held.offset } })
    }

    /// What a side counts of an event, if it has it.
    pub(crate) fn counts(&self, event: &Event, side: usize) -> Option<Content> {
        self.held(event, side).map(|held| held.content)
    }

    /// Whether a side holds this under an identity, or anything where it is not known what was sent.
    pub(crate) fn holds(&self, event: &Event, side: usize, content: Option<Content>) -> bool {
        match (self.counts(event, side), content) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(first), Some(content)) => {
                first == content || self.further(event, side).any(|other| other == content)
            }
        }
    }

    /// What a side holds under an identity, and the other does not.
    pub(crate) fn surplus(&self, event: &Event, side: usize) -> Vec<Content> {
        let all = self.counts(event, side).into_iter().chain(self.further(event, side));
        all.filter(|content| !self.holds(event, 1 - side, Some(*content))).collect()
    }

    /// Whether the one side that has it may have got it so lately that the other does not have it yet, or so long ago that the
    /// other does not have it any more.
    pub(crate) fn is_of_another_time(&self, event: &Event, side: usize) -> bool {
        let Some(held) = self.held(event, side) else { return false };
        let end = self.ends[side].get(&self.partitions[held.partition as usize]);
        let is_new = end.is_none_or(|end| held.offset >= *end);
        is_new || self.is_gone(held.accepted_at, 1 - side)
    }

    /// Whether a side may have had an event that it does not have any more.
    pub(crate) fn may_be_gone(&self, event: &Event, side: usize) -> bool {
        match self.held(event, 1 - side) {
            Some(held) => self.is_gone(held.accepted_at, side),
            None => self.begins_at[side].is_some(),
        }
    }

    /// Whether what was accepted at a time may be gone from a side.
    fn is_gone(&self, accepted_at: Timestamp, side: usize) -> bool {
        let reaches_back_to = self.begins_at[side];
        reaches_back_to.is_some_and(|begin| accepted_at.millis() < begin.millis() + ON_ITS_WAY_MS)
    }

    /// Whether any event may still be on its way to one of the logs.
    pub(crate) fn is_on_its_way(&self, now: Timestamp) -> bool {
        let is_late = |(event, both): (&Event, &Both)| {
            let mut one_sided = SIDES.into_iter().filter(|side| both.held[1 - side].is_none());
            one_sided.any(|side| {
                let held = both.held[side].as_ref();
                let is_young =
                    held.is_some_and(|held| held.accepted_at.millis() + ON_ITS_WAY_MS > now.millis());
                is_young && !self.is_of_another_time(event, side)
            })
        };
        self.events.iter().any(is_late)
    }

    fn held(&self, event: &Event, side: usize) -> Option<&Held> {
        self.events.get(event)?.held[side].as_ref()
    }

    fn further(&self, event: &Event, side: usize) -> impl Iterator<Item = Content> {
        self.further.get(&(*event, side)).into_iter().flatten().copied()
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
