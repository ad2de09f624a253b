use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use blackfriday_broker::kafka::{
    Admin, Membership, MembershipEvent, Producer, ProducerConfig, Release, Subscription, SubscriptionEvent,
};
use blackfriday_broker::{RecordBatch, TopicPartition};
use blackfriday_service::Context;
use blackfriday_store::Store;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::count::{Counted, Work, count};
use crate::fold::{Kind, fold};
use crate::progress::{Partition, Progress};
use crate::start::positions;
use crate::{Config, Error};

/// Folded batches that wait for the store; while there are as many, no more are read.
const MAX_READY: usize = 32;
const TICK: Duration = Duration::from_secs(1);

/// Counts until the shutdown begins; then the last batches are applied and the group is left.
///
/// # Errors
/// What does not pass by itself: a gap in the log, or a store that is not as it should be.
pub async fn run(config: Config, context: Context) -> Result<(), Error> {
    let with_traces = config.process.telemetry.otlp_endpoint.is_some();
    let subscription =
        Subscription::open(&config.kafka, config.batch_limits(), with_traces).map_err(Error::Client)?;
    // Counting waits for dead letters. One that is written twice does no harm: it is redriven once.
    let settings = ProducerConfig { message_timeout_ms: 3_000, ..ProducerConfig::default() };
    let producer = Producer::new(&config.kafka, &settings, &config.topic_sales).map_err(Error::Client)?;
    let follow = tokio::spawn(follow_broker(producer.clone(), context.clone()));
    let topics = [config.topic_sales.as_str(), config.topic_weather.as_str()];
    let mut membership = Membership::join(&config.kafka, &config.group, None, &topics).map_err(Error::Client)?;
    let mut consumer = Consumer {
        store: Store::new(&config.valkey, &config.store).map_err(Error::StoreClient)?,
        admin: Arc::new(Admin::new(&config.kafka).map_err(Error::Client)?),
        producer,
        subscription,
        progress: Arc::new(Progress::new(&context)),
        owned: HashMap::new(),
        epoch: 0,
        ready: VecDeque::new(),
        applying: None,
        releases: Vec::new(),
        starting: JoinSet::new(),
        config,
    };
    let counted = consumer.consume(&mut membership, &context).await;
    let counted = counted.and(consumer.finish().await);
    membership.commit(&consumer.positions());
    membership.leave().await;
    follow.abort();
    counted
}

type Positions = Result<Vec<(TopicPartition, i64)>, Error>;

struct Consumer {
    config: Config,
    store: Store,
    admin: Arc<Admin>,
    producer: Producer,
    subscription: Subscription,
    progress: Arc<Progress>,
    owned: HashMap<TopicPartition, Owned>,
    epoch: u64,
    ready: VecDeque<Work>,
    applying: Option<JoinHandle<Result<Vec<Counted>, Error>>>,
    /// Revoked partitions that the apply in flight may still touch.
    releases: Vec<Release>,
    starting: JoinSet<(u64, Positions)>,
}

