//! Where to go on in a partition that is new to us: after the store's position, if the log still is the one that was counted.

use std::time::{Duration, Instant};

use blackfriday_broker::kafka::Admin;
use blackfriday_broker::{BrokerError, LastRead, TopicPartition, Watermarks};
use blackfriday_store::{LastRecord, Outcome, Store, StoredPartition};

use crate::count::retrying;
use crate::progress::Progress;
use crate::troubles::{Subject, Troubles};
use crate::{Error, OnGap};

const RETRY: Duration = Duration::from_millis(500);
/// An end of the log before the position is believed when it is told again after this time: a new leader may not know yet
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

/// How a partition begins.
#[derive(Debug)]
pub(crate) enum Start {
    /// At this position, after this record if the log still holds its offset.
    At { position: i64, last: Option<LastRecord>, check: Option<LastRead> },
    /// Not before an operator resumes it.
    Stopped { reason: String },
}

impl Starter {
    /// Looks up where a partition goes on, and waits for as long as store or broker are away. `replaced`: a record that the
    /// log was found not to hold any more.
    pub(crate) async fn start(
        &self,
        partition: &TopicPartition,
        replaced: Option<LastRecord>,
    ) -> Result<Start, Error> {
        let mut past_end: Option<(i64, Instant)> = None;
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
            if matches!(gap, Some(BrokerError::PastEnd { .. })) && stored.stopped.is_none() {
                let (_, since) = past_end
                    .filter(|(position, _)| *position == stored.next)
                    .unwrap_or((stored.next, Instant::now()));
                past_end = Some((stored.next, since));
                if since.elapsed() < PAST_END {
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            }
            match gap {
                None if stored.stopped.is_none() => {
                    // Retention may have taken the record and left the position.
                    let check = stored
                        .last
                        .filter(|last| last.offset >= log.low)
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
                Ok(log) => {
                    self.troubles.passed(&subject);
                    return log;
                }
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
