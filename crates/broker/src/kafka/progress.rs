//! Whether the broker takes records, which it may fail to do while it answers everything else: fewer replicas in sync than
//! it wants, a disk that hangs.
//!
//! Records wait in the client's queue then, and each caller that gives up does not know its outcome. So after a caller
//! waited in vain, and nothing at all was told meanwhile, others are refused before they hand anything over. One batch a
//! second is let through: the records that wait may be of another partition than those that would be taken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long nothing was told, at least, until batches are refused.
const SILENCE: Duration = Duration::from_secs(1);
/// Between two batches that are let through nevertheless.
const TRY: Duration = Duration::from_secs(1);

/// What was told about records, of one producer.
#[derive(Debug)]
pub(super) struct Progress {
    /// Records whose outcome was told, and 1.
    told: AtomicU64,
    /// `told` when a caller had waited in vain; 0 is never. It is in force while `told` is the same.
    stuck_at: AtomicU64,
    tried: Mutex<Instant>,
}

/// When a batch was handed over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    told: u64,
    at: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { told: AtomicU64::new(1), stuck_at: AtomicU64::new(0), tried: Mutex::new(Instant::now()) }
    }

    /// Before a batch is handed over.
    pub(super) fn mark(&self) -> Mark {
        Mark { told: self.told.load(Ordering::Acquire), at: Instant::now() }
    }

    /// The outcome of a record is there, whichever.
    pub(super) fn told(&self) {
        let before = self.told.fetch_add(1, Ordering::AcqRel);
        if before == self.stuck_at.load(Ordering::Acquire) {
            tracing::info!("outcomes of records arrive again");
        }
    }

    /// The caller of a batch waits no longer, and records of it have no outcome.
    pub(super) fn gave_up(&self, mark: Mark) {
        let silent = self.told.load(Ordering::Acquire) == mark.told;
        if silent
            && mark.at.elapsed() >= SILENCE
            && self.stuck_at.swap(mark.told, Ordering::AcqRel) != mark.told
        {
            *self.tried.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            tracing::warn!("the broker takes no records");
        }
    }

    /// Whether a batch may be handed over.
    pub(super) fn admits(&self) -> bool {
        if self.stuck_at.load(Ordering::Acquire) != self.told.load(Ordering::Acquire) {
            return true;
        }
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let due = tried.elapsed() >= TRY;
        if due {
            *tried = Instant::now();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(mark: Mark, time: Duration) -> Mark {
        Mark { at: mark.at.checked_sub(time).expect("the clock runs since the machine started"), ..mark }
    }

    #[test]
    fn after_a_caller_waited_in_vain_one_batch_a_second_is_let_through_until_something_is_told() {
        let progress = Progress::new();
        let mark = progress.mark();
        progress.gave_up(mark);
        assert!(progress.admits(), "it did not wait long enough to tell");
        progress.gave_up(ago(mark, SILENCE));
        assert!(!progress.admits());
        *progress.tried.lock().expect("one thread") = ago(mark, TRY).at;
        assert!(progress.admits());
        assert!(!progress.admits(), "one only");
        // Others give up, too.
        progress.gave_up(ago(mark, SILENCE * 2));
        assert!(!progress.admits());
        progress.told();
        assert!(progress.admits());
        assert!(progress.admits());
    }

    #[test]
    fn a_caller_that_waited_while_others_were_told_says_nothing_of_the_broker() {
        let progress = Progress::new();
        let mark = progress.mark();
        progress.told();
        progress.gave_up(ago(mark, SILENCE));
        assert!(progress.admits());
    }
}