/// A partition that is ours.
#[derive(Debug, Clone, Copy)]
struct Owned {
    /// Batches of another epoch are void.
    epoch: u64,
    /// The stored position, once it is known.
    position: Option<i64>,
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
                    self.settle(counted?);
                }
                Some(started) = self.starting.join_next() => {
                    let (epoch, positions) = started.map_err(|_| Error::Died("start"))?;
                    self.begin(epoch, positions?);
                }
                event = self.subscription.next(), if self.ready.len() < MAX_READY => {
                    match event.ok_or(Error::Died("fetch thread"))? {
                        SubscriptionEvent::Batch(batch) => self.fold(batch),
                        SubscriptionEvent::OutOfRange | SubscriptionEvent::Replaced { .. } => {
                            self.start(self.owned.keys().cloned().collect());
                        }
                        SubscriptionEvent::Failed { .. } | SubscriptionEvent::Recovered(_) => {}
                    }
                }
                _ = tick.tick() => self.tick(membership),
            }
        }
    }

    fn reassign(&mut self, event: MembershipEvent) {
        match event {
            MembershipEvent::Assigned(partitions) => {
                tracing::info!(partitions = partitions.len(), "partitions are assigned");
                self.start(partitions);
            }
            MembershipEvent::Revoked { partitions, release, .. } => {
                tracing::info!(partitions = partitions.len(), "partitions are revoked");
                for partition in partitions {
                    self.owned.remove(&partition);
                    self.ready.retain(|work| work.partition != partition);
                    self.subscription.stop(partition);
                }
                if self.applying.is_some() {
                    self.releases.push(release);
                }
            }
        }
    }

    /// Looks up where to go on in partitions, and voids what was read of them before.
    fn start(&mut self, partitions: Vec<TopicPartition>) {
        self.epoch += 1;
        let epoch = self.epoch;
        for partition in &partitions {
            self.owned.insert(partition.clone(), Owned { epoch, position: None });
            self.ready.retain(|work| work.partition != *partition);
        }
        let (store, admin, progress) =
            (self.store.clone(), Arc::clone(&self.admin), Arc::clone(&self.progress));
        let on_gap = self.config.on_gap;
        self.starting
            .spawn(async move { (epoch, positions(&store, &admin, partitions, on_gap, &progress).await) });
    }

    /// Reads partitions from their positions, unless they were revoked or started again meanwhile.
    fn begin(&mut self, epoch: u64, positions: Vec<(TopicPartition, i64)>) {
        for (partition, position) in positions {
            if let Some(owned) = self.owned.get_mut(&partition).filter(|owned| owned.epoch == epoch) {
                owned.position = Some(position);
                tracing::info!(%partition, position, "counting goes on");
                self.subscription.start(partition, position, epoch);
            }
        }
    }

    /// First stage, while the batches before are being applied.
    fn fold(&mut self, batch: RecordBatch) {
        let current = self.owned.get(&batch.partition).is_some_and(|owned| owned.epoch == batch.epoch);
        if !current {
            return;
        }
        let RecordBatch { partition, epoch, from, to, records } = batch;
        let folded = fold(self.kind(&partition), self.store.bounds(), records);
        self.ready.push_back(Work { partition, epoch, from, to, folded });
    }

    /// Second stage: applies the oldest ready batch of each partition, if nothing is being applied.
    fn apply_ready(&mut self) {
        if self.applying.is_some() || self.ready.is_empty() {
            return;
        }
        let mut works: Vec<Work> = Vec::new();
        let mut later = VecDeque::new();
        for work in self.ready.drain(..) {
            if works.iter().any(|chosen| chosen.partition == work.partition) {
                later.push_back(work);
            } else {
                works.push(work);
            }
        }
        self.ready = later;
        let (store, producer) = (self.store.clone(), self.producer.clone());
        let progress = Arc::clone(&self.progress);
        self.applying = Some(tokio::spawn(async move { count(&store, &producer, works, &progress).await }));
    }

    fn settle(&mut self, counted: Vec<Counted>) {
        let mut refused = Vec::new();
        for Counted { partition, epoch, position, applied, records, newest } in counted {
            if applied {
                self.progress.counted(records, newest);
            }
            let Some(owned) = self.owned.get_mut(&partition).filter(|owned| owned.epoch == epoch) else {
                continue;
            };
            if applied {
                owned.position = Some(position);
            } else {
                tracing::warn!(%partition, stored = position, "the store refused a batch; reading starts over there");
                self.progress.refused();
                refused.push(partition);
            }
        }
        if !refused.is_empty() {
            self.start(refused);
        }
    }

    fn tick(&self, membership: &Membership) {
        self.progress.tell();
        self.progress.keep_lags(
            |Partition { messaging_destination_name: topic, messaging_destination_partition_id: id }| {
                self.owned.contains_key(&TopicPartition::new(topic.as_str(), *id))
            },
        );
        let positions = self.positions();
        if positions.is_empty() {
            return self.progress.lag(std::iter::empty());
        }
        membership.commit(&positions);
        let (store, admin, progress) =
            (self.store.clone(), Arc::clone(&self.admin), Arc::clone(&self.progress));
        let idle = self.applying.is_none();
        tokio::spawn(async move {
            if idle {
                progress.store_is_there(store.ping().await.is_ok());
            }
            let mut lags = Vec::with_capacity(positions.len());
            for (partition, position) in positions {
                if let Ok(log) = admin.watermarks(&partition).await {
                    let label = Partition {
                        messaging_destination_name: partition.topic.to_string(),
                        messaging_destination_partition_id: partition.partition,
                    };
                    lags.push((label, (log.high - position).max(0)));
                }
            }
            progress.lag(lags.into_iter());
        });
    }

    /// The last applies of a stop, under the drain timeout.
    async fn finish(&mut self) -> Result<(), Error> {
        let limit = self.config.drain_timeout();
        let last = async {
            loop {
                if let Some(applying) = self.applying.take() {
                    let counted = applying.await.map_err(|_| Error::Died("apply"))??;
                    self.settle(counted);
                }
                if self.ready.is_empty() {
                    return Ok(());
                }
                self.apply_ready();
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
        let known =
            |(partition, owned): (&TopicPartition, &Owned)| Some((partition.clone(), owned.position?));
        self.owned.iter().filter_map(known).collect()
    }

    fn kind(&self, partition: &TopicPartition) -> Kind {
        if *partition.topic == *self.config.topic_weather { Kind::Weather } else { Kind::Sales }
    }
}

/// Waits for the apply in flight; for ever if there is none.
async fn finished(
    applying: &mut Option<JoinHandle<Result<Vec<Counted>, Error>>>,
) -> Result<Vec<Counted>, Error> {
    match applying {
        Some(applying) => applying.await.map_err(|_| Error::Died("apply"))?,
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
