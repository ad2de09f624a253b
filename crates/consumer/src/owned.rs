use std::time::Instant;

use blackfriday_store::LastRecord;
use tokio::task::AbortHandle;

use crate::troubles::Subject;

/// A partition that is ours.
#[derive(Debug)]
pub(crate) struct Owned {
    /// Batches of another epoch are void.
    pub(crate) epoch: u64,
    /// Whether the group assigned it to us; otherwise it was adopted, because no consumer counted it.
    pub(crate) by_group: bool,
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

#[derive(Debug)]
pub(crate) enum Phase {
    /// Its position is looked up.
    Starting,
    /// The stored position, and the record that led to it.
    Counting { position: i64, last: Option<LastRecord> },
    /// An operator has to resume it.
    Stopped,
}

/// A task that is aborted when this is dropped.
#[derive(Debug)]
pub(crate) struct AbortOnDrop(pub(crate) AbortHandle);

impl Owned {
    pub(crate) fn new(epoch: u64, by_group: bool, starting: AbortOnDrop) -> Self {
        Self {
            epoch,
            by_group,
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
            Subject::Group | Subject::Kafka | Subject::Store => true,
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
