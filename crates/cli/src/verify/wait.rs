use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_broker::TopicPartition;
use blackfriday_broker::kafka::Admin;
use blackfriday_store::{Store, Value};
use tokio::time::{Instant, sleep};

use super::TOPICS;
use crate::failure::Unavailable;

const POLL: Duration = Duration::from_millis(100);

/// Offsets by partition.
pub(super) type Offsets = BTreeMap<TopicPartition, i64>;

/// What there is of a partition.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) partition: TopicPartition,
    /// One past the last record when the comparison began: everything below must be counted.
    pub(super) end: i64,
    /// One past the last record now.
    pub(super) high: i64,
    /// Counted up to here.
    pub(super) position: i64,
}

/// One past the last record of each partition.
pub(super) async fn ends(admin: &Admin) -> Result<Offsets> {
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
pub(super) async fn until_counted(store: &Store, ends: &Offsets, limit: Duration) -> Result<()> {
    let until = Instant::now() + limit;
    loop {
        let positions = positions(store).await?;
        let reached = |(partition, end): (&TopicPartition, &i64)| {
            positions.get(partition).copied().unwrap_or(0) >= *end
        };
        if ends.iter().all(reached) || Instant::now() >= until {
            return Ok(());
        }
        sleep(POLL).await;
    }
}

/// Every key of the store, with the positions that it belongs to: read again until nothing moved meanwhile.
pub(super) async fn still_store(
    store: &Store,
    limit: Duration,
) -> Result<(Offsets, BTreeMap<String, Value>)> {
    let until = Instant::now() + limit;
    loop {
        let before = positions(store).await?;
        let dump = store.dump().await?;
        if positions(store).await? == before {
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
pub(super) async fn spans(admin: &Admin, ends: Offsets, positions: &Offsets) -> Result<Vec<Span>> {
    let mut spans = Vec::with_capacity(ends.len());
    for (partition, end) in ends {
        let log = admin.watermarks(&partition).await?;
        if log.low > 0 {
            let gone = format!("{partition}: offsets 0 to {} are gone by retention", log.low);
            return Err(Unavailable(format!("{gone}: the store cannot be recomputed")).into());
        }
        let position = positions.get(&partition).copied().unwrap_or(0);
        spans.push(Span { partition, end, high: log.high, position });
    }
    Ok(spans)
}

async fn positions(store: &Store) -> Result<Offsets> {
    let mut positions = Offsets::new();
    for topic in TOPICS {
        for (partition, position) in store.positions(topic).await.context("where the consumer is")? {
            positions.insert(TopicPartition::new(topic, partition), position);
        }
    }
    Ok(positions)
}
