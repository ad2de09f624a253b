//! Whether Valkey keeps what it was given.
//!
//! With any other `maxmemory-policy` than `noeviction`, a full server drops keys to make room, and it may be a position or a
//! sum. With that one it refuses to write, and counting waits for room.

use redis::pipe;

use crate::connection::Connection;
use crate::error::{Denial, StoreError};

const WHAT: &str = "ask Valkey how it is set up, and how full it is";

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

/// What a primary says of the servers that follow it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replication {
    /// Replicas that receive what it writes.
    pub replicas: u64,
    /// Bytes that it has written and the replica furthest behind has not confirmed; 0 without replicas.
    pub behind: u64,
}

/// `None` if the server does not report it.
pub(crate) async fn memory(connection: &Connection) -> Result<Option<Memory>, StoreError> {
    Ok(info(connection, "memory").await?.and_then(|info| read_memory(&info)))
}

/// `None` if the server does not report it, or is no primary.
pub(crate) async fn replication(connection: &Connection) -> Result<Option<Replication>, StoreError> {
    Ok(info(connection, "replication").await?.and_then(|info| read_replication(&info)))
}

pub(crate) async fn check(connection: &Connection) -> Result<Eviction, StoreError> {
    info(connection, "memory").await?.map_or(Ok(Eviction::NotTold), |info| judge(&info))
}

/// `INFO` and not `CONFIG GET`: providers permit it, and a user without any right to change something may use it.
async fn info(connection: &Connection, section: &str) -> Result<Option<String>, StoreError> {
    let mut ask = pipe();
    ask.cmd("INFO").arg(section);
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

/// Of lines such as `slave0:ip=10.0.0.7,port=6379,state=online,offset=1240,lag=0`.
fn read_replication(info: &str) -> Option<Replication> {
    let value = |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name));
    value("role:").filter(|role| *role == "master")?;
    let written: u64 = value("master_repl_offset:")?.parse().ok()?;
    let is_replica = |line: &&str| {
        let name = line.split_once(':').map(|(name, _)| name);
        name.and_then(|name| name.strip_prefix("slave")).is_some_and(|n| n.parse::<u32>().is_ok())
    };
    let online = info.lines().filter(is_replica).filter(|line| line.contains(",state=online,"));
    let offset = |line: &str| line.split(',').find_map(|part| part.strip_prefix("offset=")?.parse().ok());
    let confirmed: Vec<u64> = online.map(|line| offset(line).unwrap_or(0)).collect();
    let least = confirmed.iter().copied().min().unwrap_or(written);
    Some(Replication { replicas: confirmed.len() as u64, behind: written.saturating_sub(least) })
}

fn judge(info: &str) -> Result<Eviction, StoreError> {
    let policy = info.lines().find_map(|line| line.trim_end().strip_prefix("maxmemory_policy:"));
    match policy {
        None => Ok(Eviction::NotTold),
        Some("noeviction") => Ok(Eviction::Never),
        Some(policy) => Err(StoreError::Evicts { what: WHAT, policy: policy.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_says_how_far_its_replicas_are() {
        let info = "# Replication\r\nrole:master\r\nconnected_slaves:3\r\n\
                    slave0:ip=10.0.0.7,port=6379,state=online,offset=1200,lag=0,type=replica\r\n\
                    slave1:ip=10.0.0.8,port=6379,state=online,offset=1240,lag=1,type=replica\r\n\
                    slave2:ip=10.0.0.9,port=6379,state=send_bulk,offset=0,lag=0,type=replica\r\n\
                    slaves_waiting_psync:0\r\nmaster_repl_offset:1250\r\n";
        assert_eq!(read_replication(info), Some(Replication { replicas: 2, behind: 50 }));
        let alone = "role:master\r\nconnected_slaves:0\r\nmaster_repl_offset:1250\r\n";
        assert_eq!(read_replication(alone), Some(Replication { replicas: 0, behind: 0 }));
        assert_eq!(read_replication("role:slave\r\nmaster_repl_offset:7\r\n"), None);
        assert_eq!(read_replication(""), None, "it is not told");
    }
}
