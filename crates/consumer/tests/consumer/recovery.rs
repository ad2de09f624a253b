//! How long nothing is counted after a fault.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blackfriday_broker::{LogConfig, Membership, MembershipEvent};
use blackfriday_stack::{Process, ValkeyGroup, ValkeyGroupOptions, eventually};
use blackfriday_store::{Store, StoreConfig, ValkeyConfig};
use tokio::time::timeout;

use crate::bench::{Bench, LIMIT};

/// From a broker that serves again, a consumer that starts, or a failover, until something is counted.
const AFTER_KAFKA: Duration = Duration::from_secs(2);
const AFTER_CONSUMERS: Duration = Duration::from_secs(3);
const AFTER_FAILOVER: Duration = Duration::from_secs(3);

/// The group gives half of the partitions to a member that counts nothing, as it does until it has noticed that a member
/// died: that takes the session time-out, 6 s, and a rebalance.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_a_member_that_does_not_count_are_counted_by_another() -> Result<()> {
    let bench = Bench::start().await?;
    let client = LogConfig::kafka_at(bench.kafka.bootstrap());
    let mut dead = Membership::join(&client, "blackfriday", None, &["ventas", "clima"])?;
    let assigned = timeout(LIMIT, dead.next()).await?;
    ensure!(matches!(assigned, Some(MembershipEvent::Assigned(_))), "{assigned:?}");
    bench.publish_sales(60).await?;
    let began = Instant::now();
    let consumer = bench.consumer(&[])?;
    eventually(LIMIT, async || bench.counted().await == 60).await?;
    let took = began.elapsed();
    eprintln!("all is counted {took:?} after the start");
    ensure!(took < AFTER_CONSUMERS, "{took:?}");
    bench.counts_exactly().await?;
    consumer.stop().await?;
    dead.leave().await;
    Ok(())
}

/// They have no time to leave the group, which waits for them for 6 s more.
#[tokio::test(flavor = "multi_thread")]
async fn after_all_consumers_were_killed_counting_is_back_with_the_next_that_start() -> Result<()> {
    let bench = Bench::start().await?;
    let folder = tempfile::tempdir()?;
    let spawn = |name: &str| Process::spawn(command(&bench), folder.path().join(name));
    let killed = [spawn("one")?, spawn("two")?];
    let have_some = async || killed.iter().all(has_partitions);
    eventually(LIMIT, have_some).await.context("both are in the group")?;
    bench.publish_sales(30).await?;
    bench.counts_exactly().await?;
    for consumer in &killed {
        consumer.kill();
    }
    bench.publish_sales(30).await?;

    let began = Instant::now();
    let consumers = [spawn("three")?, spawn("four")?];
    eventually(LIMIT, async || bench.counted().await == 60).await.context("they count")?;
    let took = began.elapsed();
    eprintln!("counting is back {took:?} after the consumers were started");
    ensure!(took < AFTER_CONSUMERS, "{took:?}: {}", consumers[0].log_tail());
    bench.counts_exactly().await
}

fn command(bench: &Bench) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackfriday-consumer"));
    command.args(["--admin-listen", "127.0.0.1:0", "--kafka-brokers", bench.kafka.bootstrap()]);
    command.args(["--valkey-url", bench.valkey.url()]);
    command
}

fn has_partitions(consumer: &Process) -> bool {
    std::fs::read_to_string(consumer.log()).is_ok_and(|log| log.contains("partitions are assigned"))
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kafka_is_back_counting_is_back_without_waiting_for_the_group() -> Result<()> {
    let bench = Bench::start().await?;
    let consumer = bench.consumer(&[])?;
    bench.publish_sales(30).await?;
    bench.counts_exactly().await?;
    bench.kafka.kill()?;
    bench.kafka.restart().await?;
    let began = Instant::now();
    let publishes = async || bench.publish_sales(1).await.is_ok();
    eventually(LIMIT, publishes).await.context("a sale is accepted again")?;
    let accepted = began.elapsed();
    eventually(LIMIT, async || bench.counted().await > 30).await.context("it counts again")?;
    let took = began.elapsed();
    eprintln!("a sale is accepted {accepted:?} and counted {took:?} after Kafka was back");
    ensure!(took < AFTER_KAFKA, "{took:?}");
    bench.counts_exactly().await?;
    consumer.stop().await
}

/// A paused primary keeps its connections open: nothing breaks, nothing answers.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_paused_primary_was_replaced_counting_goes_on_with_the_next() -> Result<()> {
    let bench = Bench::start().await?;
    let down_after = Duration::from_secs(1);
    let options = ValkeyGroupOptions { down_after, sentinels: 1, ..ValkeyGroupOptions::default() };
    let group = ValkeyGroup::around(Arc::clone(&bench.valkey), options).await?;
    let [_, replica] = group.servers();
    let consumer = bench.consumer_into(&group.url(), &[])?;
    bench.publish_sales(30).await?;
    bench.counts_exactly().await?;

    bench.valkey.pause()?;
    bench.publish_sales(30).await?;
    let replaced = async || group.primary().await.is_some_and(|primary| Arc::ptr_eq(primary, replica));
    eventually(LIMIT, replaced).await.context("a failover")?;
    let began = Instant::now();
    let store =
        Store::new(&ValkeyConfig::new(replica.url()).map_err(anyhow::Error::msg)?, &StoreConfig::default())?;
    let counted = async || {
        let stored = store.partitions("ventas").await.unwrap_or_default();
        stored.values().map(|partition| partition.next).sum::<i64>() == 60
    };
    eventually(LIMIT, counted).await.context("it counts into the next")?;
    let took = began.elapsed();
    eprintln!("counting is back {took:?} after the failover");
    ensure!(took < AFTER_FAILOVER, "{took:?}");
    bench.valkey.resume()?;
    consumer.stop().await
}
