use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_broker::{Admin, LogConfig, Record, TopicPartition, Watermarks};
use blackfriday_store::{Store, StoredPartition, Value};
use blackfriday_terminal::failure::Unavailable;
use tokio::time::{Instant, sleep};

use crate::records::{self, Headers, Patience, Range};
use crate::topics::Topics;

const POLL: Duration = Duration::from_millis(100);
/// A consumer that runs is at the end by then, or has more to count than can be read quickly.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Offsets by partition.
pub(crate) type Offsets = BTreeMap<TopicPartition, i64>;
/// What the store knows of each partition.
pub(crate) type Stored = BTreeMap<TopicPartition, StoredPartition>;

/// What there is of a partition.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) partition: TopicPartition,
    /// The first offset that retention has left: 0, if nothing is gone.
    pub(crate) low: i64,
    /// One past the last record when the comparison began: everything below must be counted.
    pub(crate) end: i64,
    /// One past the last record now.
    pub(crate) high: i64,
    /// Counted up to here.
    pub(crate) position: i64,
}

/// One past the last record of each partition.
pub(crate) async fn ends(admin: &Admin, topics: Topics) -> Result<Offsets> {
    let mut ends = Offsets::new();
    for topic in topics.names() {
        for partition in admin.partitions(topic).await? {
            let log = records::watermarks(admin, &partition).await?;
            ends.insert(partition, log.high);
        }
    }
    Ok(ends)
}

/// Whether a topic keeps the last record of a key only: others may be gone.
pub(crate) async fn is_compacted(admin: &Admin, topic: &str) -> Result<bool> {
    let policy = admin.setting(topic, "cleanup.policy").await?;
    Ok(policy.is_some_and(|policy| policy.contains("compact")))
}

/// Waits until every position has reached its end. At the limit the rest is left to the comparison, which names it.
pub(crate) async fn until_counted(
    log: &LogConfig,
    admin: &Admin,
    store: &Store,
    topics: Topics,
    ends: &Offsets,
    limit: Duration,
) -> Result<()> {
    let (started, mut ends) = (Instant::now(), Cow::Borrowed(ends));
    loop {
        let positions = positions(store, topics).await?;
        let is_behind =
            |(partition, end): (&TopicPartition, &i64)| positions.get(partition).copied().unwrap_or(0) < *end;
        if !ends.iter().any(is_behind) || started.elapsed() >= limit {
            return Ok(());
        }
        if matches!(ends, Cow::Borrowed(_)) && started.elapsed() >= AT_ONCE {
            ends = Cow::Owned(last_records(log, admin, &ends, &positions).await?);
        } else {
            sleep(POLL).await;
        }
    }
}

/// One past the last record of what is not counted yet: behind it there may be the log's own control records, which nobody
/// counts.
async fn last_records(
    config: &LogConfig,
    admin: &Admin,
    ends: &Offsets,
    positions: &Offsets,
) -> Result<Offsets> {
    let mut ranges = Vec::new();
    let mut last = Offsets::new();
    for (partition, end) in ends {
        let log = records::watermarks(admin, partition).await?;
        let from = positions.get(partition).copied().unwrap_or(0).max(log.low);
        last.insert(partition.clone(), from.min(*end));
        ranges.push(Range { partition: partition.clone(), from, to: (*end).min(log.high) });
    }
    let add = |partition: &TopicPartition, record: Record| {
        last.insert(partition.clone(), record.offset + 1);
        ControlFlow::Continue(())
    };
    records::read(config, ranges, Headers::None, Patience::UntilStalled, add).await?;
    Ok(last)
}

/// Every key of the store that these topics have made, with the positions that it belongs to: read again until nothing moved meanwhile.
pub(crate) async fn still_store(
    store: &Store,
    topics: Topics,
    limit: Duration,
) -> Result<(Stored, BTreeMap<String, Value>)> {
    let until = Instant::now() + limit;
    loop {
        let before = stored(store, topics).await?;
        let dump = store.dump_without(&topics.left_out()).await?;
        if stored(store, topics).await? == before {
            return Ok((before, dump));
        }
        if Instant::now() >= until {
            return Err(
                Unavailable("the store keeps changing: verify while no events come in".to_owned()).into()
            );
        }
        sleep(POLL).await;
    }
}

/// What there is of each partition.
pub(crate) async fn spans(admin: &Admin, ends: &Offsets, stored: &Stored) -> Result<Vec<Span>> {
    let mut spans = Vec::with_capacity(ends.len());
    for (partition, end) in ends.clone() {
        let Watermarks { low, high } = records::watermarks(admin, &partition).await?;
        let position = stored.get(&partition).map_or(0, |stored| stored.next);
        spans.push(Span { partition, low, end, high, position });
    }
    Ok(spans)
}

async fn positions(store: &Store, topics: Topics) -> Result<Offsets> {
    Ok(stored(store, topics).await?.into_iter().map(|(partition, stored)| (partition, stored.next)).collect())
}

async fn stored(store: &Store, topics: Topics) -> Result<Stored> {
    let mut all = Stored::new();
    for topic in topics.names() {
        let partitions = store.partitions(topic).await.context("where the consumer is")?;
        all.extend(partitions.into_iter().map(|(id, stored)| (TopicPartition::new(topic, id), stored)));
    }
    Ok(all)
}
