//! The append-only file on disk: commands as clients send them, in a file that grows and is replaced by a next one at times.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Valkey, wire};
use crate::error::StackError;
use crate::proxy::Values;
use crate::server::failed;

/// Of each command that only takes time. At such a pace the server answers several times a second.
const PAUSE_US: u64 = 100;
const WRITTEN_LIMIT: Duration = Duration::from_secs(30);
const NOTHING_WAITS: &str = "aof_buffer_length:0";
/// Changes nothing: whoever writes after it selects its database again.
const IDLE_COMMAND: &[u8] = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";

impl Valkey {
    /// Waits until everything that the server has answered is in its file: while an earlier part is still being synced, it puts
    /// the next write off for up to 2 s.
    ///
    /// # Errors
    /// Not within 30 s.
    pub async fn on_disk(&self) -> Result<(), StackError> {
        let is_written = async || {
            let told = self.command(&["INFO", "persistence"]).await;
            told.is_ok_and(|told| told.lines().any(|line| line.trim() == NOTHING_WAITS))
        };
        crate::eventually(WRITTEN_LIMIT, is_written).await
    }

    /// Kills the server and cuts at least `bytes` from the end of its append-only file, in the middle of a command, as a machine
    /// does that loses power while it writes. By default the server drops the rest of that command when it starts, with the
    /// transaction it belongs to; with `aof-load-truncated no` it does not start. Returns how many bytes were cut.
    ///
    /// # Errors
    /// There is no such file, or no command in it.
    pub fn tear(&self, bytes: u64) -> Result<u64, StackError> {
        self.server.kill();
        let file = self.growing_file()?;
        let failed = |action| failed(action, &file);
        let written = fs::read(&file).map_err(failed("read"))?;
        let wanted = written.len().saturating_sub(usize::try_from(bytes.max(1)).unwrap_or(usize::MAX));
        let none = || io::Error::other("no command");
        let end = inside_of_command(&written, wanted).ok_or_else(none).map_err(failed("tear"))? as u64;
        let opened = OpenOptions::new().write(true).open(&file).map_err(failed("open"))?;
        opened.set_len(end).map_err(failed("tear"))?;
        Ok(written.len() as u64 - end)
    }

    /// Starts the server again so that it loads its data for at least this long, and returns when it says that it does: it
    /// answers `LOADING` to nearly everything. [`Valkey::loaded`] waits for the end.
    ///
    /// # Errors
    /// It does not start.
    pub async fn restart_loading(&self, takes: Duration) -> Result<(), StackError> {
        self.stop().await?;
        let idle = u64::try_from(takes.as_micros()).unwrap_or(u64::MAX) / PAUSE_US;
        let file = self.growing_file()?;
        let mut opened = OpenOptions::new().append(true).open(&file).map_err(failed("open", &file))?;
        let written = opened.write_all(&IDLE_COMMAND.repeat(usize::try_from(idle).unwrap_or(usize::MAX)));
        written.map_err(failed("write", &file))?;
        let loads = async |_: &Path| self.is_loading().await;
        self.launch(&[("key-load-delay", &PAUSE_US.to_string())], loads).await
    }

    /// Waits at most so long for a server that loads its data.
    ///
    /// # Errors
    /// It still loads.
    pub async fn loaded(&self, limit: Duration) -> Result<(), StackError> {
        crate::eventually(limit, async || wire::answers(self.port).await).await
    }

    async fn is_loading(&self) -> bool {
        let told = wire::command(self.port, &["PING"]).await;
        told.is_err_and(|refusal| refusal.to_string().starts_with("LOADING"))
    }

    /// The newest of the files to which commands are added.
    pub(super) fn growing_file(&self) -> Result<PathBuf, StackError> {
        let folder = self.server.data().join("appendonlydir");
        let entries = fs::read_dir(&folder).map_err(failed("read", &folder))?;
        let growing = entries.flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number: u64 = name.strip_suffix(".incr.aof")?.rsplit('.').next()?.parse().ok()?;
            Some((number, entry.path()))
        });
        let none = || failed("find an append-only file in", &folder)(io::ErrorKind::NotFound.into());
        growing.max().map(|(_, path)| path).ok_or_else(none)
    }
}

/// The end of a file that is about this long and ends in the middle of a command.
fn inside_of_command(file: &[u8], wanted: usize) -> Option<usize> {
    let mut starts = Vec::new();
    Values::default().feed(file, |at, _| starts.push(at), |_, _| {});
    let start = starts.iter().rev().find(|start| **start <= wanted).or(starts.first())?;
    Some(if *start < wanted { wanted } else { start + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_torn_inside_of_a_command() {
        let file = b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n";
        assert_eq!(file.len(), 28);
        for (wanted, end) in [(27, 27), (15, 15), (14, 15), (13, 13), (0, 1)] {
            assert_eq!(inside_of_command(file, wanted), Some(end), "{wanted}");
        }
        assert_eq!(inside_of_command(b"", 0), None);
    }
}
