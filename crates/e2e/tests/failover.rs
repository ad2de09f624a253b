//! Valkey's primary is lost under load, and a replica that lags behind takes its place.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_e2e::{Pipeline, Service, get};
use blackfriday_stack::{Kafka, Sentinel, SentinelOptions, Valkey, ValkeyOptions, eventually};

const LIMIT: Duration = Duration::from_secs(60);
const POSITIONS: [&str; 2] = ["HGETALL", "posicion:ventas"];

/// What stands around the primary.
struct Group {
    replica: Valkey,
    sentinels: Vec<Sentinel>,
}

impl Group {
    async fn around(primary: &Valkey) -> Result<Self> {
        let config = vec![("replicaof".to_owned(), format!("127.0.0.1 {}", primary.port()))];
        let replica = Valkey::start_with(ValkeyOptions { config, ..ValkeyOptions::default() }).await?;
        // A replica may be promoted for as long as it has lost its primary for less than ten times this.
        let options = SentinelOptions { down_after: Duration::from_secs(3), ..SentinelOptions::default() };
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(Sentinel::start(primary, &options).await?);
        }
        let group = Self { replica, sentinels };
        eventually(LIMIT, async || group.knows_all().await).await.context("the Sentinels know all")?;
        Ok(group)
    }

    /// Whether each Sentinel has seen the two others and the replica.
    async fn knows_all(&self) -> bool {
        for sentinel in &self.sentinels {
            let known = sentinel.command(&["SENTINEL", "MASTER", "blackfriday"]).await.unwrap_or_default();
            if !(known.contains("num-slaves\n1") && known.contains("num-other-sentinels\n2")) {
                return false;
            }
        }
        link_is(&self.replica, "up").await
    }

    /// Whether each Sentinel says that this is the primary.
    async fn all_name(&self, address: &str) -> bool {
        for sentinel in &self.sentinels {
            if sentinel.primary().await.ok().as_deref() != Some(address) {
                return false;
            }
        }
        true
    }

    fn url(&self) -> String {
        let addresses: Vec<_> = self.sentinels.iter().map(Sentinel::address).collect();
        format!("valkey+sentinel://{}/blackfriday", addresses.join(","))
    }
}

async fn link_is(replica: &Valkey, status: &str) -> bool {
    let info = replica.command(&["INFO", "replication"]).await.unwrap_or_default();
    info.contains(&format!("master_link_status:{status}"))
}

/// The replica's user at the primary is no longer known there, and its connection breaks: it stays as it is.
async fn cut_off(replica: &Valkey, primary: &Valkey) -> Result<()> {
    replica.command(&["CONFIG", "SET", "primaryuser", "nobody", "primaryauth", "wrong"]).await?;
    primary.command(&["CLIENT", "KILL", "TYPE", "replica"]).await?;
    eventually(LIMIT, async || link_is(replica, "down").await).await.context("the replica is cut off")
}

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
    let (kafka, primary) = tokio::try_join!(Kafka::start(), Valkey::start())?;
    let group = Group::around(&primary).await?;
    let mut pipeline = Pipeline::prepare(kafka, primary).await?;
    pipeline.set(&Service::ALL, "BLACKFRIDAY_VALKEY_URL", &group.url());
    pipeline.set_of_commands("BLACKFRIDAY_VALKEY_URL", &group.url());
    pipeline.start_all().await?;
    let load = pipeline.load("load", &["--rate", "400", "--duration", "40s", "--idempotency"])?;
    counts(&pipeline, 1_000).await?;

    cut_off(&group.replica, &pipeline.valkey).await?;
    counts(&pipeline, counted(&pipeline).await + 1_000).await?;
    let (ahead, behind) = (positions(&pipeline.valkey).await?, positions(&group.replica).await?);
    let lost: u64 = ahead.values().sum::<u64>() - behind.values().sum::<u64>();
    ensure!(lost >= 900, "the replica is not stale: {ahead:?} {behind:?}");
    pipeline.valkey.kill()?;
    eventually(LIMIT, async || group.all_name(group.replica.address()).await).await.context("a failover")?;
    let position = ahead.values().sum();
    let passed = async || {
        positions(&group.replica).await.is_ok_and(|positions| positions.values().sum::<u64>() > position)
    };
    eventually(LIMIT, passed).await.context("what the replica had lost is counted again")?;

    // The old primary comes back with a store of its own, and says that it is the primary until a Sentinel tells it.
    pipeline.valkey.restart().await?;
    load.finish(LIMIT).await?;
    let table = pipeline.verify(&[&load]).await?;
    ensure!(table["accepted"].as_u64().is_some_and(|accepted| accepted > 10_000), "too few: {table}");
    eventually(LIMIT, async || link_is(&pipeline.valkey, "up").await)
        .await
        .context("it becomes a replica")?;
    pipeline.verify(&[&load]).await.map(drop)
}
