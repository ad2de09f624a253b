//! The loop in which everything happens that changes which partitions are counted, and where.
//!
//! A partition goes its own way from its start to its stop; what waits for something, a leader, dead letters, an operator,
//! waits in a task of its own. Only the store is common to all: the batches that are ready are applied in one step.
//!
//! - **Epochs.** Each start of a partition gets the next number, and its task, its batches and its applies carry it. What
//!   comes back under an older one belongs to a start that was given up, and is dropped: nothing has to be called back.
//! - **`biased`.** Events are taken in the order in which they stand in the `select!`. A change of assignment comes first, since
//!   what follows may be void after it, and new records come after all of that: while the log is far ahead there is always a
//!   batch, and it would keep everything else waiting.
//! - **`releases`.** The group gives a revoked partition to its next owner when its [`Release`] is dropped. One that is
//!   revoked during an apply is held until that apply has ended: otherwise the next owner would read a position that is
//!   about to change, and its first batch would be refused.
//!
//! Invariant: a wrong owner costs a refused batch and never a wrong count; the store compares the position in each apply.

mod counting;
mod looking;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use blackfriday_broker::{
    Admin, Membership, MembershipEvent, Producer, Release, Subscription, TopicPartition,
};
use blackfriday_service::{Condition, Context};
use blackfriday_store::{LastRecord, Store};
use blackfriday_telemetry::sampled::EveryNth;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use self::looking::Look;
use crate::config::Config;
use crate::count::{Counted, Work};
use crate::error::Error;
use crate::owned::{AbortOnDrop, Claim, Owned, Phase};
use crate::progress::Progress;
use crate::start::{Start, Starter, advice};
use crate::troubles::{Subject, Troubles};
use crate::watch::Orphans;
use crate::{dead_letter, guard};

/// Folded batches that wait for the store; while there are as many, no more are read.
const MAX_READY: usize = 32;
/// How long an adopted partition is kept although the group assigns others: a new member's first assignment may be empty.
const FRESH: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(500);

