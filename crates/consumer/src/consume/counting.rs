//! From records to counters: batches are folded as they are read, and applied as soon as the one before is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use blackfriday_broker::{Producer, RecordBatch, SubscriptionEvent, TopicPartition};
use blackfriday_store::LastRecord;
use tokio::time::timeout;

use super::Consumer;
use crate::count::{Counted, Fate, Work, count};
use crate::dead_letter;
use crate::error::Error;
use crate::fold::{Kind, fold};
use crate::owned::{AbortOnDrop, Owned, Phase, Sign};
use crate::progress::Progress;
use crate::troubles::{Subject, Troubles};

impl Consumer {
    pub(super) fn read(&mut self, event: SubscriptionEvent) {
        match event {
            SubscriptionEvent::Batch(batch) => self.fold(batch),
            SubscriptionEvent::OutOfRange { partition } => {
                let is_meant = |of: &TopicPartition| partition.as_ref().is_none_or(|named| named == of);
                for (_, owned) in self.owned.iter_mut().filter(|(of, _)| is_meant(of)) {
                    owned.is_out_of_range = matches!(owned.phase, Phase::Counting { .. });
                }
                self.pause_and_start_again();
            }
            SubscriptionEvent::Replaced { partition, epoch } => {
                let owned = self.owned.get(&partition).filter(|owned| owned.epoch == epoch);
                if let Some(owned) = owned {
                    let (last, claim) = (owned.phase.last(), owned.claim);
                    self.start(&partition, last, claim);
                }
            }
            SubscriptionEvent::Failed { partition, reason } => {
                // For one that is not read any more no event would say that it has recovered.
                let reads = |owned: &&mut Owned| !owned.is_paused && !matches!(owned.phase, Phase::Stopped);
                if let Some(owned) = self.owned.get_mut(&partition).filter(reads) {
                    owned.failed = Some(Instant::now());
                    self.starter.troubles.met(&Subject::Reading(partition), reason);
                }
            }
            SubscriptionEvent::Recovered(partition) => {
                if let Some(owned) = self.owned.get_mut(&partition) {
                    owned.failed = None;
                }
                self.starter.troubles.passed(&Subject::Reading(partition));
            }
        }
    }

    /// First stage, while the batches before are being applied.
    pub(super) fn fold(&mut self, batch: RecordBatch) {
        let kind = Kind::of(&batch.partition);
        let current = self.owned.get_mut(&batch.partition).filter(|owned| owned.epoch == batch.epoch);
        let Some(owned) = current.filter(|owned| matches!(owned.phase, Phase::Counting { .. })) else {
            return;
        };
        let RecordBatch { partition, epoch, from, to, records } = batch;
        let folded = fold(kind, self.starter.store.bounds(), records, self.told.clone());
        self.starter.progress.of_producers_time(&partition.topic, folded.of_producers_time);
        if let Some(last) = folded.last {
            owned.read = Some(LastRecord { offset: last.offset, digest: last.digest });
        }
        self.ready.push_back(Work { partition, epoch, from, to, last: owned.read, folded });
    }

    /// Second stage: applies the oldest ready batch of each partition, if nothing is being applied. A batch with dead letters
    /// waits until they are written, and with it the partition's later ones.
    pub(super) fn apply_ready(&mut self) {
        if self.applying.is_some() || self.ready.is_empty() || !self.permitted.load(Ordering::Acquire) {
            return;
        }
        let mut works: Vec<Work> = Vec::new();
        let mut later = VecDeque::new();
        for work in std::mem::take(&mut self.ready) {
            let owned = self.owned.get_mut(&work.partition).filter(|owned| owned.epoch == work.epoch);
            let Some(owned) = owned else { continue };
            if owned.burying.is_some() || works.iter().any(|chosen| chosen.partition == work.partition) {
                later.push_back(work);
            } else if work.folded.rejected.is_empty() {
                works.push(work);
            } else if !self.stopping {
                owned.burying = Some((
                    Instant::now(),
                    AbortOnDrop(self.burying.spawn(bury(
                        self.producer.clone(),
                        Arc::clone(&self.starter.progress),
                        Arc::clone(&self.starter.troubles),
                        work,
                    ))),
                ));
            }
        }
        self.ready = later;
        self.idle.store(works.is_empty(), Ordering::Release);
        if !works.is_empty() {
            let (store, progress) = (self.starter.store.clone(), Arc::clone(&self.starter.progress));
            let log = self.config.log.log;
            self.applies += 1;
            self.applying = Some(tokio::spawn(async move { count(&store, log, works, &progress).await }));
        }
    }

