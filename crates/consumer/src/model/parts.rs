//! The parts of the small world: the log, the store, a consumer.

use blackfriday_broker::Watermarks;
use blackfriday_store::model::Place;
use blackfriday_store::{LastRecord, Outcome, StoredPartition};

use super::Fault;
use crate::count::{Fate, fate};
use crate::owned::Phase;

/// A partition's records by offset, each a number that no other has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Log {
    pub(super) low: usize,
    pub(super) records: Vec<u8>,
    /// As it was before it lost its tail.
    pub(super) before: Option<Vec<u8>>,
    pub(super) appended: u8,
}

/// Position and counters, which change and replicate together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Store {
    pub(super) place: Place,
    pub(super) counted: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Batch {
    pub(super) from: usize,
    pub(super) records: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Consumer {
    /// None while it does not own the partition.
    pub(super) phase: Option<Phase>,
    /// What a start has found out.
    pub(super) start: Starting,
    /// The next offset that it reads, and what must come before it.
    pub(super) read: usize,
    pub(super) after: Option<LastRecord>,
    /// The store's last record was looked for.
    pub(super) is_checked: bool,
    pub(super) ready: Option<Batch>,
    /// On its way to the store, or its answer on the way back.
    pub(super) sent: Option<Batch>,
    /// On its way, and nobody waits for the answer.
    pub(super) stray: Option<Batch>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) enum Starting {
    #[default]
    Nothing,
    Asks {
        replaced: Option<LastRecord>,
    },
    Knows {
        stored: StoredPartition,
        replaced: Option<LastRecord>,
    },
}

impl Log {
    pub(super) fn watermarks(&self) -> Watermarks {
        Watermarks { low: offset(self.low), high: offset(self.records.len()) }
    }

    pub(super) fn holds(&self, record: LastRecord) -> bool {
        self.records.get(at(record.offset)).is_some_and(|found| identity(at(record.offset), *found) == record)
    }
}

impl Store {
    pub(super) fn apply(&mut self, batch: &Batch, fault: Option<Fault>) -> Outcome {
        let to = batch.from + batch.records.len();
        let last = batch.records.last().map(|record| identity(to - 1, *record));
        let is_checked = fault != Some(Fault::PositionUnchecked);
        let from = if is_checked { offset(batch.from) } else { self.place.0.next };
        let outcome = self.place.apply(from, offset(to), last);
        if outcome == Outcome::Applied {
            self.counted.extend(&batch.records);
        }
        outcome
    }
}

impl Consumer {
    /// Starts, or starts over.
    pub(super) fn begin(&mut self, replaced: Option<LastRecord>) {
        self.give_up();
        self.phase = Some(Phase::Starting);
        self.start = Starting::Asks { replaced };
    }

    /// What was read is void; what was sent is on its way all the same.
    pub(super) fn give_up(&mut self) {
        self.ready = None;
        self.stray = self.sent.take().or(self.stray.take());
        (self.read, self.after, self.is_checked) = (0, None, false);
    }

    pub(super) fn stop(&mut self) {
        self.give_up();
        (self.phase, self.start) = (Some(Phase::Stopped), Starting::Nothing);
    }

    pub(super) fn take(&mut self, log: &[u8], to: usize) {
        self.ready = Some(Batch { from: self.read, records: log[self.read..to].to_vec() });
        (self.read, self.after, self.is_checked) = (to, Some(identity(to - 1, log[to - 1])), true);
    }

    pub(super) fn settle(&mut self, batch: &Batch, outcome: Outcome, fault: Option<Fault>) {
        self.sent = None;
        let to = batch.from + batch.records.len();
        let last = batch.records.last().map(|record| identity(to - 1, *record));
        match fate(outcome, offset(to), last) {
            Fate::Applied { position, last } => self.phase = Some(Phase::Counting { position, last }),
            Fate::Doubtful if fault == Some(Fault::RefusalTakenForApplied) => {
                self.phase = Some(Phase::Counting { position: offset(to), last });
            }
            Fate::Doubtful | Fate::Refused { .. } => self.begin(None),
            Fate::Stopped { .. } => self.stop(),
            Fate::ToBury(_) => unreachable!("no record is a dead letter"),
        }
    }
}

pub(super) fn identity(offset: usize, record: u8) -> LastRecord {
    LastRecord { offset: self::offset(offset), digest: [record; 8] }
}

pub(super) fn offset(at: usize) -> i64 {
    i64::try_from(at).expect("a handful")
}

pub(super) fn at(offset: i64) -> usize {
    usize::try_from(offset).expect("not negative")
}
