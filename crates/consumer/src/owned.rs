use std::time::{Duration, Instant};

use blackfriday_store::{LastRecord, StoredPartition};
use tokio::task::AbortHandle;

use crate::troubles::Subject;

/// So often within so long, another consumer was first in a partition that the group gave to nobody: it is left to that one.
/// Fewer may be answers of our own that were lost.
const CONTEST_MOST: u32 = 3;
const CONTEST: Duration = Duration::from_secs(5);

/// A partition that is ours.
#[derive(Debug)]
pub(crate) struct Owned {
    /// Batches of another epoch are void.
    pub(crate) epoch: u64,
    pub(crate) claim: Claim,
    pub(crate) contest: Contest,
    pub(crate) phase: Phase,
    /// The last record that was read.
    pub(crate) read: Option<LastRecord>,
    /// Since when its dead letters are being written.
    pub(crate) burying: Option<(Instant, AbortOnDrop)>,
    /// It is not read further until a batch is applied.
    pub(crate) is_paused: bool,
    /// Since when it cannot be read.
    pub(crate) failed: Option<Instant>,
    /// It is to be started again, but not sooner than the pause between two starts.
    pub(crate) is_out_of_range: bool,
    /// Looks in a row that did not see its log.
    pub(crate) unseen: u32,
    pub(crate) started: Instant,
    _starting: AbortOnDrop,
}

/// By what a partition is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The group assigned it to us, and to nobody else.
    Assigned,
    /// The group told every member of it: it is whose batches are applied.
    Shared,
    /// No consumer counted it.
    Adopted,
}

/// What shows that another consumer counts a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The position is past ours.
    Ahead,
    /// The position is the one that our batch leads to; it may be ours.
    Doubtful,
}

/// How often another consumer was first of late.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Contest {
    times: u32,
    since: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// Its position is looked up.
    Starting,
    /// The stored position, and the record that led to it.
    Counting { position: i64, last: Option<LastRecord> },
    /// An operator has to resume it.
    Stopped,
}

/// What somebody else did to a partition in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Moved,
    Resumed,
    Stopped,
}

/// A task that is aborted when this is dropped.
#[derive(Debug)]
pub(crate) struct AbortOnDrop(pub(crate) AbortHandle);

impl Owned {
    pub(crate) fn new(epoch: u64, claim: Claim, starting: AbortOnDrop) -> Self {
        Self {
            epoch,
            claim,
            contest: Contest::default(),
            phase: Phase::Starting,
            read: None,
            burying: None,
            is_paused: false,
            failed: None,
            is_out_of_range: false,
            unseen: 0,
            started: Instant::now(),
            _starting: starting,
        }
    }
}

impl Owned {
    /// Whether what holds up this partition may still do so.
    pub(crate) fn may_have(&self, trouble: &Subject) -> bool {
        match trouble {
            Subject::Stopped(_) => matches!(self.phase, Phase::Stopped | Phase::Starting),
            Subject::Locating(_) => matches!(self.phase, Phase::Starting) || self.unseen > 0,
            Subject::Reading(_) => self.failed.is_some(),
            Subject::DeadLetters(_) => self.burying.is_some(),
            Subject::Group | Subject::Log | Subject::Store => true,
        }
    }
}

impl Contest {
    /// Another consumer was first. True if the partition is to be left to it.
    pub(crate) fn lost(&mut self, claim: Claim, sign: Sign, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= CONTEST) {
            *self = Self { times: 0, since: Some(now) };
        }
        self.times += 1;
        match (claim, sign) {
            (Claim::Assigned, _) => false,
            (Claim::Adopted, Sign::Ahead) => true,
            (Claim::Shared, _) | (Claim::Adopted, Sign::Doubtful) => self.times >= CONTEST_MOST,
        }
    }
}

impl Phase {
    pub(crate) fn position(&self) -> Option<i64> {
        match self {
            Self::Counting { position, .. } => Some(*position),
            Self::Starting | Self::Stopped => None,
        }
    }

    /// What the store shows that no apply of ours did. `position`: ours when the store was read, if nothing was applied
    /// meanwhile.
    pub(crate) fn change(&self, position: Option<i64>, stored: &StoredPartition) -> Option<Change> {
        if position.is_some_and(|position| position != stored.next) {
            return Some(Change::Moved);
        }
        match self {
            Self::Stopped if stored.stopped.is_none() => Some(Change::Resumed),
            Self::Counting { .. } if stored.stopped.is_some() => Some(Change::Stopped),
            Self::Starting | Self::Stopped | Self::Counting { .. } => None,
        }
    }

    pub(crate) fn last(&self) -> Option<LastRecord> {
        match self {
            Self::Counting { last, .. } => *last,
            Self::Starting | Self::Stopped => None,
        }
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_left_to_another_consumer_where_the_group_does_not_say_otherwise() {
        let now = Instant::now();
        let lost = |claim, signs: &[Sign], between: Duration| {
            let mut contest = Contest::default();
            let mut at = now;
            signs
                .iter()
                .map(|sign| {
                    at += between;
                    contest.lost(claim, *sign, at)
                })
                .collect::<Vec<_>>()
        };
        let (soon, seldom) = (Duration::from_millis(20), CONTEST);
        assert_eq!(lost(Claim::Assigned, &[Sign::Ahead; 9], soon), [false; 9]);
        assert_eq!(lost(Claim::Adopted, &[Sign::Ahead], soon), [true]);
        assert_eq!(lost(Claim::Adopted, &[Sign::Doubtful; 3], soon), [false, false, true]);
        let both = [Sign::Doubtful, Sign::Ahead, Sign::Doubtful];
        assert_eq!(lost(Claim::Shared, &both, soon), [false, false, true]);
        assert_eq!(lost(Claim::Shared, &[Sign::Ahead; 9], seldom), [false; 9]);
    }
}