/// Counts until the shutdown begins; then the last batches are applied and the group is left.
///
/// # Errors
/// What does not pass by itself and is no single partition's: a store that is not as it should be.
pub async fn run(config: Config, context: Context) -> Result<(), Error> {
    context.readiness.locate("broker", config.log.servers());
    context.readiness.locate("valkey", config.valkey.url.to_string());
    let with_traces = config.process.telemetry.otlp_endpoint.is_some();
    let subscription =
        Subscription::open(&config.log, config.batch_limits(), with_traces).map_err(Error::Client)?;
    let producer = dead_letter::producer(&config.log, &config.topics()).map_err(Error::Client)?;
    let _follow = AbortOnDropHandle::new(tokio::spawn(follow_broker(
        producer.clone(),
        context.readiness.condition("broker"),
    )));
    let instance = config.group_instance_id.as_deref();
    let topics: Vec<_> = config.topics().into_iter().collect();
    let mut membership =
        Membership::join(&config.log, &config.group, instance, &topics).map_err(Error::Client)?;
    let starter = Starter {
        store: Store::new(&config.valkey, &config.store).map_err(Error::StoreClient)?,
        admin: Arc::new(Admin::new(&config.log).map_err(Error::Client)?),
        progress: Arc::new(Progress::new(&context)),
        troubles: Arc::new(Troubles::new(&context)),
        on_gap: config.on_gap,
    };
    let (permitted, idle) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
    let guarded = guard::guard(starter.clone(), Arc::clone(&permitted), Arc::clone(&idle));
    let _guard = AbortOnDropHandle::new(tokio::spawn(guarded));
    let mut consumer = Consumer {
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
        told: config.lines.taken(),
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
    /// Which events have a line of the log.
    told: Option<EveryNth>,
}

impl Consumer {
    async fn consume(&mut self, membership: &mut Membership, context: &Context) -> Result<(), Error> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Whether all that was there to be read has been read.
        let mut gathered = false;
        loop {
            // Batches that come together are applied together: for each partition one, or all that there are.
            if gathered || self.ready.len() >= self.owned.len() {
                self.apply_ready();
            }
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
                _ = tick.tick() => self.tick(membership),
                // After all that may void it, see above.
                event = self.subscription.next(), if self.ready.len() < MAX_READY => {
                    self.read(event.ok_or(Error::Died("fetch thread"))?);
                }
                () = std::future::ready(()), if !gathered => {
                    gathered = true;
                    continue;
                }
            }
            gathered = false;
        }
    }

    fn reassign(&mut self, event: MembershipEvent) {
        match event {
            MembershipEvent::Assigned(partitions) => {
                tracing::info!(partitions = partitions.len(), "partitions are assigned");
                self.joined = true;
                self.starter.troubles.passed(&Subject::Group);
                // One that was adopted just now had no other owner a moment ago. If it has one soon, the store refuses us.
                let given_away = |(partition, owned): (&TopicPartition, &Owned)| {
                    let is_fresh = owned.started.elapsed() < FRESH;
                    (owned.claim != Claim::Assigned && !is_fresh && !partitions.contains(partition))
                        .then(|| partition.clone())
                };
                for partition in self.owned.iter().filter_map(given_away).collect::<Vec<_>>() {
                    self.drop_partition(&partition);
                }
                for partition in partitions {
                    match self.owned.get_mut(&partition) {
                        Some(owned) => owned.claim = Claim::Assigned,
                        None => self.start(&partition, None, Claim::Assigned),
                    }
                }
            }
            MembershipEvent::Shared(partitions) => {
                tracing::info!(partitions = partitions.len(), "partitions are everybody's");
                self.joined = true;
                self.starter.troubles.passed(&Subject::Group);
                for partition in partitions {
                    if !self.owned.contains_key(&partition) {
                        self.start(&partition, None, Claim::Shared);
                    }
                }
            }
            MembershipEvent::Revoked { partitions, lost, release } => {
                tracing::info!(partitions = partitions.len(), lost, "partitions are revoked");
                self.joined &= !lost;
                for partition in partitions {
                    match self.owned.get_mut(&partition) {
                        // Until the group says whose they are, we go on: nobody else may be counting them.
                        Some(owned) if lost => owned.claim = Claim::Adopted,
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
    fn start(&mut self, partition: &TopicPartition, replaced: Option<LastRecord>, claim: Claim) {
        self.epoch += 1;
        let epoch = self.epoch;
        self.ready.retain(|work| work.partition != *partition);
        let (starter, started) = (self.starter.clone(), partition.clone());
        let task = self.starting.spawn(async move {
            let start = starter.start(&started, replaced).await;
            (started, epoch, start)
        });
        let fresh = Owned::new(epoch, claim, AbortOnDrop(task));
        if let Some(before) = self.owned.insert(partition.clone(), fresh) {
            self.starter.troubles.passed(&Subject::DeadLetters(partition.clone()));
            // Whether it can be read shows with the next record only.
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.failed = before.failed;
                owned.contest = before.contest;
            }
        }
    }

    fn start_again(&mut self, partition: &TopicPartition) {
        let claim = self.owned.get(partition).map_or(Claim::Adopted, |owned| owned.claim);
        self.start(partition, None, claim);
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

    /// Stops counting a partition until an operator resumes it.
    fn halt(&mut self, partition: &TopicPartition, reason: &str) {
        self.subscription.stop(partition.clone());
        self.ready.retain(|work| work.partition != *partition);
        if let Some(owned) = self.owned.get_mut(partition) {
            owned.phase = Phase::Stopped;
            owned.failed = None;
        }
        self.starter.troubles.passed(&Subject::Reading(partition.clone()));
        self.starter.troubles.met(&Subject::Stopped(partition.clone()), advice(partition, reason));
    }

    fn positions(&self) -> Vec<(TopicPartition, i64)> {
        let known = |(partition, owned): (&TopicPartition, &Owned)| {
            Some((partition.clone(), owned.phase.position().filter(|_| owned.claim == Claim::Assigned)?))
        };
        self.owned.iter().filter_map(known).collect()
    }
}

/// Waits for a task; without end if there is no task.
async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

async fn follow_broker(producer: Producer, condition: Condition) {
    let mut available = producer.availability().watch();
    loop {
        condition.set(*available.borrow_and_update());
        if available.changed().await.is_err() {
            return;
        }
    }
}
