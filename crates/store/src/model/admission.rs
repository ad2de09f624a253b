//! Which keyed events count, naively: every key of a partition's last 24 hours is kept.

use std::collections::{BTreeMap, BTreeSet};

use blackfriday_event::{IDEMPOTENCY_WINDOW_MS, IdempotencyKey};

use super::{Conflict, Recorded, State};

/// What the store holds of an event if it counted: a field of a key, or the key itself.
pub(super) type Trace = (String, Option<String>);

/// The idempotency keys that a partition remembers, and the same by time.
#[derive(Debug, Clone, Default)]
pub(super) struct CountedKeys {
    pub(super) by_key: BTreeMap<String, CountedWith>,
    by_time: BTreeSet<(u64, String)>,
    /// Below this time keys are forgotten.
    pub(super) floor: u64,
}

/// When and with what a key was counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountedWith {
    pub(super) at: u64,
    pub(super) offset: i64,
    pub(super) digest: [u8; 8],
}

impl State {
    /// Decides about the partition's next keyed event. `trace` is needed where the beginning of a log is gone.
    pub(super) fn admit(
        &mut self,
        (topic, partition, offset): (&str, i32, i64),
        key: Option<&IdempotencyKey>,
        (digest, at): ([u8; 8], u64),
        trace: Option<Trace>,
    ) -> Recorded {
        let Some(key) = key else { return Recorded::Counted };
        let keys = self.counted_keys.entry((topic.to_owned(), partition)).or_default();
        // A partition's time never goes back.
        let now = keys.by_time.last().map_or(at, |(newest, _)| at.max(*newest));
        let floor = now.saturating_sub(IDEMPOTENCY_WINDOW_MS);
        match keys.by_key.get(key.as_str()).copied() {
            Some(counted) if counted.at >= floor && counted.digest == digest => Recorded::Repeated,
            Some(counted) if counted.at >= floor => {
                let (topic, key, counted) = (topic.to_owned(), key.clone(), counted.offset);
                self.conflicts.push(Conflict { topic, partition, offset, key, counted });
                Recorded::Conflicting
            }
            _ => {
                if let Some(trace) = trace
                    && let Some(lost) = self.lost.get_mut(&(topic.to_owned(), partition))
                    && lost.may_remember(key.as_str(), floor)
                    && !lost.names(&self.keys, (topic, partition, offset), key.as_str())
                    && !lost.has(&trace)
                {
                    lost.leave_undecided(key.as_str(), now);
                    return Recorded::Undecided;
                }
                keys.remember(key.as_str(), CountedWith { at: now, offset, digest });
                keys.forget_below(floor);
                Recorded::Counted
            }
        }
    }
}

impl CountedKeys {
    pub(super) fn remember(&mut self, key: &str, counted: CountedWith) {
        if let Some(before) = self.by_key.insert(key.to_owned(), counted) {
            self.by_time.remove(&(before.at, key.to_owned()));
        }
        self.by_time.insert((counted.at, key.to_owned()));
    }

    fn forget_below(&mut self, floor: u64) {
        self.floor = floor;
        while let Some((at, key)) = self.by_time.first().filter(|(at, _)| *at < floor).cloned() {
            self.by_time.remove(&(at, key.clone()));
            self.by_key.remove(&key);
        }
    }
}
