//! Second stage: what was folded is applied to the store, all partitions that are ready in one step.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use blackfriday_broker::{EventLog, TopicPartition};
use blackfriday_event::{KeyWindow, Timestamp};
use blackfriday_store::{Batch, LastRecord, Outcome, Store, StoreError};
use blackfriday_telemetry::context;
use blackfriday_telemetry::planted::{Planted, is_planted};
use tracing::{Instrument, Span};

use crate::error::Error;
use crate::fold::Folded;
use crate::progress::Progress;

/// Between tries, for as long as the store is away.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(50))
    .with_max_delay(Duration::from_millis(500))
    .without_max_times();

/// A folded batch of one partition.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) partition: TopicPartition,
    pub(crate) epoch: u64,
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// The last record below `to`, of this batch or one before.
    pub(crate) last: Option<LastRecord>,
    pub(crate) folded: Folded,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) partition: TopicPartition,
    pub(crate) epoch: u64,
    pub(crate) records: u64,
    pub(crate) newest: Option<Timestamp>,
    pub(crate) fate: Fate,
    /// Its events that are to have a line of the log.
    pub(crate) told: Vec<String>,
}

#[derive(Debug)]
pub(crate) enum Fate {
    /// It is counted, up to this position, which the record, if it is known, led to.
    Applied { position: i64, last: Option<LastRecord> },
    /// The position is the one that it leads to. An earlier try of it was applied although its answer was lost, or another
    /// consumer was first; and where the log has lost its tail, that may have counted other records.
    Doubtful,
    /// Nothing was counted: the store's position is another one, and reading goes on from there.
    Refused { stored: i64 },
    /// Nothing was counted: the partition is stopped.
    Stopped { reason: String },
    /// Nothing was counted yet: it holds what has to go to the dead letters first.
    ToBury(Box<Work>),
}

/// Counts batches of different partitions, none of which holds anything for the dead letters. Waits for as long as the store
/// is away.
pub(crate) async fn count(
    store: &Store,
    log: EventLog,
    works: Vec<Work>,
    progress: &Progress,
) -> Result<Vec<Counted>, Error> {
    let span = batch_span(log, &works);
    count_in_span(store, works, progress).instrument(span).await
}

async fn count_in_span(store: &Store, works: Vec<Work>, progress: &Progress) -> Result<Vec<Counted>, Error> {
    let windows = windows(store, &works, progress).await?;
    let mut counted = Vec::with_capacity(works.len());
    let mut batches = Vec::with_capacity(works.len());
    let mut applying = Vec::with_capacity(works.len());
    for (mut work, window) in works.into_iter().zip(windows) {
        let (position, mut keys) = window.unwrap_or((work.from, KeyWindow::default()));
        // The window is of another state of the store than the batch starts from.
        if position != work.from && !is_planted(Planted::NoPositionCheck) {
            counted.push(work.came_to(Fate::Refused { stored: position }));
            continue;
        }
        match work.folded.admit(&mut keys) {
            Some(decided) => {
                progress.decided(&decided);
                batches.push(batch(&mut work, keys, store));
                applying.push(work);
            }
            None => counted.push(work.buried_first()),
        }
    }
    let started = std::time::Instant::now();
    let call = call_span();
    let outcomes = retrying(progress, || store.apply(&batches)).instrument(call).await?;
    progress.applied(batches.len(), started.elapsed());
    let fates = applying.iter_mut().zip(outcomes);
    counted.extend(fates.map(|(work, outcome)| work.came_to(fate(outcome, work.to, work.last))));
    Ok(counted)
}

/// What the store's answer to a batch means that leads to this position with this record.
pub(crate) fn fate(outcome: Outcome, position: i64, last: Option<LastRecord>) -> Fate {
    match outcome {
        Outcome::Applied => Fate::Applied { position, last },
        Outcome::Refused { stored } if stored == position => Fate::Doubtful,
        Outcome::Refused { stored } => Fate::Refused { stored },
        Outcome::Stopped { reason } => Fate::Stopped { reason },
    }
}

/// Runs an operation of the store until it succeeds, with growing pauses.
///
/// # Errors
/// One that trying again does not help against.
pub(crate) async fn retrying<T, F>(progress: &Progress, operation: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let done = operation
        .retry(PAUSES)
        .sleep(tokio::time::sleep)
        .when(StoreError::is_retryable)
        .notify(|error, _pause| progress.store_is_away(error))
        .await
        .map_err(Error::Store)?;
    progress.store_is_there(true);
    Ok(done)
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
        last: work.last,
        topic: work.partition.topic.to_string(),
        partition: work.partition.partition,
        from: work.from,
        to: work.to,
        tally: std::mem::replace(&mut work.folded.tally, empty),
        keys,
    }
}

impl Work {
    fn came_to(&mut self, fate: Fate) -> Counted {
        let Folded { records, newest, .. } = self.folded;
        let told = std::mem::take(&mut self.folded.told);
        Counted { partition: self.partition.clone(), epoch: self.epoch, records, newest, fate, told }
    }

    fn buried_first(self) -> Counted {
        let (partition, epoch) = (self.partition.clone(), self.epoch);
        let fate = Fate::ToBury(Box::new(self));
        Counted { partition, epoch, records: 0, newest: None, fate, told: Vec::new() }
    }
}

/// A span that links to the sales' own traces, if any of them is sampled: a batch is a story of its own.
fn batch_span(log: EventLog, works: &[Work]) -> Span {
    let mut traceparents = works.iter().flat_map(|work| &work.folded.traceparents).peekable();
    if traceparents.peek().is_none() {
        return Span::none();
    }
    let records: u64 = works.iter().map(|work| work.folded.records).sum();
    let span = tracing::info_span!(
        parent: None,
        "process",
        otel.name = format!("process {}", works.first().map_or("", |work| &work.partition.topic)),
        otel.kind = "consumer",
        messaging.system = log.name(),
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
