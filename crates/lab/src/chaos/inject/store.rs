//! What happens to the server that counts, whichever it is when the fault begins.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_broker::{SALES, WEATHER};
use blackfriday_stack::{Scarce, Valkey};

use crate::chaos::field::Field;
use crate::chaos::kind::Kind;
use crate::chaos::schedule::Planned;

/// Far below what the functions and the first keys take.
const TOO_LITTLE: u64 = 1 << 20;
/// Less than its append-only file has.
const ROOM: u64 = 16;
const LOUD_LIMIT: Duration = Duration::from_secs(10);
const END_LIMIT: Duration = Duration::from_secs(30);
/// Of the append-only file, at the most.
const TORN_BYTES: u32 = 4096;
const TEARS: usize = 3;
const LOADS_FOR: Duration = Duration::from_secs(2);
const LOADED_LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn begin(field: &mut Field, fault: &Planned) -> Result<()> {
    let server = field.main.counters.primary().await?;
    match fault.kind {
        Kind::StoreKilled | Kind::StoreLoading => server.kill()?,
        Kind::StorePaused => server.pause()?,
        Kind::StoreWiped => server.wipe()?,
        Kind::StoreRolledBack => server.checkpoint()?,
        Kind::StoreFlushed => command(&server, &["FLUSHALL"]).await?,
        Kind::FunctionsFlushed => command(&server, &["FUNCTION", "FLUSH"]).await?,
        Kind::StoreConnectionsCut => command(&server, &["CLIENT", "KILL", "TYPE", "normal"]).await?,
        Kind::StoreDiskFull => {
            server.limit(Scarce::FileBytes, Some(ROOM))?;
            field.expect_loud("the store's disk is full", LOUD_LIMIT).await;
        }
        Kind::StoreTorn => tear(&server, fault).await?,
        Kind::StoreFull => {
            server.limit_memory(TOO_LITTLE).await?;
            field.expect_loud("the store is full", LOUD_LIMIT).await;
        }
        Kind::StoreMisconf => {
            server.break_snapshots().await?;
            field.expect_loud("the store takes no writes", LOUD_LIMIT).await;
        }
        Kind::KeyOverwritten => {
            command(&server, &["SET", "reportes:total", "somebody else's"]).await?;
            field.expect_loud("a counter is a text", LOUD_LIMIT).await;
        }
        _ => {}
    }
    field.hurt = Some(server);
    Ok(())
}

pub(super) async fn heal(field: &mut Field, kind: Kind) -> Result<()> {
    let server = field.hurt.take().context("the server that was hurt")?;
    match kind {
        Kind::StoreKilled | Kind::StoreWiped => server.restart().await?,
        Kind::StorePaused => server.resume()?,
        Kind::StoreLoading => {
            server.restart_loading(LOADS_FOR).await?;
            tokio::time::sleep(LOADS_FOR).await;
            // What the file holds takes its time, too, and after a long run that is more than a minute.
            server.set("key-load-delay", "0").await?;
            server.loaded(LOADED_LIMIT).await?;
        }
        Kind::StoreRolledBack => {
            server.roll_back()?;
            server.restart().await?;
        }
        Kind::StoreTorn if holds_half(&server).await? => {
            field.expect_ended("half of a batch is in the store", END_LIMIT).await;
            empty(field, &server).await?;
        }
        Kind::StoreFull => server.limit_memory(0).await?,
        Kind::StoreDiskFull => server.limit(Scarce::FileBytes, None)?,
        Kind::StoreMisconf => server.mend_snapshots().await?,
        Kind::KeyOverwritten => empty(field, &server).await?,
        _ => {}
    }
    Ok(())
}

/// What an operator does about keys that cannot be counted on. Consumers end on what somebody has to mend.
async fn empty(field: &mut Field, server: &Valkey) -> Result<()> {
    command(server, &["FLUSHALL"]).await?;
    field.revive().map(drop)
}

/// Whether a batch was begun that the position has not passed: the file gave back only the beginning of its transaction.
async fn holds_half(server: &Valkey) -> Result<bool> {
    for topic in [SALES, WEATHER] {
        let begun = server.command(&["HKEYS", &format!("empezado:{topic}")]).await?;
        for (partition, to) in begun.lines().filter_map(|note| note.split_once(':')) {
            let position = server.command(&["HGET", &format!("posicion:{topic}"), partition]).await?;
            if to.parse::<u64>().ok() > position.parse().ok() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Each time the server drops the transaction that is cut, and what is counted on top of that is torn again.
async fn tear(server: &Arc<Valkey>, fault: &Planned) -> Result<()> {
    for _ in 0..TEARS {
        server.tear(u64::from(1 + fault.pick % TORN_BYTES))?;
        server.restart().await?;
    }
    Ok(())
}

async fn command(server: &Valkey, words: &[&str]) -> Result<()> {
    server.command(words).await?;
    Ok(())
}
