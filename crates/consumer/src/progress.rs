//! What the consumer reports of its work: metrics, readiness, and lines of the log that do not repeat themselves.
//!
//! Invariant: a lag is reported by the owner of its partition only, and the freshness is by the log's time of the newest
//! counted event.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use blackfriday_broker::TopicPartition;
use blackfriday_event::Timestamp;
use blackfriday_service::{Condition, Context};
use blackfriday_store::{Memory, Replication, StoreError};
use blackfriday_telemetry::metrics::types::counter::Counter;
use blackfriday_telemetry::metrics::types::family::Family;
use blackfriday_telemetry::metrics::types::gauge::Gauge;
use blackfriday_telemetry::metrics::types::histogram::Histogram;
use blackfriday_telemetry::metrics::{DURATION_BUCKETS, Reading, Registry};
use prometheus_client::encoding::EncodeLabelSet;

use crate::fold::Decided;

/// Between two times that the same is logged.
const REMINDER: Duration = Duration::from_secs(30);

/// The metrics and conditions, and what was logged last.
pub(crate) struct Progress {
    store: Condition,
    records: Counter,
    repeated: Counter,
    conflicting: Counter,
    of_producers_time: Counter,
    refused: Counter,
    dead_letters: Counter,
    batches: Counter,
    durations: Histogram,
    freshness_ms: Gauge,
    used_memory: Reading,
    memory_limit: Reading,
    replicas: Reading,
    behind: Reading,
    available: Gauge,
    lag: Family<Partition, Gauge>,
    /// The partitions in it.
    lagging: Mutex<HashSet<Partition>>,
    newest: Mutex<Option<Timestamp>>,
    told: Mutex<(Instant, u64)>,
    total_lag: AtomicU64,
    last_apply_ms: AtomicU64,
    store_told: Mutex<Option<Instant>>,
    times_told: Mutex<Option<Instant>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Partition {
    pub(crate) messaging_destination_name: String,
    pub(crate) messaging_destination_partition_id: i32,
}

impl Partition {
    pub(crate) fn of(partition: &TopicPartition) -> Self {
        Self {
            messaging_destination_name: partition.topic.to_string(),
            messaging_destination_partition_id: partition.partition,
        }
    }
}

impl Progress {
    pub(crate) fn new(context: &Context) -> Self {
        let registry: &Registry = &context.registry;
        Self {
            store: context.readiness.condition("valkey"),
            records: registry.counter("messaging_client_consumed_messages", "Records counted"),
            repeated: registry
                .counter("blackfriday_consumer_repeated_events", "Events not counted: their key was"),
            conflicting: registry.counter(
                "blackfriday_consumer_conflicting_events",
                "Events not counted: their key counted another event",
            ),
            of_producers_time: registry.counter(
                "blackfriday_consumer_producer_times",
                "Records counted by their producer's clock, because the topic does not keep the log's time",
            ),
            refused: registry
                .counter("blackfriday_consumer_refused_batches", "Batches whose position was another"),
            dead_letters: registry
                .counter("blackfriday_consumer_dead_letters", "Records that cannot be counted"),
            batches: registry.counter("blackfriday_consumer_batches", "Batches applied or refused"),
            durations: registry.histogram(
                "db_client_operation_duration_seconds",
                "Duration of a round trip that applies batches",
                &DURATION_BUCKETS,
            ),
            freshness_ms: registry
                .gauge("blackfriday_freshness_milliseconds", "Age of the newest counted event"),
            used_memory: registry
                .reading("blackfriday_store_used_memory_bytes", "Memory that the store uses"),
            memory_limit: registry
                .reading("blackfriday_store_memory_limit_bytes", "The store's maxmemory; 0 if it has none"),
            replicas: registry
                .reading("blackfriday_store_replicas", "Replicas that receive what the store writes"),
            behind: registry.reading(
                "blackfriday_store_replica_lag_bytes",
                "Bytes that the store wrote, and its replica furthest behind has not confirmed",
            ),
            available: registry
                .gauge("blackfriday_store_available", "1 while the store takes what is counted"),
            lag: registry.gauges("blackfriday_consumer_lag_records", "Records that are not counted yet"),
            lagging: Mutex::default(),
            newest: Mutex::new(None),
            told: Mutex::new((Instant::now(), 0)),
            total_lag: AtomicU64::new(0),
            last_apply_ms: AtomicU64::new(0),
            store_told: Mutex::default(),
            times_told: Mutex::default(),
        }
    }

