//! Where to go on in a partition that is new to us: after the store's position, if the log still is the one that was counted.

use std::time::{Duration, Instant};

use blackfriday_broker::{Admin, BrokerError, LastRead, TopicPartition, Watermarks};
use blackfriday_store::{LastRecord, Outcome, Store, StoredPartition};

use crate::config::OnGap;
use crate::count::retrying;
use crate::error::Error;
use crate::progress::Progress;
use crate::troubles::{Subject, Troubles};

const RETRY: Duration = Duration::from_millis(500);
/// An end of the log before the position is believed when it is seen again after this time: a new leader may not know yet
/// how far its log is committed.
const PAST_END: Duration = Duration::from_secs(2);
/// For one question about the log's range.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// What starts are made with. Clones share it.
#[derive(Clone)]
pub(crate) struct Starter {
    pub(crate) store: Store,
    pub(crate) admin: std::sync::Arc<Admin>,
    pub(crate) progress: std::sync::Arc<Progress>,
    pub(crate) troubles: std::sync::Arc<Troubles>,
    pub(crate) on_gap: OnGap,
}

/// Since when the log is seen to end before a position.
#[derive(Debug, Default)]
struct PastEnd(Option<(i64, Instant)>);

/// How a partition begins.
#[derive(Debug)]
pub(crate) enum Start {
    /// At this position, after this record if the log still holds its offset.
    At { position: i64, last: Option<LastRecord>, check: Option<LastRead> },
    /// Not before an operator resumes it.
    Stopped { reason: String },
}

/// What comes before a partition begins.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Nothing: it begins like this.
    Done(Start),
    /// It is stopped in the store, if the position is still the same.
    Stop { reason: String },
    /// The position is moved, if it is still the same.
    Move { to: i64 },
}

impl Starter {
    /// Looks up where a partition goes on, and waits for as long as the store or the broker does not answer. `replaced`: a record that the
    /// log was found not to hold any more.
    pub(crate) async fn start(
        &self,
        partition: &TopicPartition,
        replaced: Option<LastRecord>,
    ) -> Result<Start, Error> {
        let mut past_end = PastEnd::default();
        loop {
            let stored = self.stored(partition).await?;
            if let (Some(reason), OnGap::Stop) = (&stored.stopped, self.on_gap) {
                return Ok(Start::Stopped { reason: reason.clone() });
            }
            let log = self.watermarks(partition).await;
            let gap = gap(partition, &stored, log, replaced);
            let subject = Subject::Locating(partition.clone());
            if let Some(gap @ BrokerError::PastEnd { .. }) = &gap
                && stored.stopped.is_none()
                && !past_end.is_believed(stored.next, Instant::now())
            {
                self.troubles.met(&subject, format!("{gap}, unless its leader does not know its end yet"));
                tokio::time::sleep(RETRY).await;
                continue;
            }
            self.troubles.passed(&subject);
            let (topic, id, position) = (&*partition.topic, partition.partition, stored.next);
            let outcome = match decide(self.on_gap, stored, log, gap) {
                Decision::Done(start) => return Ok(start),
                Decision::Stop { reason } => {
                    match retrying(&self.progress, || self.store.stop(topic, id, position, &reason)).await? {
                        Outcome::Applied => return Ok(Start::Stopped { reason }),
                        outcome => outcome,
                    }
                }
                Decision::Move { to } => {
                    tracing::error!(%partition, position, low = log.low, high = log.high, "records are skipped, as --on-gap says");
                    retrying(&self.progress, || self.store.resume(topic, id, position, to)).await?
                }
            };
            if let Outcome::Refused { stored } = outcome {
                tracing::info!(%partition, stored, "another consumer has moved the position");
            }
        }
    }

    async fn stored(&self, partition: &TopicPartition) -> Result<StoredPartition, Error> {
        let mut stored = retrying(&self.progress, || self.store.partitions(&partition.topic)).await?;
        Ok(stored.remove(&partition.partition).unwrap_or_default())
    }

    async fn watermarks(&self, partition: &TopicPartition) -> Watermarks {
        let subject = Subject::Locating(partition.clone());
        let mut failed = false;
        loop {
            match self.admin.watermarks_within(partition, ANSWER_LIMIT).await {
                Ok(log) => return log,
                Err(error) => {
                    let cause =
                        std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    // One failure is a broker that starts; its tasks may be cancelled at any await.
                    if std::mem::replace(&mut failed, true) {
                        self.troubles.met(&subject, format!("{error}: {cause}"));
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

/// Why the log is not the one that was counted up to this position, if it is not.
pub(crate) fn gap(
    partition: &TopicPartition,
    stored: &StoredPartition,
    log: Watermarks,
    replaced: Option<LastRecord>,
) -> Option<BrokerError> {
    let gone = replaced.is_some() && stored.last == replaced;
    match log.check(partition, stored.next) {
        Ok(()) if gone => Some(replaced_by_another(partition, stored.next, log)),
        Ok(()) => None,
        Err(gap) => Some(gap),
    }
}

/// What to do about a partition, by what the store and the log say of it.
pub(crate) fn decide(
    on_gap: OnGap,
    stored: StoredPartition,
    log: Watermarks,
    gap: Option<BrokerError>,
) -> Decision {
    let position = stored.next;
    let may_move = match on_gap {
        OnGap::Stop => false,
        OnGap::Skip => position < log.low,
        OnGap::StartOver => true,
    };
    match (stored.stopped, gap) {
        (None, None) => {
            // Retention may have taken the record and left the position, or somebody moved that back by hand.
            let is_left = |last: &LastRecord| (log.low..position).contains(&last.offset);
            let check = stored.last.filter(is_left);
            let check = check.map(|LastRecord { offset, digest }| LastRead { offset, digest });
            Decision::Done(Start::At { position, last: stored.last, check })
        }
        _ if may_move => Decision::Move { to: log.low },
        (Some(reason), _) => Decision::Done(Start::Stopped { reason }),
        (None, Some(gap)) => Decision::Stop { reason: gap.to_string() },
    }
}

impl PastEnd {
    /// Takes that the log was seen to end before this position, and says whether it was for long enough.
    fn is_believed(&mut self, position: i64, now: Instant) -> bool {
        let (_, since) = *self.0.insert(self.0.filter(|(of, _)| *of == position).unwrap_or((position, now)));
        now.duration_since(since) >= PAST_END
    }
}

fn replaced_by_another(partition: &TopicPartition, position: i64, log: Watermarks) -> BrokerError {
    BrokerError::Replaced { partition: partition.clone(), position, low: log.low, high: log.high }
}

/// What an operator can do about a stopped partition.
pub(crate) fn advice(partition: &TopicPartition, reason: &str) -> String {
    let TopicPartition { topic, partition } = partition;
    format!(
        "{reason}; see: blackfriday resume --topic {topic} --partition {partition} --at earliest|end|OFFSET"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_before_the_position_is_believed_when_it_is_seen_again_after_two_seconds() {
        let (mut past_end, now) = (PastEnd::default(), Instant::now());
        assert!(!past_end.is_believed(7, now));
        assert!(!past_end.is_believed(7, now + PAST_END / 2));
        assert!(!past_end.is_believed(8, now + PAST_END), "of another position nothing was seen before");
        assert!(!past_end.is_believed(8, now + PAST_END + RETRY));
        assert!(past_end.is_believed(8, now + PAST_END * 2));
    }
}