    pub(super) fn buried(&mut self, work: Work) {
        let owned = self.owned.get_mut(&work.partition).filter(|owned| owned.epoch == work.epoch);
        if let Some(owned) = owned {
            owned.burying = None;
            self.ready.push_front(work);
        }
    }

    pub(super) fn settle(&mut self, counted: Vec<Counted>) {
        self.idle.store(true, Ordering::Release);
        for Counted { partition, epoch, records, newest, fate, told } in counted {
            if matches!(fate, Fate::Applied { .. }) {
                self.starter.progress.counted(records, newest);
                // In the words of the assignment's reports.
                told.iter().for_each(|event| tracing::info!("Procesado: {event}"));
            }
            let Some(owned) = self.owned.get_mut(&partition).filter(|owned| owned.epoch == epoch) else {
                continue;
            };
            match fate {
                Fate::Applied { position, last } => {
                    owned.phase = Phase::Counting { position, last };
                    if owned.is_paused {
                        self.start_again(&partition);
                    }
                }
                Fate::Doubtful => self.refused(&partition, None),
                Fate::Refused { stored } => self.refused(&partition, Some(stored)),
                Fate::Stopped { reason } => self.halt(&partition, &reason),
                Fate::ToBury(work) => self.ready.push_front(*work),
            }
        }
    }

    /// Nothing of a batch was counted: the position was this one, or the one that the batch leads to.
    fn refused(&mut self, partition: &TopicPartition, stored: Option<i64>) {
        self.starter.progress.refused();
        tracing::warn!(%partition, stored, "the store refused a batch; reading starts over at its position");
        let ours = self.owned.get(partition).and_then(|owned| owned.phase.position());
        match stored {
            None => self.contested(partition, Sign::Doubtful),
            Some(stored) if Some(stored) > ours => self.contested(partition, Sign::Ahead),
            // The store went back: nobody is ahead of us.
            Some(_) => self.start_again(partition),
        }
    }

    /// Another consumer was first, as it seems: the partition is left to it, or it goes on from the position.
    pub(super) fn contested(&mut self, partition: &TopicPartition, sign: Sign) {
        let Some(owned) = self.owned.get_mut(partition) else { return };
        if owned.contest.lost(owned.claim, sign, Instant::now()) {
            tracing::info!(%partition, "another consumer counts the partition");
            self.orphans.cool(partition);
            self.drop_partition(partition);
        } else {
            self.start_again(partition);
        }
    }

    /// The last applies of a stop, under the drain timeout. What waits for dead letters is counted by the next consumer.
    pub(super) async fn finish(&mut self) -> Result<(), Error> {
        self.stopping = true;
        let limit = self.config.drain_timeout();
        let owned = &self.owned;
        self.ready.retain(|work| owned.get(&work.partition).is_some_and(|owned| owned.burying.is_none()));
        let last = async {
            loop {
                if let Some(applying) = self.applying.take() {
                    let counted = applying.await.map_err(|_| Error::Died("apply"))??;
                    self.settle(counted);
                }
                self.apply_ready();
                if self.applying.is_none() {
                    return Ok(());
                }
            }
        };
        if let Ok(finished) = timeout(limit, last).await {
            return finished;
        }
        // What is not counted now is counted by the next owner.
        tracing::warn!(
            limit_ms = self.config.drain_timeout_ms,
            "the last batches were not applied at the drain limit"
        );
        Ok(())
    }
}

/// Writes a batch's dead letters.
async fn bury(producer: Producer, progress: Arc<Progress>, troubles: Arc<Troubles>, mut work: Work) -> Work {
    let rejected = work.folded.take_rejected();
    progress.dead_letters(rejected.len());
    dead_letter::publish(&producer, &work.partition, rejected, &troubles).await;
    work
}
