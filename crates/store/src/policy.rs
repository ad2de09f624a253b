//! Whether Valkey keeps what it was given.
//!
//! With any other `maxmemory-policy` than `noeviction`, a full server drops keys to make room, and it may be a position or a
//! sum. With that one it refuses to write, and counting waits for room.

use redis::pipe;

use crate::connection::Connection;
use crate::error::{Denial, StoreError};

const WHAT: &str = "ask Valkey what it does when it is full";

/// What is known of a server's `maxmemory-policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// It drops nothing.
    Never,
    /// It does not report it: the user may not ask, or a service in front of it leaves this out.
    NotTold,
}

/// What a server has used, and what it may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// `used_memory`, in bytes.
    pub used: u64,
    /// `maxmemory`, in bytes; 0 if there is no limit.
    pub limit: u64,
}

/// `None` if the server does not report it.
pub(crate) async fn memory(connection: &Connection) -> Result<Option<Memory>, StoreError> {
    Ok(info(connection).await?.and_then(|info| read_memory(&info)))
}

pub(crate) async fn check(connection: &Connection) -> Result<Eviction, StoreError> {
    info(connection).await?.map_or(Ok(Eviction::NotTold), |info| judge(&info))
}

/// `INFO` and not `CONFIG GET`: providers permit it, and a user without any right to change something may use it.
async fn info(connection: &Connection) -> Result<Option<String>, StoreError> {
    let mut ask = pipe();
    ask.cmd("INFO").arg("memory");
    match connection.query::<(String,)>(&ask).await {
        Ok((info,)) => Ok(Some(info)),
        Err(error) => match StoreError::new(WHAT, error, connection.names()) {
            StoreError::Denied { denial: Denial::Permission, .. } | StoreError::Refused { .. } => Ok(None),
            error => Err(error),
        },
    }
}

fn read_memory(info: &str) -> Option<Memory> {
    let number = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.trim_end().parse().ok());
    Some(Memory { used: number("used_memory:")?, limit: number("maxmemory:")? })
}

fn judge(info: &str) -> Result<Eviction, StoreError> {
    let policy = info.lines().find_map(|line| line.trim_end().strip_prefix("maxmemory_policy:"));
    match policy {
        None => Ok(Eviction::NotTold),
        Some("noeviction") => Ok(Eviction::Never),
        Some(policy) => Err(StoreError::Evicts { what: WHAT, policy: policy.to_owned() }),
    }
}
