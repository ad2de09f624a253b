//! A store that somebody else touches, that may drop keys, or that is full.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use blackfriday_consumer::Error;
use blackfriday_stack::eventually;
use tokio::time::{sleep, timeout};

use crate::bench::{Bench, LIMIT};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_emptied_is_filled_again_without_another_record() -> Result<()> {
    let bench = Bench::start().await?;
    let consumer = bench.consumer(&[])?;
    bench.publish_sales(60).await?;
    bench.counts_exactly().await?;
    bench.valkey.command(&["FLUSHALL"]).await?;
    bench.counts_exactly().await.context("while nothing is sold")?;
    consumer.stop().await
}

/// Counting from the beginning would count everything twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_position_beside_full_counters_ends_the_consumer_with_the_keys_name() -> Result<()> {
    let bench = Bench::start().await?;
    let consumer = bench.consumer(&[])?;
    bench.publish_sales(30).await?;
    bench.counts_exactly().await?;
    bench.valkey.command(&["DEL", "posicion:ventas"]).await?;
    let ended = timeout(LIMIT, consumer.running).await.context("it ends")??;
    let Err(Error::Store(error)) = ended else { bail!("{ended:?}") };
    ensure!(error.to_string().contains("posicion:ventas"), "{error}");
    ensure!(bench.counted().await == 30);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_may_drop_keys_is_not_counted_into() -> Result<()> {
    let bench = Bench::start().await?;
    bench.valkey.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await?;
    let consumer = bench.consumer(&[])?;
    bench.publish_sales(30).await?;
    eventually(LIMIT, async || consumer.lacks("valkey keeps all")).await?;
    eventually(LIMIT, async || !consumer.lagging().is_empty()).await.context("it reads")?;
    ensure!(bench.counted().await == 0);
    bench.valkey.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await?;
    bench.counts_exactly().await?;
    eventually(LIMIT, async || consumer.context.readiness.is_ready()).await?;
    consumer.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_stops_counting_until_there_is_room() -> Result<()> {
    let bench = Bench::start().await?;
    let consumer = bench.consumer(&[])?;
    bench.publish_sales(3).await?;
    bench.counts_exactly().await?;
    bench.valkey.command(&["CONFIG", "SET", "maxmemory", "1000000"]).await?;
    bench.publish_sales(30).await?;
    eventually(LIMIT, async || consumer.lacks("valkey")).await.context("readiness says so")?;
    ensure!(bench.counted().await == 3);
    let limit = || consumer.metric("blackfriday_store_memory_limit_bytes");
    eventually(LIMIT, async || limit() == Some(1_000_000.0)).await.context("as the metrics do")?;
    // It refuses many times a second, and is asked once.
    for _ in 0..30 {
        ensure!(limit() == Some(1_000_000.0), "it tells how full it is all the while");
        sleep(Duration::from_millis(50)).await;
    }
    bench.valkey.command(&["CONFIG", "SET", "maxmemory", "0"]).await?;
    bench.counts_exactly().await?;
    bench.valkey.kill()?;
    eventually(LIMIT, async || limit().is_none()).await.context("a store that is away has no sample")?;
    bench.valkey.restart().await?;
    bench.counts_exactly().await?;
    consumer.stop().await
}
