//! Whether Valkey keeps what it was given.
//!
//! With any other `maxmemory-policy` than `noeviction`, a full server drops keys to make room, and it may be a position or a
//! sum. With that one it refuses to write, and counting waits for room.

use redis::pipe;

use crate::StoreError;
use crate::connection::Connection;

const WHAT: &str = "ask Valkey what it does when it is full";

/// What is known of a server's `maxmemory-policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// It drops nothing.
    Never,
    /// It does not tell: the user may not ask, or a service in front of it leaves this out.
    NotTold,
}

/// `INFO` and not `CONFIG GET`: providers permit it, and so does a user who may change nothing.
pub(crate) async fn check(connection: &Connection) -> Result<Eviction, StoreError> {
    let mut ask = pipe();
    ask.cmd("INFO").arg("memory");
    match connection.query::<(String,)>(&ask).await {
        Ok((info,)) => judge(&info),
        Err(error) => match StoreError::new(WHAT, error) {
            StoreError::Denied { check: "the user's ACL", .. } | StoreError::Refused { .. } => {
                Ok(Eviction::NotTold)
            }
            error => Err(error),
        },
    }
}

fn judge(info: &str) -> Result<Eviction, StoreError> {
    let policy = info.lines().find_map(|line| line.trim_end().strip_prefix("maxmemory_policy:"));
    match policy {
        None => Ok(Eviction::NotTold),
        Some("noeviction") => Ok(Eviction::Never),
        Some(policy) => Err(StoreError::Evicts { what: WHAT, policy: policy.to_owned() }),
    }
}
