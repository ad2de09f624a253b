use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use blackfriday_broker::TopicPartition;
use blackfriday_broker::kafka::Admin;
use blackfriday_store::{Store, Value};
use tokio::time::{Instant, sleep};

const POLL: Duration = Duration::from_millis(100);

/// Offsets by partition.
pub(super) type Offsets = BTreeMap<TopicPartition, i64>;

/// One past the last record of each partition.
pub(super) async fn ends(admin: &Admin) -> Result<Offsets> {
    let mut ends = Offsets::new();
    for topic in ["ventas", "clima"] {
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
        let dump = store.dump().await.context("read the store")?;
        if positions(store).await? == before {
            return Ok((before, dump));
        }
        if Instant::now() >= until {
            bail!("the store keeps changing: verify while no sales come in");
        }
        sleep(POLL).await;
    }
}

async fn positions(store: &Store) -> Result<Offsets> {
    let mut positions = Offsets::new();
    for topic in ["ventas", "clima"] {
        for (partition, position) in store.positions(topic).await.context("read the positions")? {
            positions.insert(TopicPartition::new(topic, partition), position);
        }
    }
    Ok(positions)
}
