//! Valkey's primary is lost under load, and a replica that lags behind takes its place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_e2e::{Pipeline, Service, get};
use blackfriday_stack::{Kafka, Valkey, ValkeyGroup, ValkeyGroupOptions, eventually};

const LIMIT: Duration = Duration::from_secs(60);
const POSITIONS: [&str; 2] = ["HGETALL", "posicion:ventas"];

/// Counted records, by partition, as this server has it.
async fn positions(valkey: &Valkey) -> Result<BTreeMap<String, u64>> {
    let answer = valkey.command(&POSITIONS).await?;
    let lines: Vec<_> = answer.lines().collect();
    lines.chunks_exact(2).map(|pair| Ok((pair[0].to_owned(), pair[1].parse()?))).collect()
}

/// Sales counted so far, by the dashboard.
async fn counted(pipeline: &Pipeline) -> u64 {
    let answer = get(pipeline.address(Service::Dashboard), "/api/resumen").await;
    answer.ok().and_then(|answer| answer.json["ventas"].as_u64()).unwrap_or(0)
}

async fn counts(pipeline: &Pipeline, than: u64) -> Result<()> {
    eventually(LIMIT, async || counted(pipeline).await > than).await.with_context(|| format!("counts {than}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_replica_takes_over_and_every_sale_is_counted_once() -> Result<()> {
    let (kafka, group) =
        tokio::try_join!(Kafka::start(), ValkeyGroup::start_with(ValkeyGroupOptions::default()))?;
    let [primary, replica] = group.servers();
    let mut pipeline = Pipeline::prepare(kafka, Arc::clone(primary)).await?;
    pipeline.set(&Service::ALL, "BLACKFRIDAY_VALKEY_URL", &group.url());
    pipeline.set_of_commands("BLACKFRIDAY_VALKEY_URL", &group.url());
    pipeline.start_all().await?;
    let load = pipeline.load("load", &["--rate", "400", "--duration", "40s", "--idempotency"])?;
    counts(&pipeline, 1_000).await?;

    group.part().await.context("the replica is cut off")?;
    counts(&pipeline, counted(&pipeline).await + 1_000).await?;
    let (ahead, behind) = (positions(primary).await?, positions(replica).await?);
    let lost: u64 = ahead.values().sum::<u64>() - behind.values().sum::<u64>();
    ensure!(lost >= 900, "the replica is not stale: {ahead:?} {behind:?}");
    primary.kill()?;
    let promoted = async || group.primary().await.is_some_and(|server| Arc::ptr_eq(server, replica));
    eventually(LIMIT, promoted).await.context("a failover")?;
    let position = ahead.values().sum();
    let passed =
        async || positions(replica).await.is_ok_and(|positions| positions.values().sum::<u64>() > position);
    eventually(LIMIT, passed).await.context("what the replica had lost is counted again")?;

    // The old primary comes back with a store of its own, and says that it is the primary until a Sentinel tells it.
    primary.restart().await?;
    load.finish(LIMIT).await?;
    let table = pipeline.verify(&[&load]).await?;
    ensure!(table["accepted"].as_u64().is_some_and(|accepted| accepted > 10_000), "too few: {table}");
    group.join().await?;
    group.settles(LIMIT).await.context("it becomes a replica")?;
    pipeline.verify(&[&load]).await.map(drop)
}