    pub(crate) fn store_is_there(&self, there: bool) {
        self.store.set(there);
        self.available.set(i64::from(there));
        if there && self.store_told.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            tracing::info!("the store is there again");
        }
    }

    /// As it was read last, if it could be.
    pub(crate) fn memory(&self, read: Option<Memory>) {
        self.used_memory.set(read.map(|memory| memory.used));
        self.memory_limit.set(read.map(|memory| memory.limit));
    }

    /// As it was read last, if it could be.
    pub(crate) fn replication(&self, read: Option<Replication>) {
        self.replicas.set(read.map(|replication| replication.replicas));
        self.behind.set(read.map(|replication| replication.behind));
    }

    pub(crate) fn dead_letters(&self, count: usize) {
        self.dead_letters.inc_by(count as u64);
    }

    /// Whether anything of the store failed since the last success is for readiness; the log has it when it begins, and
    /// seldom while it lasts.
    pub(crate) fn store_is_away(&self, error: &StoreError) {
        self.store.set(false);
        self.available.set(0);
        let mut told = self.store_told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= REMINDER) {
            *told = Some(Instant::now());
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(%error, cause, "counting waits for the store");
        }
    }

    pub(crate) fn decided(&self, decided: &Decided) {
        self.repeated.inc_by(decided.repeated);
        self.conflicting.inc_by(decided.conflicting);
    }

    /// Records whose time is not the log's.
    pub(crate) fn of_producers_time(&self, topic: &str, count: u64) {
        if count == 0 {
            return;
        }
        self.of_producers_time.inc_by(count);
        let mut told = self.times_told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= REMINDER) {
            *told = Some(Instant::now());
            tracing::error!(
                topic,
                count,
                "the topic keeps its producers' times, by which events are counted now: set its message.timestamp.type to LogAppendTime"
            );
        }
    }

    pub(crate) fn applied(&self, batches: usize, took: Duration) {
        self.batches.inc_by(batches as u64);
        self.durations.observe(took.as_secs_f64());
        self.last_apply_ms.store(u64::try_from(took.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long the last apply took.
    pub(crate) fn last_apply(&self) -> Duration {
        Duration::from_millis(self.last_apply_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    pub(crate) fn counted(&self, records: u64, newest: Option<Timestamp>) {
        self.records.inc_by(records);
        let mut known = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *known = (*known).max(newest);
    }

    pub(crate) fn lag(&self, lags: impl Iterator<Item = (Partition, i64)>) {
        let mut total = 0;
        let mut lagging = self.lagging.lock().unwrap_or_else(PoisonError::into_inner);
        for (partition, lag) in lags {
            self.lag.get_or_create(&partition).set(lag);
            total += u64::try_from(lag).unwrap_or(0);
            lagging.insert(partition);
        }
        self.total_lag.store(total, Ordering::Relaxed);
    }

    /// Forgets the lag of partitions that are not ours any more: their new owner reports it.
    pub(crate) fn keep_lags(&self, is_ours: impl Fn(&Partition) -> bool) {
        let mut lagging = self.lagging.lock().unwrap_or_else(PoisonError::into_inner);
        for partition in lagging.extract_if(|partition| !is_ours(partition)) {
            self.lag.remove(&partition);
        }
    }

    /// One line, where something was counted since the last.
    pub(crate) fn tell(&self) {
        let newest = *self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::from(SystemTime::now());
        // Negative where the log's clock is ahead of ours: that is to be seen.
        let freshness_ms = newest.map(|newest| now.millis().cast_signed() - newest.millis().cast_signed());
        if let Some(age) = freshness_ms {
            self.freshness_ms.set(age);
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, before) = *told;
        let records = self.records.get();
        if records > before {
            #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
            let rate = (records - before) as f64 / since.elapsed().as_secs_f64();
            let lag = self.total_lag.load(Ordering::Relaxed);
            tracing::info!(records, per_second = format!("{rate:.0}"), lag, freshness_ms, "counting");
        }
        *told = (Instant::now(), records);
    }
}
