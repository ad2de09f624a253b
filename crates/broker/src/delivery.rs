//! One completion for a whole batch of records: a slot per record, filled by the delivery callback, and a countdown that
//! wakes the waiting task once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::error::PublishError;
use crate::progress::{Mark, Progress};
use crate::record::Position;

/// What became of a record.
pub type Outcome = Result<Position, PublishError>;

/// A batch of records that were handed over.
pub struct BatchDelivery(pub(crate) Arc<Batch>);

/// The place of one record in its batch.
pub(crate) struct Slot {
    pub(crate) batch: Arc<Batch>,
    pub(crate) at: usize,
}

pub(crate) struct Batch {
    pub(crate) progress: Arc<Progress>,
    mark: Mark,
    outcomes: Mutex<Vec<Option<Outcome>>>,
    pending: AtomicUsize,
    done: Notify,
}

impl BatchDelivery {
    /// Waits for every outcome. Bounded by the producer's message timeout, which is long.
    pub async fn outcomes(self) -> Vec<Outcome> {
        self.0.wait().await;
        self.0.take()
    }

    /// Waits for the outcome of a batch of one.
    pub(crate) async fn outcome(self) -> Outcome {
        self.outcomes().await.pop().unwrap_or(Err(PublishError::OutcomeUnknown))
    }

    /// Waits for every outcome until `deadline`; what has none by then is [`PublishError::OutcomeUnknown`].
    pub async fn outcomes_until(self, deadline: Instant) -> Vec<Outcome> {
        // An elapsed deadline shows in the outcomes that are missing.
        drop(timeout_at(deadline, self.0.wait()).await);
        self.0.take()
    }
}

impl Drop for BatchDelivery {
    fn drop(&mut self) {
        if self.0.pending.load(Ordering::Acquire) > 0 {
            self.0.progress.gave_up(self.0.mark);
        }
    }
}

impl Batch {
    /// Of so many records.
    pub(crate) fn new(progress: &Arc<Progress>, records: usize) -> Arc<Self> {
        Arc::new(Self {
            progress: Arc::clone(progress),
            mark: progress.mark(),
            outcomes: Mutex::new(vec![None; records]),
            pending: AtomicUsize::new(records),
            done: Notify::new(),
        })
    }

    async fn wait(&self) {
        while self.pending.load(Ordering::Acquire) > 0 {
            self.done.notified().await;
        }
    }

    fn take(&self) -> Vec<Outcome> {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || Err(PublishError::OutcomeUnknown);
        outcomes.iter_mut().map(|outcome| outcome.take().unwrap_or_else(unknown)).collect()
    }
}

impl Slot {
    pub(crate) fn fill(&self, outcome: Outcome) {
        let mut outcomes = self.batch.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes[self.at] = Some(outcome);
        drop(outcomes);
        if self.batch.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.batch.done.notify_one();
        }
    }
}
