//! How long counting stands still after a fault.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blackfriday_broker::kafka::{KafkaConfig, Membership, MembershipEvent};
use blackfriday_stack::{Sentinel, SentinelOptions, Valkey, ValkeyOptions, eventually};
use blackfriday_store::{Store, StoreConfig, ValkeyConfig};
use tokio::time::timeout;

use crate::bench::{Bench, LIMIT, producer};

/// The group gives half of the partitions to a member that counts nothing, as it does until it has noticed that a member
/// died: that takes the session time-out, 6 s, and a rebalance.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_a_member_that_does_not_count_are_counted_by_another() -> Result<()> {
    let bench = Bench::start().await?;
    let client = KafkaConfig::new(bench.kafka.bootstrap());
    let mut dead = Membership::join(&client, "blackfriday", None, &["ventas", "clima"])?;
    let assigned = timeout(LIMIT, dead.next()).await?;
    ensure!(matches!(assigned, Some(MembershipEvent::Assigned(_))), "{assigned:?}");
    bench.publish_sales(60).await?;
    let began = Instant::now();
    let consumer = bench.consumer(&[])?;
    eventually(LIMIT, async || bench.counted().await == 60).await?;
    ensure!(began.elapsed() < Duration::from_millis(4_500), "{:?}", began.elapsed());
    bench.counts_exactly().await?;
    consumer.stop().await?;
    dead.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kafka_is_back_counting_is_back_without_waiting_for_the_group() -> Result<()> {
    let bench = Bench::start().await?;
    let consumer = bench.consumer(&[])?;
    bench.publish_sales(30).await?;
    bench.counts_exactly().await?;
    bench.kafka.kill()?;
    bench.kafka.restart().await?;
    let fresh = producer(&bench.kafka).await?;
    drop(fresh);
    bench.publish_sales(30).await?;
    let began = Instant::now();
    eventually(LIMIT, async || bench.counted().await == 60).await.context("it counts again")?;
    ensure!(began.elapsed() < Duration::from_millis(3_000), "{:?}", began.elapsed());
    bench.counts_exactly().await?;
    consumer.stop().await
}

/// A paused primary keeps its connections open: nothing breaks, nothing answers.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_paused_primary_was_replaced_counting_goes_on_with_the_next() -> Result<()> {
    let bench = Bench::start().await?;
    let config = vec![("replicaof".to_owned(), format!("127.0.0.1 {}", bench.valkey.port()))];
    let replica = Valkey::start_with(ValkeyOptions { config, ..ValkeyOptions::default() }).await?;
    let options = SentinelOptions { quorum: 1, ..SentinelOptions::default() };
    let sentinel = Sentinel::start(&bench.valkey, &options).await?;
    let knows = async || {
        let known = sentinel.command(&["SENTINEL", "MASTER", "blackfriday"]).await.unwrap_or_default();
        let info = replica.command(&["INFO", "replication"]).await.unwrap_or_default();
        known.contains("num-slaves\n1") && info.contains("master_link_status:up")
    };
    eventually(LIMIT, knows).await.context("the Sentinel knows the replica")?;
    let url = format!("valkey+sentinel://{}/blackfriday", sentinel.address());
    let consumer = bench.consumer_into(&url, &[])?;
    bench.publish_sales(30).await?;
    bench.counts_exactly().await?;

    bench.valkey.pause()?;
    bench.publish_sales(30).await?;
    let replaced = async || sentinel.primary().await.is_ok_and(|primary| primary == replica.address());
    eventually(LIMIT, replaced).await.context("a failover")?;
    let began = Instant::now();
    let store =
        Store::new(&ValkeyConfig::new(replica.url()).map_err(anyhow::Error::msg)?, &StoreConfig::default())?;
    let counted = async || {
        let stored = store.partitions("ventas").await.unwrap_or_default();
        stored.values().map(|partition| partition.next).sum::<i64>() == 60
    };
    eventually(LIMIT, counted).await.context("it counts into the next")?;
    ensure!(began.elapsed() < Duration::from_millis(4_000), "{:?}", began.elapsed());
    bench.valkey.resume()?;
    consumer.stop().await
}
