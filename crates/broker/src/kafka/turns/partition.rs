//! One partition: how many of its records are on their way, and which wait.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::delivery::Slot;
use crate::kafka::config::ProducerConfig;
use crate::record::OutgoingRecord;

/// Records that are handed over in one turn, as many as the client puts into a request.
const TURN: usize = 10_000;

/// A record, and where its outcome goes.
pub(super) struct Ready {
    pub(super) record: OutgoingRecord,
    pub(super) slot: Slot,
}

/// What a record gives back with its outcome: its room, and its partition's turn.
pub(in crate::kafka) struct Turn {
    pub(super) partition: Arc<Partition>,
    pub(super) bytes: usize,
}

pub(in crate::kafka) struct Partition {
    id: i32,
    has_leader: AtomicBool,
    /// Records that were handed over and have no outcome. It leaves 0, and comes back to it, only under the lock of `waiting`.
    under_way: AtomicUsize,
    waiting: Mutex<VecDeque<Ready>>,
}

/// For what waits and what is on its way, in all partitions.
pub(super) struct Room {
    records: AtomicUsize,
    bytes: AtomicUsize,
    max_records: usize,
    max_bytes: usize,
}

impl Partition {
    pub(super) fn new(id: i32, has_leader: bool) -> Arc<Self> {
        Arc::new(Self {
            id,
            has_leader: AtomicBool::new(has_leader),
            under_way: AtomicUsize::new(0),
            waiting: Mutex::default(),
        })
    }

    pub(super) fn id(&self) -> i32 {
        self.id
    }

    pub(super) fn has_leader(&self) -> bool {
        self.has_leader.load(Ordering::Relaxed)
    }

    pub(super) fn set_leader(&self, has_leader: bool) {
        self.has_leader.store(has_leader, Ordering::Relaxed);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Acquire) == 0
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue().len()
    }

    /// These records come, for which there is room. Gives back those that are to be handed over now: all or none.
    pub(super) fn begin(&self, ready: Vec<Ready>) -> Vec<Ready> {
        let mut waiting = self.queue();
        if self.is_idle() {
            self.under_way.store(ready.len(), Ordering::Release);
            return ready;
        }
        waiting.extend(ready);
        Vec::new()
    }

    /// One record has its outcome. Gives those whose turn it is, which count as on their way.
    pub(super) fn done(&self) -> Option<Vec<Ready>> {
        self.done_with(1)
    }

    /// As [`Partition::done`], of so many records.
    pub(super) fn done_with(&self, records: usize) -> Option<Vec<Ready>> {
        if records == 0 {
            return None;
        }
        let left = |under_way: usize| under_way.checked_sub(records).filter(|left| *left > 0);
        // The last one is counted under the lock.
        if self.under_way.fetch_update(Ordering::AcqRel, Ordering::Acquire, left).is_ok() {
            return None;
        }
        let mut waiting = self.queue();
        if self.under_way.fetch_sub(records, Ordering::AcqRel) > records || waiting.is_empty() {
            return None;
        }
        let count = waiting.len().min(TURN);
        let turn: Vec<_> = waiting.drain(..count).collect();
        self.under_way.store(turn.len(), Ordering::Release);
        Some(turn)
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Ready>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    pub(super) fn new(config: &ProducerConfig) -> Self {
        let size = |of: u32| usize::try_from(of).unwrap_or(usize::MAX);
        Self {
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            max_records: size(config.queue_max_records),
            max_bytes: size(config.queue_max_kib).saturating_mul(1024),
        }
    }

    /// Whether there was room for a record, which is taken.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let records = self.records.fetch_add(1, Ordering::Relaxed) + 1;
        let all_bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let fits = records <= self.max_records && all_bytes <= self.max_bytes;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.records.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
