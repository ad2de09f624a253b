use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_broker::kafka::{Admin, KafkaConfig};
use blackfriday_broker::{Record, TopicPartition};
use blackfriday_store::{Store, StoredPartition, Value};
use blackfriday_terminal::failure::Unavailable;
use tokio::time::{Instant, sleep};

use crate::records::{self, Headers, Patience, Range, TOPICS};

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
    /// One past the last record when the comparison began: everything below must be counted.
    pub(crate) end: i64,
    /// One past the last record now.
    pub(crate) high: i64,
    /// Counted up to here.
    pub(crate) position: i64,
}

/// One past the last record of each partition.
pub(crate) async fn ends(admin: &Admin) -> Result<Offsets> {
    let mut ends = Offsets::new();
    for topic in TOPICS {
        for partition in admin.partitions(topic).await? {
            let log = admin.watermarks(&partition).await?;
            ends.insert(partition, log.high);
        }
    }
    Ok(ends)
}

/// Waits until every position has reached its end. At the limit the rest is left to the comparison, which names it.
pub(crate) async fn until_counted(
    kafka: &KafkaConfig,
    admin: &Admin,
    store: &Store,
    ends: &Offsets,
    limit: Duration,
) -> Result<()> {
    let (started, mut ends) = (Instant::now(), Cow::Borrowed(ends));
    loop {
        let positions = positions(store).await?;
        let is_behind =
            |(partition, end): (&TopicPartition, &i64)| positions.get(partition).copied().unwrap_or(0) < *end;
        if !ends.iter().any(is_behind) || started.elapsed() >= limit {
            return Ok(());
        }
        if matches!(ends, Cow::Borrowed(_)) && started.elapsed() >= AT_ONCE {
            ends = Cow::Owned(last_records(kafka, admin, &ends, &positions).await?);
        } else {
            sleep(POLL).await;
        }
    }
}

/// One past the last record of what is not counted yet: behind it there may be the log's own control records, which nobody
/// counts.
async fn last_records(
    kafka: &KafkaConfig,
    admin: &Admin,
    ends: &Offsets,
    positions: &Offsets,
) -> Result<Offsets> {
    let mut ranges = Vec::new();
    let mut last = Offsets::new();
    for (partition, end) in ends {
        let log = admin.watermarks(partition).await?;
        let from = positions.get(partition).copied().unwrap_or(0).max(log.low);
        last.insert(partition.clone(), from.min(*end));
        ranges.push(Range { partition: partition.clone(), from, to: (*end).min(log.high) });
    }
    let add = |partition: &TopicPartition, record: Record| {
        last.insert(partition.clone(), record.offset + 1);
        ControlFlow::Continue(())
    };
    records::read(kafka, ranges, Headers::None, Patience::UntilStalled, add).await?;
    Ok(last)
}

/// Every key of the store, with the positions that it belongs to: read again until nothing moved meanwhile.
pub(crate) async fn still_store(store: &Store, limit: Duration) -> Result<(Stored, BTreeMap<String, Value>)> {
    let until = Instant::now() + limit;
    loop {
        let before = stored(store).await?;
        let dump = store.dump().await?;
        if stored(store).await? == before {
            return Ok((before, dump));
        }
        if Instant::now() >= until {
            return Err(
                Unavailable("the store keeps changing: verify while no sales come in".to_owned()).into()
            );
        }
        sleep(POLL).await;
    }
}

/// What there is of each partition.
pub(crate) async fn spans(admin: &Admin, ends: Offsets, stored: &Stored) -> Result<Vec<Span>> {
    let mut spans = Vec::with_capacity(ends.len());
    for (partition, end) in ends {
        let log = admin.watermarks(&partition).await?;
        if log.low > 0 {
            let gone = format!("{partition}: offsets 0 to {} are gone by retention", log.low);
            return Err(Unavailable(format!("{gone}: the store cannot be recomputed")).into());
        }
        let position = stored.get(&partition).map_or(0, |stored| stored.next);
        spans.push(Span { partition, end, high: log.high, position });
    }
    Ok(spans)
}

async fn positions(store: &Store) -> Result<Offsets> {
    Ok(stored(store).await?.into_iter().map(|(partition, stored)| (partition, stored.next)).collect())
}

async fn stored(store: &Store) -> Result<Stored> {
    let mut all = Stored::new();
    for topic in TOPICS {
        let partitions = store.partitions(topic).await.context("where the consumer is")?;
        all.extend(partitions.into_iter().map(|(id, stored)| (TopicPartition::new(topic, id), stored)));
    }
    Ok(all)
}
