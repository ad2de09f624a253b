//! Records of all kinds, while consumers come and go.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use blackfriday_event::{Sale, Timestamp};
use blackfriday_proto::encode_record;
use blackfriday_stack::eventually;

use crate::bench::{Bench, LIMIT, sale};

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_what_the_log_adds_up_to() -> Result<()> {
    let bench = Bench::start().await?;
    let first = bench.consumer(&[])?;
    bench.publish_sales(60).await?;
    bench.counts_exactly().await?;

    // The same event under its key again counts once.
    let keyed = [sale(7, Some("a")), sale(8, Some("b"))];
    for sale in [&keyed[0], &keyed[1], &keyed[0]] {
        bench.publish(0, encode_record(sale)).await?;
    }
    bench.counts_exactly().await?;

    // A second consumer shares the work, then takes all of it.
    let second = bench.consumer(&[])?;
    bench.publish_sales(60).await?;
    bench.counts_exactly().await?;
    first.stop().await?;
    bench.publish_sales(60).await?;
    bench.counts_exactly().await?;

    // The store goes back in time, with its counters: a stale replica is promoted.
    bench.valkey.on_disk().await?;
    bench.valkey.checkpoint()?;
    bench.publish_sales(30).await?;
    bench.counts_exactly().await?;
    bench.valkey.roll_back()?;
    bench.valkey.restart().await?;
    bench.publish_sales(30).await?;
    bench.counts_exactly().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_lag_is_told_by_whose_partition_it_is() -> Result<()> {
    let bench = Bench::start().await?;
    let first = bench.consumer(&[])?;
    bench.publish_sales(9).await?;
    eventually(LIMIT, async || first.lagging().len() == 3).await.context("the first tells all")?;

    let second = bench.consumer(&[])?;
    let shared = async || {
        let (one, other) = (first.lagging(), second.lagging());
        !one.is_empty() && !other.is_empty() && one.is_disjoint(&other) && one.len() + other.len() == 3
    };
    eventually(LIMIT, shared)
        .await
        .with_context(|| format!("{:?} {:?}", first.lagging(), second.lagging()))?;
    first.stop().await?;
    eventually(LIMIT, async || second.lagging().len() == 3).await.context("the second tells all")?;
    second.stop().await
}

/// Two days off in both directions: a writer's clock neither moves the series nor forgets keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_writers_clock_decides_nothing() -> Result<()> {
    let bench = Bench::start().await?;
    let consumer = bench.consumer(&[])?;
    let now = Timestamp::from(SystemTime::now());
    let two_days = Duration::from_secs(48 * 3600).as_millis();
    let two_days = u64::try_from(two_days)?;
    for at in [now.millis() - two_days, now.millis() + two_days, now.millis()] {
        let accepted_at = Timestamp::from_millis(at).context("in range")?;
        let keyed = Sale { accepted_at, ..sale(1, Some("once")) };
        let plain = Sale { accepted_at, ..sale(2, None) };
        bench.publish(0, encode_record(&keyed)).await?;
        bench.publish(0, encode_record(&plain)).await?;
    }
    bench.counts_exactly().await?;
    ensure!(bench.counted().await == 4, "three plain sales, and one under its key");
    let dump = bench.store.snapshot(1).await?;
    let first = dump.series.first().context("a series")?;
    ensure!(first.second + 60 >= now.millis() / 1000, "{first:?}");
    consumer.stop().await
}

/// A topic that keeps its producers' times is counted by them, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_keeps_its_producers_times_is_told() -> Result<()> {
    let bench = Bench::start().await?;
    bench.alter("message.timestamp.type", "CreateTime").await?;
    let consumer = bench.consumer(&[])?;
    bench.publish_sales(9).await?;
    bench.counts_exactly().await?;
    let told = async || consumer.metric("blackfriday_consumer_producer_times_total") == Some(9.0);
    eventually(LIMIT, told).await?;
    consumer.stop().await
}
