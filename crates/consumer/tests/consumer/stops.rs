//! Positions and logs that do not belong together: the partition stops, the others go on, and an operator decides.

use anyhow::{Context as _, Result, ensure};
use blackfriday_proto::encode_record;
use blackfriday_stack::eventually;
use blackfriday_store::Outcome;

use crate::bench::{Bench, Consumer, LIMIT, sale};

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_stops_its_partition_over_restarts_until_an_operator_resumes_it() -> Result<()> {
    let bench = Bench::start().await?;
    let consumer = bench.consumer(&[])?;
    bench.publish_sales(30).await?;
    bench.counts_exactly().await?;
    consumer.stop().await?;
    bench.valkey.command(&["HSET", "posicion:ventas", "0", "100"]).await?;

    let consumer = bench.consumer(&[])?;
    until_stopped(&bench, &consumer, 0, "ventas/0: offset 100").await?;
    bench.publish_sales(30).await?;
    let others = async || {
        let stored = bench.store.partitions("ventas").await.unwrap_or_default();
        [1, 2].iter().all(|id| stored.get(id).is_some_and(|stored| stored.next == 20))
    };
    eventually(LIMIT, others).await.context("the others go on")?;
    ensure!(consumer.metric("blackfriday_consumer_stopped_partitions") == Some(1.0));
    consumer.stop().await?;

    // The log grows past the position: time alone resolves nothing.
    for n in 0..120 {
        bench.publish(0, encode_record(&sale(n, None))).await?;
    }
    let consumer = bench.consumer(&[])?;
    until_stopped(&bench, &consumer, 0, "offset 100").await?;
    ensure!(bench.store.resume("ventas", 0, 100, 140).await? == Outcome::Applied);
    bench.publish(0, encode_record(&sale(1, None))).await?;
    let goes_on = async || {
        let stored = bench.store.partitions("ventas").await.unwrap_or_default();
        stored.get(&0).is_some_and(|stored| stored.next == 141) && consumer.context.readiness.is_ready()
    };
    eventually(LIMIT, goes_on).await.context("without a restart")?;
    consumer.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn standing_orders_bridge_a_gap() -> Result<()> {
    let bench = Bench::start().await?;
    bench.publish_sales(3).await?;
    let first = bench.consumer(&[])?;
    bench.counts_exactly().await?;
    first.stop().await?;
    bench.valkey.command(&["FLUSHALL"]).await?;
    ensure!(bench.store.resume("ventas", 0, 0, 100).await? == Outcome::Applied);
    let stopping = bench.consumer(&[])?;
    until_stopped(&bench, &stopping, 0, "offset 100").await?;
    stopping.stop().await?;
    let consumer = bench.consumer(&["--on-gap", "start-over"])?;
    bench.counts_exactly().await?;
    consumer.stop().await
}

/// Also when the new topic has grown past the position before anybody looks.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_again_and_filled_stops_instead_of_losing_sales() -> Result<()> {
    let bench = Bench::start().await?;
    let consumer = bench.consumer(&[])?;
    bench.publish_sales(200).await?;
    bench.counts_exactly().await?;
    bench.make_again(3, 200).await?;
    for partition in 0..3 {
        // By its records, or by its end where that is looked at while it is being filled.
        until_stopped_for(&bench, &consumer, partition, &["not the one", "past the end"]).await?;
    }
    ensure!(bench.counted().await == 200, "nothing of the new topic is taken for what follows");
    consumer.stop().await?;

    // The same while nobody reads.
    bench.valkey.command(&["FLUSHALL"]).await?;
    let consumer = bench.consumer(&[])?;
    bench.counts_exactly().await?;
    consumer.stop().await?;
    bench.make_again(3, 300).await?;
    let consumer = bench.consumer(&[])?;
    for partition in 0..3 {
        until_stopped(&bench, &consumer, partition, "not the one").await?;
    }
    ensure!(bench.counted().await == 600);
    for partition in 0..3 {
        ensure!(bench.store.resume("ventas", partition, 200, 0).await? == Outcome::Applied);
    }
    eventually(LIMIT, async || bench.counted().await == 1_500).await.context("on top, as was asked")?;
    consumer.stop().await
}

/// A leader may not know yet how far its log is committed. Here the log is filled up while the consumer waits.
#[tokio::test]
async fn an_end_that_reaches_the_position_within_two_seconds_stops_nothing() -> Result<()> {
    let bench = Bench::start().await?;
    let consumer = bench.consumer(&[])?;
    bench.publish_sales(30).await?;
    bench.counts_exactly().await?;
    consumer.stop().await?;
    bench.valkey.command(&["HSET", "posicion:ventas", "0", "15"]).await?;

    let consumer = bench.consumer(&[])?;
    eventually(LIMIT, async || consumer.lacks("partitions can be read")).await.context("it waits")?;
    for n in 0..8 {
        bench.publish(0, encode_record(&sale(n, None))).await?;
    }
    let goes_on = async || {
        let stored = bench.store.partitions("ventas").await.unwrap_or_default();
        stored.get(&0).is_some_and(|stored| stored.next == 18) && consumer.context.readiness.is_ready()
    };
    eventually(LIMIT, goes_on).await?;
    ensure!(consumer.metric("blackfriday_consumer_stopped_partitions").is_none(), "it never was stopped");
    consumer.stop().await
}

/// What an operator does with one partition, again and again, while all are counted.
#[tokio::test]
async fn starting_one_partition_again_disturbs_no_other() -> Result<()> {
    let bench = Bench::start().await?;
    let consumer = bench.consumer(&[])?;
    for round in 0..5 {
        bench.publish_sales(30).await?;
        bench.counts_exactly().await?;
        let position = round * 20 + 10;
        ensure!(bench.store.stop("ventas", 0, position, "to be looked at").await? == Outcome::Applied);
        bench.publish_sales(30).await?;
        let others = async || {
            let stored = bench.store.partitions("ventas").await.unwrap_or_default();
            [1, 2].iter().all(|id| stored.get(id).is_some_and(|stored| stored.next == position + 10))
        };
        eventually(LIMIT, others).await.context("the others go on")?;
        ensure!(bench.store.resume("ventas", 0, position, position).await? == Outcome::Applied);
    }
    bench.counts_exactly().await?;
    consumer.stop().await
}

async fn until_stopped(bench: &Bench, consumer: &Consumer, partition: i32, why: &str) -> Result<()> {
    until_stopped_for(bench, consumer, partition, &[why]).await
}

/// Until it is stopped for one of these reasons.
async fn until_stopped_for(bench: &Bench, consumer: &Consumer, partition: i32, why: &[&str]) -> Result<()> {
    let stopped = async || {
        let stored = bench.store.partitions("ventas").await.unwrap_or_default();
        let reason = stored.get(&partition).and_then(|stored| stored.stopped.clone());
        let is_why = |reason: String| why.iter().any(|why| reason.contains(why));
        reason.is_some_and(is_why) && consumer.lacks("no stopped partition")
    };
    eventually(LIMIT, stopped).await.with_context(|| format!("partition {partition} stops: {why:?}"))
}
