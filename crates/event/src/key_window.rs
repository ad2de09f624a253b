//! Which keyed events count.
//!
//! A key is remembered for [`IDEMPOTENCY_WINDOW_MS`] with the digest of its event. While it is, the same event again is a
//! repetition, and another event is a conflict; neither counts.
//!
//! Time is the partition's own: the newest time of its counted keyed records. It never goes back, so a log whose clock was
//! set back, or ahead for a while, does not forget what it has just counted. Every decision is a function of the
//! partition's prefix, so replays and other batch sizes decide the same.

use std::collections::HashMap;

use crate::idempotency::IdempotencyKey;
use crate::time::Timestamp;

/// For how long a key is remembered, measured on the log's times of acceptance: 24 hours.
pub const IDEMPOTENCY_WINDOW_MS: u64 = 24 * 60 * 60 * 1000;

/// What is remembered of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedKey {
    /// The partition's time when it was counted.
    pub at: Timestamp,
    /// The record that it was counted with.
    pub offset: i64,
    /// The digest of that record's event.
    pub digest: [u8; 8],
}

/// Whether a keyed event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It does, and its key is remembered from here on.
    Counts,
    /// It was counted already.
    Repeats,
    /// Another event was counted under its key.
    Conflicts {
        /// The offset of that event's record.
        counted: i64,
    },
}

/// Decides, record by record in the order of one partition.
///
/// It starts from the part of the stored set that a batch needs: the newest stored time, and what is stored of the batch's
/// own keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyWindow {
    newest: Option<Timestamp>,
    counted: HashMap<IdempotencyKey, CountedKey>,
    added: HashMap<IdempotencyKey, CountedKey>,
}

impl KeyWindow {
    /// A window over what the store holds: its newest time, and what it remembers of the keys asked for.
    pub fn new(newest: Option<Timestamp>, counted: HashMap<IdempotencyKey, CountedKey>) -> Self {
        Self { newest, counted, added: HashMap::new() }
    }

    /// Decides about the partition's next keyed record: its key, the digest of its event, the log's time of it, its offset.
    pub fn admit(
        &mut self,
        key: &IdempotencyKey,
        digest: [u8; 8],
        accepted_at: Timestamp,
        offset: i64,
    ) -> Admission {
        let now = self.newest.map_or(accepted_at, |newest| newest.max(accepted_at));
        let floor = now.minus_millis(IDEMPOTENCY_WINDOW_MS);
        match self.counted.get(key) {
            Some(counted) if counted.at >= floor && counted.digest == digest => Admission::Repeats,
            Some(counted) if counted.at >= floor => Admission::Conflicts { counted: counted.offset },
            _ => {
                self.newest = Some(now);
                let counted = CountedKey { at: now, offset, digest };
                self.counted.insert(key.clone(), counted);
                self.added.insert(key.clone(), counted);
                Admission::Counts
            }
        }
    }

    /// The newest counted time, or `None` if no key was ever counted.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Keys below this time no longer decide anything and may be dropped from the stored set.
    pub fn floor(&self) -> Option<Timestamp> {
        self.newest.map(|newest| newest.minus_millis(IDEMPOTENCY_WINDOW_MS))
    }

