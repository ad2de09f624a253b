//! What a server that runs can suffer from, and how it ends.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::Valkey;
use crate::error::StackError;
use crate::eventually::eventually;

const SNAPSHOT_LIMIT: Duration = Duration::from_secs(20);
/// Where snapshots go, which nobody takes but for their errors.
const SNAPSHOT: &str = "dump.rdb";

impl Valkey {
    /// Sets one parameter of the server that runs.
    ///
    /// # Errors
    /// The server cannot be reached, or there is no such parameter or value.
    pub async fn set(&self, name: &str, value: &str) -> Result<(), StackError> {
        self.command(&["CONFIG", "SET", name, value]).await.map(drop)
    }

    /// Limits its memory to so many bytes, 0 for no limit. Above it, whatever needs memory is refused with `OOM`.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn limit_memory(&self, bytes: u64) -> Result<(), StackError> {
        self.set("maxmemory", &bytes.to_string()).await
    }

    /// Makes a snapshot fail: whatever writes is refused with `MISCONF`, until [`Valkey::mend_snapshots`] or a restart.
    ///
    /// # Errors
    /// The server cannot be reached, or does not see the failure within 20 s.
    pub async fn break_snapshots(&self) -> Result<(), StackError> {
        let place = self.snapshot();
        let failed = |action| {
            let path = place.clone();
            move |source| StackError::File { action, path, source }
        };
        // What a replica was given by its primary, for instance. The append-only file has all of it.
        if place.is_file() {
            fs::remove_file(&place).map_err(failed("remove"))?;
        }
        // No file can take a folder's place, whoever wants it to.
        fs::create_dir_all(&place).map_err(failed("make"))?;
        self.set("save", "3600 1").await?;
        self.command(&["BGSAVE"]).await?;
        let has_failed = async || {
            let info = self.command(&["INFO", "persistence"]).await;
            info.is_ok_and(|info| info.contains("rdb_last_bgsave_status:err"))
        };
        eventually(SNAPSHOT_LIMIT, has_failed).await
    }

    /// Takes and wants no snapshots again.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn mend_snapshots(&self) -> Result<(), StackError> {
        let place = self.snapshot();
        if place.is_dir() {
            fs::remove_dir(&place).map_err(|source| StackError::File {
                action: "remove",
                path: place,
                source,
            })?;
        }
        self.set("save", "").await
    }

    fn snapshot(&self) -> PathBuf {
        self.server.data().join(SNAPSHOT)
    }
}
