use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use blackfriday_stack::Process;
use serde_json::Value;

/// A running `blackfriday load` and where its receipts go.
#[derive(Debug)]
pub struct Load {
    pub(crate) process: Process,
    /// The receipts file.
    pub receipts: PathBuf,
}

impl Load {
    /// Waits for the end of the load; whether every sale was accepted.
    ///
    /// # Errors
    /// It does not end within `limit`, or it could not do its work: the error is the exit status and the load's log.
    pub async fn finish(&self, limit: Duration) -> Result<bool> {
        let status = self.process.wait(limit).await?;
        match status.code() {
            Some(0) => Ok(true),
            // Some sale was refused, or its outcome is not known.
            Some(1) => Ok(false),
            _ => bail!("the load ended with {status}; its log:\n{}", self.process.log_tail()),
        }
    }

    /// Ends the load early, by SIGTERM: its receipts are complete for what was sent.
    ///
    /// # Errors
    /// It does not end within `limit`, or it could not do its work.
    pub async fn end(self, limit: Duration) -> Result<PathBuf> {
        let status = self.process.terminate(limit).await?;
        // 1, because not all was sent.
        let log = self.process.log_tail();
        ensure!(matches!(status.code(), Some(0 | 1)), "the load ended with {status}; its log:\n{log}");
        Ok(self.receipts)
    }

    /// What it has printed, with `--json`, once it has ended.
    ///
    /// # Errors
    /// Its output cannot be read, or has no result.
    pub fn result(&self) -> Result<Value> {
        let said = fs::read_to_string(self.process.log()).context("read the load's output")?;
        let found = said.lines().find_map(|line| serde_json::from_str(line).ok());
        found.with_context(|| format!("the load has printed no result:\n{said}"))
    }

    /// As [`Load::finish`], where nothing keeps a sale from being accepted.
    ///
    /// # Errors
    /// As [`Load::finish`], or a sale was not accepted.
    pub async fn finish_undisturbed(&self, limit: Duration) -> Result<()> {
        ensure!(self.finish(limit).await?, "not every sale was accepted:\n{}", self.process.log_tail());
        Ok(())
    }
}
