//! Where to go on in a partition that is new to us: after the store's position, if the log still is the one that was counted.

use std::time::{Duration, Instant};

use blackfriday_broker::kafka::Admin;
use blackfriday_broker::{BrokerError, LastRead, TopicPartition, Watermarks};
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
            let gone = replaced.is_some() && stored.last == replaced;
            let gap = match log.check(partition, stored.next) {
                Ok(()) if gone => Some(replaced_by_another(partition, stored.next, log)),
                Ok(()) => None,
                Err(gap) => Some(gap),
            };
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
            match gap {
                None if stored.stopped.is_none() => {
                    // Retention may have taken the record and left the position, or somebody moved that back by hand.
                    let check = stored
                        .last
                        .filter(|last| (log.low..stored.next).contains(&last.offset))
                        .map(|LastRecord { offset, digest }| LastRead { offset, digest });
                    return Ok(Start::At { position: stored.next, last: stored.last, check });
                }
                gap => {
                    if let Some(reason) = self.bridge(partition, stored, log, gap).await? {
                        return Ok(Start::Stopped { reason });
                    }
                }
            }
        }
    }

    /// Moves the stored position over a gap, where that was asked for; otherwise stops the partition, and says why.
    async fn bridge(
        &self,
        partition: &TopicPartition,
        stored: StoredPartition,
        log: Watermarks,
        gap: Option<BrokerError>,
    ) -> Result<Option<String>, Error> {
        let position = stored.next;
        let allowed = match self.on_gap {
            OnGap::Stop => false,
            OnGap::Skip => position < log.low,
            OnGap::StartOver => true,
        };
        let (topic, id) = (&*partition.topic, partition.partition);
        let outcome = if allowed {
            tracing::error!(%partition, position, low = log.low, high = log.high, "records are skipped, as --on-gap says");
            retrying(&self.progress, || self.store.resume(topic, id, position, log.low)).await?
        } else {
            let reason = match (stored.stopped, gap) {
                (Some(reason), _) => return Ok(Some(reason)),
                (None, Some(gap)) => gap.to_string(),
                (None, None) => return Ok(None),
            };
            match retrying(&self.progress, || self.store.stop(topic, id, position, &reason)).await? {
                Outcome::Applied => return Ok(Some(reason)),
                outcome => outcome,
            }
        };
        if let Outcome::Refused { stored } = outcome {
            tracing::info!(%partition, stored, "another consumer has moved the position");
        }
        Ok(None)
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
