//! Second stage: what was folded is applied to the store, all partitions that are ready in one round trip.

use std::time::Duration;

use blackfriday_broker::TopicPartition;
use blackfriday_broker::kafka::Producer;
use blackfriday_event::{KeyWindow, Timestamp};
use blackfriday_store::{Batch, Outcome, Store, StoreError};
use blackfriday_telemetry::context;
use tracing::{Instrument, Span};

use crate::Error;
use crate::dead_letter;
use crate::fold::{Folded, Rejected};
use crate::progress::Progress;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A folded batch of one partition.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) partition: TopicPartition,
    pub(crate) epoch: u64,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) folded: Folded,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) partition: TopicPartition,
    pub(crate) epoch: u64,
    pub(crate) position: i64,
    /// False if the store's position was another one: nothing was counted, and reading goes on from `position`.
    pub(crate) applied: bool,
    pub(crate) records: u64,
    pub(crate) newest: Option<Timestamp>,
}

/// Counts batches of different partitions. Waits for as long as the store or, for dead letters, the broker is away.
pub(crate) async fn count(
    store: &Store,
    producer: &Producer,
    works: Vec<Work>,
    progress: &Progress,
) -> Result<Vec<Counted>, Error> {
    let span = batch_span(&works);
    count_in_span(store, producer, works, progress).instrument(span).await
}

async fn count_in_span(
    store: &Store,
    producer: &Producer,
    mut works: Vec<Work>,
    progress: &Progress,
) -> Result<Vec<Counted>, Error> {
    for work in &mut works {
        let rejected = std::mem::take(&mut work.folded.rejected);
        bury(producer, &work.partition, rejected, progress).await;
    }
    let windows = windows(store, &works, progress).await?;
    let mut counted = Vec::with_capacity(works.len());
    let mut batches = Vec::with_capacity(works.len());
    let mut applying = Vec::with_capacity(works.len());
    for (mut work, window) in works.into_iter().zip(windows) {
        match window {
            // The window is of another state of the store than the batch starts from.
            Some((position, _)) if position != work.from => counted.push(Counted::refused(&work, position)),
            window => {
                let mut keys = window.map(|(_, keys)| keys).unwrap_or_default();
                let (repeated, conflicting) = work.folded.admit(&mut keys);
                progress.repeated(repeated);
                progress.conflicting(conflicting.len());
                bury(producer, &work.partition, conflicting, progress).await;
                batches.push(batch(&mut work, keys, store));
                applying.push(work);
            }
        }
    }
    let started = std::time::Instant::now();
    let call = call_span();
    let outcomes = retrying(progress, || store.apply(&batches)).instrument(call).await?;
    progress.applied(batches.len(), started.elapsed());
    counted.extend(applying.iter().zip(outcomes).map(|(work, outcome)| match outcome {
        Outcome::Applied => Counted::applied(work),
        // An earlier try was applied although its answer was lost.
        Outcome::Refused { stored } if stored == work.to => Counted::applied(work),
        Outcome::Refused { stored } => Counted::refused(work, stored),
        // What it is stopped for is read again with the position.
        Outcome::Stopped { .. } => Counted::refused(work, work.from),
    }));
    Ok(counted)
}

async fn bury(producer: &Producer, partition: &TopicPartition, rejected: Vec<Rejected>, progress: &Progress) {
    progress.dead_letters(rejected.len());
    dead_letter::publish(producer, partition, rejected).await;
}

/// Runs an operation of the store until it succeeds, with growing pauses.
///
/// # Errors
/// One that trying again does not help against.
pub(crate) async fn retrying<T, F>(progress: &Progress, operation: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        match operation().await {
            Ok(done) => {
                progress.store_is_there(true);
                return Ok(done);
            }
            Err(error) if error.is_retryable() => {
                progress.store_is_there(false);
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, retry_in_ms = pause.as_millis(), "the store is awaited");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => return Err(Error::Store(error)),
        }
    }
}

/// For each batch with keyed events, the keys' window and the position that it belongs to.
async fn windows(
    store: &Store,
    works: &[Work],
    progress: &Progress,
) -> Result<Vec<Option<(i64, KeyWindow)>>, Error> {
    let keyed = || works.iter().filter(|work| !work.folded.keyed.is_empty());
    let wanted: Vec<_> =
        keyed().map(|work| (&*work.partition.topic, work.partition.partition, work.folded.keys())).collect();
    if wanted.is_empty() {
        return Ok(works.iter().map(|_| None).collect());
    }
    let mut windows = retrying(progress, || store.key_windows(&wanted)).await?.into_iter();
    let window = |work: &Work| if work.folded.keyed.is_empty() { None } else { windows.next() };
    Ok(works.iter().map(window).collect())
}

fn batch(work: &mut Work, keys: KeyWindow, store: &Store) -> Batch {
    let empty = work.folded.kind.empty(store.bounds());
    Batch {
        topic: work.partition.topic.to_string(),
        partition: work.partition.partition,
        from: work.from,
        to: work.to,
        last: work.folded.last,
        tally: std::mem::replace(&mut work.folded.tally, empty),
        keys,
    }
}

impl Counted {
    fn applied(work: &Work) -> Self {
        Self::new(work, work.to, true)
    }

    fn refused(work: &Work, position: i64) -> Self {
        Self::new(work, position, false)
    }

    fn new(work: &Work, position: i64, applied: bool) -> Self {
        let Folded { records, newest, .. } = work.folded;
        Self { partition: work.partition.clone(), epoch: work.epoch, position, applied, records, newest }
    }
}

/// A span that links to the sales' own traces, if any of them is sampled: a batch is a story of its own.
fn batch_span(works: &[Work]) -> Span {
    let mut traceparents = works.iter().flat_map(|work| &work.folded.traceparents).peekable();
    if traceparents.peek().is_none() {
        return Span::none();
    }
    let records: u64 = works.iter().map(|work| work.folded.records).sum();
    let span = tracing::info_span!(
        parent: None,
        "process",
        otel.name = "process ventas",
        otel.kind = "consumer",
        messaging.system = "kafka",
        messaging.operation.type = "process",
        messaging.batch.message_count = records,
    );
    traceparents.for_each(|traceparent| context::add_link(&span, traceparent));
    span
}

/// The span of the store's call, if the batch has one.
fn call_span() -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    tracing::info_span!("FCALL", otel.kind = "client", db.system.name = "valkey", db.operation.name = "FCALL")
}
