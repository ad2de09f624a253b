//! The loop in which everything happens that changes which partitions are counted, and where.
//!
//! A partition goes its own way from its start to its stop; what waits for something, a leader, dead letters, an operator,
//! waits in a task of its own. Only the store is common to all: the batches that are ready are applied in one round trip.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blackfriday_broker::kafka::{
    Admin, Membership, MembershipEvent, Producer, Release, Subscription, SubscriptionEvent,
};
use blackfriday_broker::{RecordBatch, TopicPartition};
use blackfriday_service::Context;
use blackfriday_store::{LastRecord, Store, StoreError};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::count::{Counted, Fate, Work, count};
use crate::fold::{Kind, fold};
use crate::owned::{AbortOnDrop, Owned, Phase};
use crate::progress::{Partition, Progress};
use crate::start::{Start, Starter, advice};
use crate::troubles::{Subject, Troubles};
use crate::watch::{Orphans, Seen, look};
use crate::{Config, Error, dead_letter, guard};

/// Folded batches that wait for the store; while there are as many, no more are read.
const MAX_READY: usize = 32;
const TICK: Duration = Duration::from_millis(500);
/// How long a partition is read ahead of dead letters that are not written yet.
const READ_AHEAD: Duration = Duration::from_millis(500);
/// Between two starts of a partition that cannot be read.
const START_AGAIN: Duration = Duration::from_secs(5);

/// Counts until the shutdown begins; then the last batches are applied and the group is left.
///
/// # Errors
/// What does not pass by itself and is no single partition's: a store that is not as it should be.
pub async fn run(config: Config, context: Context) -> Result<(), Error> {
    let with_traces = config.process.telemetry.otlp_endpoint.is_some();
    let subscription =
        Subscription::open(&config.kafka, config.batch_limits(), with_traces).map_err(Error::Client)?;
    let topics = [config.topic_sales.as_str(), config.topic_weather.as_str()];
    let producer = dead_letter::producer(&config.kafka, topics).map_err(Error::Client)?;
    let _follow = AbortOnDropHandle::new(tokio::spawn(follow_broker(producer.clone(), context.clone())));
    let instance = config.group_instance_id.as_deref();
    let mut membership =
        Membership::join(&config.kafka, &config.group, instance, &topics).map_err(Error::Client)?;
    let starter = Starter {
        store: Store::new(&config.valkey, &config.store).map_err(Error::StoreClient)?,
        admin: Arc::new(Admin::new(&config.kafka).map_err(Error::Client)?),
        progress: Arc::new(Progress::new(&context)),
        troubles: Arc::new(Troubles::new(&context)),
        on_gap: config.on_gap,
    };
    let (permitted, idle) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
    let guarded = guard::guard(starter.clone(), Arc::clone(&permitted), Arc::clone(&idle));
    let _guard = AbortOnDropHandle::new(tokio::spawn(guarded));
    let mut consumer = Consumer {
        topics: topics.map(str::to_owned).to_vec(),
        starter,
        producer,
        subscription,
        permitted,
        idle,
        owned: HashMap::new(),
        orphans: Orphans::default(),
        epoch: 0,
        ready: VecDeque::new(),
        applying: None,
        applies: 0,
        releases: Vec::new(),
        starting: JoinSet::new(),
        burying: JoinSet::new(),
        looking: None,
        joined: false,
        stopping: false,
        config,
    };
    let counted = consumer.consume(&mut membership, &context).await;
    let counted = counted.and(consumer.finish().await);
    membership.commit(&consumer.positions());
    membership.leave().await;
    counted
}

struct Consumer {
    config: Config,
    topics: Vec<String>,
    starter: Starter,
    producer: Producer,
    subscription: Subscription,
    /// Whether the store may be counted into.
    permitted: Arc<AtomicBool>,
    /// Whether nothing is being applied.
    idle: Arc<AtomicBool>,
    owned: HashMap<TopicPartition, Owned>,
    orphans: Orphans,
    epoch: u64,
    ready: VecDeque<Work>,
    applying: Option<JoinHandle<Result<Vec<Counted>, Error>>>,
    /// How many were begun.
    applies: u64,
    /// Revoked partitions that the apply in flight may still touch.
    releases: Vec<Release>,
    starting: JoinSet<(TopicPartition, u64, Result<Start, Error>)>,
    burying: JoinSet<Work>,
    looking: Option<JoinHandle<Look>>,
    /// Whether the group has us.
    joined: bool,
    stopping: bool,
}

