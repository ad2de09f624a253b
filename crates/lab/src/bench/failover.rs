//! The store's primary dies while sales come in: how long until a sale that was accepted after that is counted.
//!
//! Where there is a replica, the Sentinels promote it; a server that is alone is started again at once with its data, as a
//! kubelet does. The time holds everything: that the death is noticed, that another serves, that the consumer finds it and
//! counts again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blackfriday_stack::{Valkey, ValkeyGroup};
use tokio::time::{Instant, sleep};

use super::client::{Answered, histogram, send};
use super::field::Field;
use super::freshness::{Reader, sell};
use super::measure::{Bench, Measure, quantiles};
use super::subject::Subject;
use crate::service::Service;

/// Sales come in for so long before the primary dies.
const BEFORE: Duration = Duration::from_secs(1);
/// The price of what is sold then.
const CENTS: u64 = 100;
/// Before counting counts as stopped, and until the servers are again what they were.
const LIMIT: Duration = Duration::from_secs(60);

/// What is measured, and what was sold for it.
struct Recovery {
    took: Duration,
    accepted: u64,
}

impl Bench {
    /// Sends until counting goes on, `at_least` for so long, and waits until all is counted.
    pub(super) async fn fail_over(&mut self, at_least: Duration) -> Result<Measure> {
        let to = self.field.processes.address(Service::LogGateway);
        let goes_on = AtomicBool::new(false);
        let sending = async {
            let mut all = Answered { accepted: 0, refused: 0, took: Duration::ZERO, latencies: histogram()? };
            while !goes_on.load(Ordering::Relaxed) || all.took < at_least {
                let some = send(self.plan(Subject::Failover, to, BEFORE)).await?;
                all.accepted += some.accepted;
                all.refused += some.refused;
                all.took += some.took;
                all.latencies += some.latencies;
            }
            Ok::<_, anyhow::Error>(all)
        };
        let failing = async {
            sleep(BEFORE).await;
            let recovery = self.field.lose_primary(to).await;
            goes_on.store(true, Ordering::Relaxed);
            recovery
        };
        let (answered, recovery) = tokio::try_join!(sending, failing)?;
        ensure!(answered.refused == 0, "{} requests were refused:\n{}", answered.refused, self.field.logs());
        self.accepted += answered.accepted + recovery.accepted;
        self.field.until_counted(self.accepted).await?;
        Ok(Measure {
            sales: answered.accepted,
            took: answered.took,
            latency_ms: Some(quantiles(&answered.latencies)),
            failover_ms: Some(recovery.took.as_secs_f64() * 1000.0),
            ..Measure::default()
        })
    }
}

impl Field {
    /// Kills the primary, sells something, and waits until that is counted; then the servers are as before, in turned roles.
    async fn lose_primary(&self, gateway: SocketAddr) -> Result<Recovery> {
        let Some(group) = self.group() else {
            self.store.kill()?;
            let died = Instant::now();
            let product = sell(gateway, CENTS).await?;
            self.store.restart().await?;
            until_readable(&self.store, &product, died).await?;
            return Ok(Recovery { took: died.elapsed(), accepted: 1 });
        };
        let (lost, other) = roles(group).await?;
        lost.kill()?;
        let died = Instant::now();
        let product = sell(gateway, CENTS).await?;
        // It has what is sold now only once it is written to.
        until_readable(other, &product, died).await?;
        let took = died.elapsed();
        let primary = format!("127.0.0.1 {}", other.port());
        lost.restart_with(&[("replicaof", primary.as_str())]).await?;
        group.settles(LIMIT).await.context("the servers replicate again")?;
        Ok(Recovery { took, accepted: 1 })
    }
}

async fn roles(group: &ValkeyGroup) -> Result<(&Arc<Valkey>, &Arc<Valkey>)> {
    let primary = group.primary().await.context("the Sentinels name a primary")?;
    let replica = group.replica().await.context("the Sentinels name a replica")?;
    Ok((primary, replica))
}

async fn until_readable(store: &Valkey, product: &str, since: Instant) -> Result<()> {
    let reader = Reader::Store(store);
    // A store that is away has nothing yet.
    while !reader.has(product, CENTS).await.unwrap_or(false) {
        ensure!(since.elapsed() < LIMIT, "a sale was not readable {LIMIT:?} after the primary died");
        sleep(reader.pause()).await;
    }
    Ok(())
}
