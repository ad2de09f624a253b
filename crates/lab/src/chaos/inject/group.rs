//! What happens to a primary, its replica and their Sentinels.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_stack::{Valkey, eventually};

use crate::chaos::field::Field;
use crate::chaos::kind::{Absence, Kind};

/// Until Sentinels have promoted the other one.
const FAILOVER_LIMIT: Duration = Duration::from_secs(60);
const LOUD_LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn begin(field: &mut Field, kind: Kind) -> Result<()> {
    let primary = field.main.counters.primary().await?;
    match kind {
        Kind::StaleReplica => field.main.counters.group()?.part().await?,
        Kind::Sentinels(absence) => part_from_sentinels(field, &primary, absence).await?,
        _ => fail_over(field, &primary).await?,
    }
    field.hurt = Some(primary);
    Ok(())
}

/// The old primary comes back, and takes itself for one until a Sentinel tells it otherwise.
pub(super) async fn heal(field: &mut Field, kind: Kind) -> Result<()> {
    let old = field.hurt.take().context("the old primary")?;
    if matches!(kind, Kind::Sentinels(_)) {
        for proxy in field.main.counters.sentinel_wires() {
            proxy.heal().await?;
        }
        return Ok(());
    }
    if kind == Kind::StaleReplica {
        fail_over(field, &old).await?;
    }
    old.restart().await?;
    Ok(field.main.counters.group()?.join().await?)
}

async fn fail_over(field: &Field, primary: &Arc<Valkey>) -> Result<()> {
    primary.kill()?;
    let group = field.main.counters.group()?;
    let promoted = async || group.primary().await.is_some_and(|named| named.port() != primary.port());
    eventually(FAILOVER_LIMIT, promoted).await.context("a failover")
}

/// Sentinels are asked when there is no connection to the primary.
async fn part_from_sentinels(field: &mut Field, primary: &Valkey, absence: Absence) -> Result<()> {
    for proxy in field.main.counters.sentinel_wires() {
        match absence {
            Absence::Refused => {
                proxy.refuse().await;
                proxy.cut();
            }
            Absence::Silent => proxy.stall(),
        }
    }
    primary.command(&["CLIENT", "KILL", "TYPE", "normal"]).await?;
    field.expect_loud("no Sentinel names the primary", LOUD_LIMIT).await;
    Ok(())
}
