//! Twice a second: a report of the work, and a look at the store and the log, which shows what no event does. Positions
//! that were moved from outside, partitions that no consumer counts, and those that an operator resumed are found here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blackfriday_broker::{Membership, TopicPartition};
use blackfriday_store::StoreError;

use super::Consumer;
use crate::error::Error;
use crate::owned::{Change, Claim, Owned, Phase, Sign};
use crate::progress::Partition;
use crate::start::Starter;
use crate::troubles::Subject;
use crate::watch::{Seen, look};

/// How long a partition is read ahead of dead letters that are not written yet.
const READ_AHEAD: Duration = Duration::from_millis(500);
/// Between two starts of a partition whose position was not in the log.
const OUT_OF_RANGE: Duration = Duration::from_millis(500);
/// Looks in a row that do not see a partition's log until that is reported: its leader may change meanwhile.
const UNSEEN: u32 = 4;
/// Between two starts of a partition that cannot be read.
const START_AGAIN: Duration = Duration::from_secs(5);

/// A look, and what was so when it began.
pub(super) struct Look {
    positions: HashMap<TopicPartition, (u64, i64)>,
    /// None while something was being applied.
    applies: Option<u64>,
    seen: Result<Seen, StoreError>,
}

impl Consumer {
    pub(super) fn tick(&mut self, membership: &Membership) {
        let Starter { progress, troubles, .. } = &self.starter;
        progress.tell();
        progress.keep_lags(
            |Partition { messaging_destination_name: topic, messaging_destination_partition_id: id }| {
                self.owned.contains_key(&TopicPartition::new(topic.as_str(), *id))
            },
        );
        match membership.complaint() {
            Some(complaint) => troubles.met(&Subject::Group, complaint),
            None if self.joined => troubles.passed(&Subject::Group),
            // The client complains once, however long it may not join.
            None => {}
        }
        match self.subscription.complaint().or_else(|| self.producer.complaint()) {
            Some(complaint) => troubles.met(&Subject::Log, complaint),
            None => troubles.passed(&Subject::Log),
        }
        troubles.keep(|trouble| {
            trouble
                .partition()
                .is_none_or(|of| self.owned.get(of).is_some_and(|owned| owned.may_have(trouble)))
        });
        troubles.remind();
        membership.commit(&self.positions());
        self.pause_and_start_again();
        if self.looking.is_none() {
            self.looking = Some(tokio::spawn(self.look()));
        }
    }

    /// Stops reading ahead of dead letters that take long, and tries partitions again that could not be read.
    pub(super) fn pause_and_start_again(&mut self) {
        let mut due = Vec::new();
        for (partition, owned) in &mut self.owned {
            if owned.burying.as_ref().is_some_and(|(since, _)| since.elapsed() >= READ_AHEAD)
                && !owned.is_paused
            {
                owned.is_paused = true;
                owned.failed = None;
                self.subscription.stop(partition.clone());
                self.starter.troubles.passed(&Subject::Reading(partition.clone()));
                self.ready.retain(|work| work.partition != *partition);
            }
            let waits = matches!(owned.phase, Phase::Counting { .. }) && owned.burying.is_none();
            let out_of_range = owned.is_out_of_range && owned.started.elapsed() >= OUT_OF_RANGE;
            let failed = owned.failed.is_some_and(|since| since.elapsed() >= START_AGAIN);
            if failed {
                owned.failed = Some(Instant::now());
            }
            if waits && (out_of_range || failed) {
                due.push(partition.clone());
            }
        }
        for partition in due {
            self.start_again(&partition);
        }
    }

    pub(super) fn look(&self) -> impl Future<Output = Look> + Send + 'static {
        let (store, admin) = (self.starter.store.clone(), Arc::clone(&self.starter.admin));
        let at = |(partition, owned): (&TopicPartition, &Owned)| {
            Some((partition.clone(), (owned.epoch, owned.phase.position()?)))
        };
        let positions = self.owned.iter().filter_map(at).collect();
        let applies = self.applying.is_none().then_some(self.applies);
        let topics: Vec<_> = self.config.topics().into_iter().map(str::to_owned).collect();
        async move {
            let topics: Vec<_> = topics.iter().map(String::as_str).collect();
            Look { positions, applies, seen: look(&store, &admin, &topics).await }
        }
    }

    /// What a look showed: how far the log is ahead, positions that somebody else moved, partitions to adopt or to resume.
    pub(super) fn compare(&mut self, Look { positions, applies, seen }: Look) -> Result<(), Error> {
        let seen = seen.map_err(Error::Store)?;
        let lags = seen.logs.iter().filter_map(|(partition, log)| {
            let position = self.owned.get(partition)?.phase.position()?;
            Some((Partition::of(partition), (log.high - position).max(0)))
        });
        self.starter.progress.lag(lags.collect::<Vec<_>>().into_iter());
        self.miss(&seen);
        // What was applied meanwhile moved positions itself.
        let comparable = self.applying.is_none() && applies == Some(self.applies);
        let stored = |partition: &TopicPartition| {
            seen.stored.as_ref().map(|stored| stored.get(partition).cloned().unwrap_or_default())
        };
        let (mut again, mut contested) = (Vec::new(), Vec::new());
        for (partition, owned) in &self.owned {
            let Some(stored) = stored(partition) else { break };
            let position = positions.get(partition).filter(|(epoch, _)| comparable && *epoch == owned.epoch);
            let next = stored.next;
            match owned.phase.change(position.map(|(_, position)| *position), &stored) {
                None => continue,
                Some(Change::Moved) => {
                    tracing::warn!(%partition, stored = next, "the stored position changed; starting over there");
                    if position.is_some_and(|(_, position)| next > *position) {
                        contested.push(partition.clone());
                        continue;
                    }
                }
                Some(Change::Resumed) => {
                    tracing::info!(%partition, stored = next, "the partition was resumed");
                }
                Some(Change::Stopped) => {
                    tracing::warn!(%partition, stored = next, reason = stored.stopped, "the partition was stopped");
                }
            }
            again.push(partition.clone());
        }
        again.iter().for_each(|partition| self.start_again(partition));
        contested.iter().for_each(|partition| self.contested(partition, Sign::Ahead));
        let trip = self.starter.progress.last_apply().max(seen.took);
        for partition in self.orphans.of(&seen, trip, |partition| self.owned.contains_key(partition)) {
            tracing::info!(%partition, "no consumer counts the partition; it is adopted");
            self.start(&partition, None, Claim::Adopted);
        }
        Ok(())
    }

    /// Reports partitions whose log the broker does not show although it answers: their leader is lost.
    fn miss(&mut self, seen: &Seen) {
        let there = self.producer.availability().is_available();
        for (partition, owned) in &mut self.owned {
            if !matches!(owned.phase, Phase::Counting { .. }) {
                continue;
            }
            let subject = || Subject::Locating(partition.clone());
            if seen.logs.contains_key(partition) {
                if std::mem::take(&mut owned.unseen) >= UNSEEN {
                    self.starter.troubles.passed(&subject());
                }
            } else if there {
                owned.unseen = owned.unseen.saturating_add(1);
                if owned.unseen >= UNSEEN {
                    let reason =
                        "the broker does not answer with the range of its log: it may have lost its leader";
                    self.starter.troubles.met(&subject(), reason.to_owned());
                }
            }
        }
    }
}