    /// The keys counted since the window was made: what the store must remember.
    pub fn added(&self) -> &HashMap<IdempotencyKey, CountedKey> {
        &self.added
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: [u8; 8] = [1; 8];
    const OTHER: [u8; 8] = [2; 8];

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::new(text).expect("a key")
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis).expect("in range")
    }

    #[test]
    fn a_key_counts_once_within_the_window_and_again_after_it() {
        let mut window = KeyWindow::default();
        assert_eq!(window.admit(&key("a"), DIGEST, at(1000), 0), Admission::Counts);
        assert_eq!(window.admit(&key("a"), DIGEST, at(1000), 1), Admission::Repeats);
        let last = at(1000 + IDEMPOTENCY_WINDOW_MS);
        assert_eq!(window.admit(&key("a"), DIGEST, last, 2), Admission::Repeats);
        assert_eq!(window.admit(&key("b"), DIGEST, at(1001 + IDEMPOTENCY_WINDOW_MS), 3), Admission::Counts);
        assert_eq!(window.admit(&key("a"), DIGEST, at(500), 4), Admission::Counts, "by the partition's time");
    }

    #[test]
    fn another_event_under_a_key_conflicts_until_the_key_is_forgotten() {
        let mut window = KeyWindow::default();
        assert_eq!(window.admit(&key("a"), DIGEST, at(1000), 7), Admission::Counts);
        let conflict = Admission::Conflicts { counted: 7 };
        assert_eq!(window.admit(&key("a"), OTHER, at(2000), 8), conflict);
        assert_eq!(window.admit(&key("a"), OTHER, at(2000), 9), conflict, "it was not remembered");
        assert_eq!(window.admit(&key("a"), DIGEST, at(2000), 10), Admission::Repeats);
        assert_eq!(window.admit(&key("a"), OTHER, at(1001 + IDEMPOTENCY_WINDOW_MS), 11), Admission::Counts);
        assert_eq!(window.added()[&key("a")].offset, 11);
    }

    /// A clock that is set back by days, or was ahead by days for one record, must not make every try count.
    #[test]
    fn a_clock_that_jumps_forgets_nothing_that_was_just_counted() {
        let days = |n: u64| at(n * IDEMPOTENCY_WINDOW_MS);
        for jump in [days(7), days(13)] {
            let mut window = KeyWindow::default();
            assert_eq!(window.admit(&key("first"), DIGEST, days(10), 0), Admission::Counts);
            assert_eq!(window.admit(&key("jump"), DIGEST, jump, 1), Admission::Counts);
            assert_eq!(window.admit(&key("jump"), DIGEST, days(10), 2), Admission::Repeats);
            assert_eq!(window.admit(&key("a"), DIGEST, days(10), 3), Admission::Counts);
            assert_eq!(window.admit(&key("a"), DIGEST, days(10), 4), Admission::Repeats);
            assert_eq!(window.admit(&key("a"), DIGEST, jump, 5), Admission::Repeats);
            let floor = window.floor().expect("keys were counted");
            assert!(window.added()[&key("a")].at >= floor, "the store keeps it");
        }
    }

    proptest! {
        /// The stored set may be trimmed and reloaded between any two records without changing a decision.
        #[test]
        fn decisions_do_not_depend_on_batches(
            records in prop::collection::vec((0_u8..6, 0_u8..3, 0_u64..40), 0..60),
            split in 1_usize..10,
        ) {
            let hours = |h: u64| at(h * 2 * 60 * 60 * 1000);
            let records: Vec<_> = (0..).zip(records).collect();
            let admit = |window: &mut KeyWindow, (offset, (k, digest, h)): &(i64, (u8, u8, u64))| {
                window.admit(&key(&k.to_string()), [*digest; 8], hours(*h), *offset)
            };
            let mut whole = KeyWindow::default();
            let expected: Vec<_> = records.iter().map(|record| admit(&mut whole, record)).collect();

            let mut stored: HashMap<IdempotencyKey, CountedKey> = HashMap::new();
            let mut decided = Vec::new();
            for batch in records.chunks(split) {
                let newest = stored.values().map(|counted| counted.at).max();
                let wanted = batch.iter().map(|(_, (k, _, _))| key(&k.to_string()));
                let counted = wanted.filter_map(|k| stored.get(&k).map(|counted| (k.clone(), *counted)));
                let mut window = KeyWindow::new(newest, counted.collect());
                decided.extend(batch.iter().map(|record| admit(&mut window, record)));
                stored.extend(window.added().iter().map(|(k, counted)| (k.clone(), *counted)));
                if let Some(floor) = window.floor() {
                    stored.retain(|_, counted| counted.at >= floor);
                }
            }
            prop_assert_eq!(decided, expected);
        }
    }
}