/// A look, and what was so when it began.
struct Look {
    positions: HashMap<TopicPartition, (u64, i64)>,
    /// None while something was being applied.
    applies: Option<u64>,
    seen: Result<Seen, StoreError>,
}

impl Consumer {
    async fn consume(&mut self, membership: &mut Membership, context: &Context) -> Result<(), Error> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.apply_ready();
            tokio::select! {
                biased;
                () = context.shutdown.begun() => return Ok(()),
                event = membership.next() => self.reassign(event.ok_or(Error::Died("group thread"))?),
                counted = finished(&mut self.applying) => {
                    self.applying = None;
                    self.releases.clear();
                    self.settle(counted.map_err(|_| Error::Died("apply"))??);
                }
                Some(started) = self.starting.join_next() => match started {
                    Ok((partition, epoch, start)) => self.begin(&partition, epoch, start?),
                    Err(error) if error.is_cancelled() => {}
                    Err(_) => return Err(Error::Died("start")),
                },
                Some(buried) = self.burying.join_next() => match buried {
                    Ok(work) => self.buried(work),
                    Err(error) if error.is_cancelled() => {}
                    Err(_) => return Err(Error::Died("dead letters")),
                },
                looked = finished(&mut self.looking) => {
                    self.looking = None;
                    self.compare(looked.map_err(|_| Error::Died("look"))?)?;
                }
                event = self.subscription.next(), if self.ready.len() < MAX_READY => {
                    self.read(event.ok_or(Error::Died("fetch thread"))?);
                }
                _ = tick.tick() => self.tick(membership),
            }
        }
    }

    fn reassign(&mut self, event: MembershipEvent) {
        match event {
            MembershipEvent::Assigned(partitions) => {
                tracing::info!(partitions = partitions.len(), "partitions are assigned");
                self.joined = true;
                self.starter.troubles.passed(&Subject::Group);
                let adopted = |(partition, owned): (&TopicPartition, &Owned)| {
                    (!owned.by_group && !partitions.contains(partition)).then(|| partition.clone())
                };
                for partition in self.owned.iter().filter_map(adopted).collect::<Vec<_>>() {
                    self.drop_partition(&partition);
                }
                for partition in partitions {
                    match self.owned.get_mut(&partition) {
                        Some(owned) => owned.by_group = true,
                        None => self.start(&partition, None, true),
                    }
                }
            }
            MembershipEvent::Revoked { partitions, lost, release } => {
                tracing::info!(partitions = partitions.len(), lost, "partitions are revoked");
                self.joined &= !lost;
                for partition in partitions {
                    match self.owned.get_mut(&partition) {
                        // Until the group says whose they are, we go on: nobody else may be counting them.
                        Some(owned) if lost => owned.by_group = false,
                        _ => self.drop_partition(&partition),
                    }
                }
                if self.applying.is_some() && !lost {
                    self.releases.push(release);
                }
            }
        }
    }

    fn drop_partition(&mut self, partition: &TopicPartition) {
        self.owned.remove(partition);
        self.ready.retain(|work| work.partition != *partition);
        self.subscription.stop(partition.clone());
        self.starter.troubles.forget(partition);
    }

    /// Looks up where to go on in a partition, and voids what was read of it before.
    fn start(&mut self, partition: &TopicPartition, replaced: Option<LastRecord>, by_group: bool) {
        self.epoch += 1;
        let epoch = self.epoch;
        self.ready.retain(|work| work.partition != *partition);
        let (starter, started) = (self.starter.clone(), partition.clone());
        let task = self.starting.spawn(async move {
            let start = starter.start(&started, replaced).await;
            (started, epoch, start)
        });
        self.owned.insert(partition.clone(), Owned::new(epoch, by_group, AbortOnDrop(task)));
    }

    fn start_again(&mut self, partition: &TopicPartition) {
        let by_group = self.owned.get(partition).is_some_and(|owned| owned.by_group);
        self.start(partition, None, by_group);
    }

    /// Reads a partition from its position, unless it was revoked or started again meanwhile.
    fn begin(&mut self, partition: &TopicPartition, epoch: u64, start: Start) {
        let Some(owned) = self.owned.get_mut(partition).filter(|owned| owned.epoch == epoch) else { return };
        match start {
            Start::At { position, last, check } => {
                owned.phase = Phase::Counting { position, last };
                owned.read = last;
                self.starter.troubles.passed(&Subject::Stopped(partition.clone()));
                tracing::info!(%partition, position, "counting goes on");
                match check {
                    Some(check) => self.subscription.start_after(partition.clone(), check, position, epoch),
                    None => self.subscription.start(partition.clone(), position, epoch),
                }
            }
            Start::Stopped { reason } => self.halt(partition, &reason),
        }
    }

    /// Counts a partition no more until an operator resumes it.
    fn halt(&mut self, partition: &TopicPartition, reason: &str) {
        self.subscription.stop(partition.clone());
        self.ready.retain(|work| work.partition != *partition);
        if let Some(owned) = self.owned.get_mut(partition) {
            owned.phase = Phase::Stopped;
        }
        self.starter.troubles.met(&Subject::Stopped(partition.clone()), advice(partition, reason));
    }

    fn read(&mut self, event: SubscriptionEvent) {
        match event {
            SubscriptionEvent::Batch(batch) => self.fold(batch),
            SubscriptionEvent::OutOfRange => {
                let counting = |(partition, owned): (&TopicPartition, &Owned)| {
                    matches!(owned.phase, Phase::Counting { .. }).then(|| partition.clone())
                };
                for partition in self.owned.iter().filter_map(counting).collect::<Vec<_>>() {
                    self.start_again(&partition);
                }
            }
            SubscriptionEvent::Replaced { partition, epoch } => {
                let owned = self.owned.get(&partition).filter(|owned| owned.epoch == epoch);
                if let Some(owned) = owned {
                    let (last, by_group) = (owned.phase.last(), owned.by_group);
                    self.start(&partition, last, by_group);
                }
            }
            SubscriptionEvent::Failed { partition, reason } => {
                if let Some(owned) = self.owned.get_mut(&partition) {
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
    fn fold(&mut self, batch: RecordBatch) {
        let kind = self.kind(&batch.partition);
        let current = self.owned.get_mut(&batch.partition).filter(|owned| owned.epoch == batch.epoch);
        let Some(owned) = current.filter(|owned| matches!(owned.phase, Phase::Counting { .. })) else {
            return;
        };
        let RecordBatch { partition, epoch, from, to, records } = batch;
        let folded = fold(kind, self.starter.store.bounds(), records);
        self.starter.progress.of_producers_time(&partition.topic, folded.of_producers_time);
        if let Some(last) = folded.last {
            owned.read = Some(LastRecord { offset: last.offset, digest: last.digest });
        }
        self.ready.push_back(Work { partition, epoch, from, to, last: owned.read, folded });
    }

    /// Second stage: applies the oldest ready batch of each partition, if nothing is being applied. A batch with dead letters
    /// waits until they are written, and with it the partition's later ones.
    fn apply_ready(&mut self) {
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
            self.applies += 1;
            self.applying = Some(tokio::spawn(async move { count(&store, works, &progress).await }));
        }
    }

    fn buried(&mut self, work: Work) {
        let owned = self.owned.get_mut(&work.partition).filter(|owned| owned.epoch == work.epoch);
        if let Some(owned) = owned {
            owned.burying = None;
            self.ready.push_front(work);
        }
    }

    fn settle(&mut self, counted: Vec<Counted>) {
        self.idle.store(true, Ordering::Release);
        for Counted { partition, epoch, records, newest, fate } in counted {
            if matches!(fate, Fate::Applied { .. }) {
                self.starter.progress.counted(records, newest);
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
                Fate::Refused { stored } => self.refused(&partition, stored),
                Fate::Stopped { reason } => self.halt(&partition, &reason),
                Fate::ToBury(work) => self.ready.push_front(*work),
            }
        }
    }

    fn refused(&mut self, partition: &TopicPartition, stored: i64) {
        self.starter.progress.refused();
        if self.owned.get(partition).is_some_and(|owned| owned.by_group) {
            tracing::warn!(%partition, stored, "the store refused a batch; reading starts over there");
            self.start_again(partition);
        } else {
            tracing::info!(%partition, stored, "another consumer counts the partition");
            self.orphans.cool(partition);
            self.drop_partition(partition);
        }
    }

    fn tick(&mut self, membership: &Membership) {
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
            Some(complaint) => troubles.met(&Subject::Kafka, complaint),
            None => troubles.passed(&Subject::Kafka),
        }
        membership.commit(&self.positions());
        self.pause_and_start_again();
        if self.looking.is_none() {
            self.looking = Some(tokio::spawn(self.look()));
        }
    }

    /// Reads no more ahead of dead letters that take long, and tries partitions again that could not be read.
    fn pause_and_start_again(&mut self) {
        let mut due = Vec::new();
        for (partition, owned) in &mut self.owned {
            if owned.burying.as_ref().is_some_and(|(since, _)| since.elapsed() >= READ_AHEAD)
                && !owned.is_paused
            {
                owned.is_paused = true;
                self.subscription.stop(partition.clone());
                self.ready.retain(|work| work.partition != *partition);
            }
            let waits = matches!(owned.phase, Phase::Counting { .. }) && owned.burying.is_none();
            if waits && owned.failed.is_some_and(|since| since.elapsed() >= START_AGAIN) {
                due.push(partition.clone());
            }
        }
        for partition in due {
            self.start_again(&partition);
            if let Some(owned) = self.owned.get_mut(&partition) {
                owned.failed = Some(Instant::now());
            }
        }
    }

    fn look(&self) -> impl Future<Output = Look> + Send + 'static {
        let (store, admin) = (self.starter.store.clone(), Arc::clone(&self.starter.admin));
        let topics = self.topics.clone();
        let at = |(partition, owned): (&TopicPartition, &Owned)| {
            Some((partition.clone(), (owned.epoch, owned.phase.position()?)))
        };
        let positions = self.owned.iter().filter_map(at).collect();
        let applies = self.applying.is_none().then_some(self.applies);
        async move { Look { positions, applies, seen: look(&store, &admin, &topics).await } }
    }

    /// What a look showed: how far the log is ahead, positions that somebody else moved, partitions to adopt or to resume.
    fn compare(&mut self, Look { positions, applies, seen }: Look) -> Result<(), Error> {
        let seen = seen.map_err(Error::Store)?;
        let lags = seen.logs.iter().filter_map(|(partition, log)| {
            let position = self.owned.get(partition)?.phase.position()?;
            Some((Partition::of(partition), (log.high - position).max(0)))
        });
        self.starter.progress.lag(lags.collect::<Vec<_>>().into_iter());
        // What was applied meanwhile moved positions itself.
        let comparable = self.applying.is_none() && applies == Some(self.applies);
        let stored = |partition: &TopicPartition| {
            seen.stored.as_ref().map(|stored| stored.get(partition).cloned().unwrap_or_default())
        };
        let mut again = Vec::new();
        for (partition, owned) in &self.owned {
            let Some(stored) = stored(partition) else { break };
            let moved = comparable
                && positions
                    .get(partition)
                    .is_some_and(|(epoch, position)| *epoch == owned.epoch && *position != stored.next);
            let resumed = matches!(owned.phase, Phase::Stopped) && stored.stopped.is_none();
            let stopped = matches!(owned.phase, Phase::Counting { .. }) && stored.stopped.is_some();
            if moved || resumed || stopped {
                tracing::warn!(%partition, stored = stored.next, "the stored position changed; starting over there");
                again.push(partition.clone());
            }
        }
        for partition in again {
            self.start_again(&partition);
        }
        for partition in self.orphans.of(&seen, |partition| self.owned.contains_key(partition)) {
            tracing::info!(%partition, "nobody counts the partition; it is adopted");
            self.start(&partition, None, false);
        }
        Ok(())
    }

    /// The last applies of a stop, under the drain timeout. What waits for dead letters is counted by the next consumer.
    async fn finish(&mut self) -> Result<(), Error> {
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
        // What is not counted now is counted by whoever comes next.
        tracing::warn!(
            limit_ms = self.config.drain_timeout_ms,
            "the last batches were not applied at the drain limit"
        );
        Ok(())
    }

    fn positions(&self) -> Vec<(TopicPartition, i64)> {
        let known = |(partition, owned): (&TopicPartition, &Owned)| {
            Some((partition.clone(), owned.phase.position().filter(|_| owned.by_group)?))
        };
        self.owned.iter().filter_map(known).collect()
    }

    fn kind(&self, partition: &TopicPartition) -> Kind {
        if *partition.topic == *self.config.topic_weather { Kind::Weather } else { Kind::Sales }
    }
}

/// Writes a batch's dead letters.
async fn bury(producer: Producer, progress: Arc<Progress>, troubles: Arc<Troubles>, mut work: Work) -> Work {
    let rejected = work.folded.take_rejected();
    progress.dead_letters(rejected.len());
    dead_letter::publish(&producer, &work.partition, rejected, &troubles).await;
    work
}

/// Waits for a task; for ever if there is none.
async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

async fn follow_broker(producer: Producer, context: Context) {
    let condition = context.readiness.condition("broker");
    let mut available = producer.availability().watch();
    loop {
        condition.set(*available.borrow_and_update());
        if available.changed().await.is_err() {
            return;
        }
    }
}
