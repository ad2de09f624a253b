//! A log whose beginning is gone, by retention: which of the records that are left count.
//!
//! What the lost records added to the store cannot be recomputed. It is taken from the store itself (`completed`), and with it
//! what the store says of their idempotency keys: so a key decides here as it does in the consumer. Where the store has
//! forgotten a key by now that a lost record may have had, nobody can say any more whether the next record under it
//! counted, unless the store holds a trace of it; it is undecided.
//!
//! Invariant: what some beginning of the log could have led to is never called wrong, provided that the log's clock did not
//! go back further than is allowed for where it was cut.

use std::collections::BTreeMap;
use std::sync::Arc;

use blackfriday_event::Category;

use super::admission::{CountedKeys, CountedWith, Trace};
use super::compare::fields_of;
use super::{State, Value};
use crate::apply::LastRecord;
use crate::keys::Keys;
use crate::part::Part;

/// The beginning of a partition that is gone.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    pub(super) of_sales: bool,
    /// The first offset that is left: so many records are gone at the most.
    pub(super) begin: i64,
    /// No lost record has a later time, in milliseconds since the Unix epoch.
    pub(super) until_ms: u64,
    /// When a key was last seen with a record that is undecided.
    undecided: BTreeMap<String, u64>,
    /// Whether the first record is known that is left.
    pub(super) is_begun: bool,
    store: Arc<BTreeMap<String, Value>>,
}

/// The records whose key a lost record may have had.
#[derive(Debug, Clone, Default)]
pub(super) struct Undecided {
    pub(super) sales: u128,
    pub(super) reports: u128,
    /// Sales by category and second.
    pub(super) seconds: BTreeMap<(Category, u64), u128>,
}

impl State {
    /// Says that the records of a partition before the offset `begin` are gone. `store` is what will be compared; it is
    /// believed what nothing that is left contradicts.
    pub fn lose(&mut self, part: Part<'_>, partition: i32, begin: i64, store: &Arc<BTreeMap<String, Value>>) {
        let (of_sales, topic) = match part {
            Part::Sales(topic) => (true, topic),
            Part::Weather(topic) => (false, topic),
        };
        let (undecided, store) = (BTreeMap::new(), Arc::clone(store));
        let lost = Lost { of_sales, begin, until_ms: u64::MAX, undecided, is_begun: false, store };
        self.lost.insert((topic.to_owned(), partition), lost);
    }

    /// Says that no lost record of a partition has a later time, in milliseconds since the Unix epoch: before the first
    /// record is recorded that is left. Without it, nothing is known of their times.
    pub fn begin(&mut self, topic: &str, partition: i32, until_ms: u64) {
        let place = (topic.to_owned(), partition);
        if let Some(lost) = self.lost.get_mut(&place) {
            (lost.until_ms, lost.is_begun) = (until_ms, true);
            let keys = self.counted_keys.entry(place).or_default();
            lost.remember(&self.keys, (topic, partition), keys);
        }
    }

    /// The latest time that a lost record of this part may have, in milliseconds since the Unix epoch; `None` if none is lost.
    pub fn lost_until(&self, part: Part<'_>) -> Option<u64> {
        self.lost_until_ms(matches!(part, Part::Sales(_)))
    }

    pub(super) fn lost_until_ms(&self, of_sales: bool) -> Option<u64> {
        self.lost.values().filter(|lost| lost.of_sales == of_sales).map(|lost| lost.until_ms).max()
    }
}

impl Lost {
    /// Takes over what the store says of the keys that lost records were counted with.
    pub(super) fn remember(&self, names: &Keys, (topic, partition): (&str, i32), keys: &mut CountedKeys) {
        let set = fields_of(&self.store, &names.idempotency(topic, partition));
        let events = fields_of(&self.store, &names.events(topic, partition));
        for (key, at) in set.into_iter().flatten() {
            let event = events.and_then(|events| LastRecord::parse(events.get(key)?));
            let Some((at, event)) = at.parse().ok().zip(event) else { continue };
            if event.offset < self.begin && at <= self.until_ms {
                let LastRecord { offset, digest } = event;
                keys.remember(key, CountedWith { at, offset, digest });
            }
        }
    }

    /// Whether a key may still have been remembered with a lost record, when keys below `floor` were forgotten.
    pub(super) fn may_remember(&self, key: &str, floor: u64) -> bool {
        floor <= self.undecided.get(key).copied().unwrap_or(self.until_ms)
    }

    /// Whether the store itself says that a key was counted with this record.
    pub(super) fn names(
        &self,
        names: &Keys,
        (topic, partition, offset): (&str, i32, i64),
        key: &str,
    ) -> bool {
        let events = fields_of(&self.store, &names.events(topic, partition));
        let event = events.and_then(|events| LastRecord::parse(events.get(key)?));
        event.is_some_and(|event| event.offset == offset)
    }

    /// Whether the store holds what an event leaves there if it counts.
    pub(super) fn has(&self, (key, field): &Trace) -> bool {
        match field {
            None => self.store.contains_key(key),
            Some(field) => fields_of(&self.store, key).is_some_and(|fields| fields.contains_key(field)),
        }
    }

    /// From now on this record, too, may be what the key is remembered with.
    pub(super) fn leave_undecided(&mut self, key: &str, at: u64) {
        self.undecided.insert(key.to_owned(), at);
    }
}

#[cfg(test)]
mod tests;
