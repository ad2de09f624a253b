//! Whether the broker takes records, which it may fail to do while it answers everything else: fewer replicas in sync than
//! it wants, a disk that hangs.
//!
//! Records wait in the client's queue then, and each caller that gives up does not know its outcome. So after callers waited
//! in vain for a second, and the broker answered nothing at all about records meanwhile, others are refused before they hand
//! anything over. One batch a second is let through: the records that wait may be of another partition than those that would
//! be taken, and with its answer the refusing ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the broker answered nothing, at least, until batches are refused.
const SILENCE: Duration = Duration::from_secs(1);
/// Between two batches that are let through nevertheless.
const TRY: Duration = Duration::from_secs(1);

/// What the broker answered about the records of one producer.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Records about which it answered, and 1.
    told: AtomicU64,
    /// `told` when callers had waited in vain; 0 is never. It is in force while `told` is the same.
    stuck_at: AtomicU64,
    waits: Mutex<Waits>,
}

#[derive(Debug)]
struct Waits {
    /// The oldest batch that was given up while `told` was what it is in this mark.
    oldest: Option<Mark>,
    tried: Instant,
}

/// When a batch was handed over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    told: u64,
    at: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let waits = Waits { oldest: None, tried: Instant::now() };
        Self { told: AtomicU64::new(1), stuck_at: AtomicU64::new(0), waits: Mutex::new(waits) }
    }

    /// Before a batch is handed over.
    pub(crate) fn mark(&self) -> Mark {
        Mark { told: self.told.load(Ordering::Acquire), at: Instant::now() }
    }

    /// The broker has taken a record, or refused it. That the client gave one up by itself, by time or because it ends, says
    /// nothing of the broker.
    pub(crate) fn told(&self) {
        let before = self.told.fetch_add(1, Ordering::AcqRel);
        if before == self.stuck_at.load(Ordering::Acquire) {
            tracing::info!("the broker takes records again");
        }
    }

    /// The caller of a batch waits no longer, and records of it have no outcome.
    pub(crate) fn gave_up(&self, mark: Mark) {
        if self.told.load(Ordering::Acquire) != mark.told {
            return;
        }
        let mut waits = self.waits();
        let oldest = match waits.oldest {
            Some(oldest) if oldest.told == mark.told => oldest.at.min(mark.at),
            _ => mark.at,
        };
        waits.oldest = Some(Mark { at: oldest, ..mark });
        if oldest.elapsed() >= SILENCE && self.stuck_at.swap(mark.told, Ordering::AcqRel) != mark.told {
            waits.tried = Instant::now();
            tracing::warn!("the broker takes no records");
        }
    }

    /// Whether a batch may be handed over.
    pub(crate) fn admits(&self) -> bool {
        if self.stuck_at.load(Ordering::Acquire) != self.told.load(Ordering::Acquire) {
            return true;
        }
        let mut waits = self.waits();
        let due = waits.tried.elapsed() >= TRY;
        if due {
            waits.tried = Instant::now();
        }
        due
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
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
        progress.waits().tried = ago(mark, TRY).at;
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
    fn callers_that_wait_for_a_moment_each_tell_together() {
        let progress = Progress::new();
        let mark = progress.mark();
        progress.gave_up(ago(mark, SILENCE / 2));
        assert!(progress.admits());
        progress.waits().oldest = Some(ago(mark, SILENCE));
        progress.gave_up(mark);
        assert!(!progress.admits(), "the first of them has no outcome either");
        progress.told();
        progress.gave_up(progress.mark());
        assert!(progress.admits(), "what was before that does not count");
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
