//! What Kafka and Valkey have in common: a temporary folder, at most one process, a log for each start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, StackError, eventually};

/// How many times a start is tried with other ports when somebody takes one between its choice and its use.
const PORT_TRIES: usize = 5;
const PORT_TAKEN: &str = "Address already in use";

/// A server's folder and its process, if it runs.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    folder: TempDir,
    starts: AtomicU32,
    process: Mutex<Option<Arc<Process>>>,
}

impl Server {
    pub(crate) fn new(name: &'static str) -> Result<Self, StackError> {
        let folder =
            tempfile::Builder::new().prefix(&format!("blackfriday-{name}-")).tempdir().map_err(|source| {
                StackError::File { action: "make a folder in", path: std::env::temp_dir(), source }
            })?;
        Ok(Self { name, folder, starts: AtomicU32::new(0), process: Mutex::new(None) })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the server keeps what must survive a restart.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    pub(crate) fn write(&self, file: &str, text: &str) -> Result<PathBuf, StackError> {
        let path = self.folder().join(file);
        fs::write(&path, text).map_err(|source| StackError::File {
            action: "write",
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }

    pub(crate) fn make_data(&self) -> Result<(), StackError> {
        let path = self.data();
        fs::create_dir_all(&path).map_err(|source| StackError::File { action: "make", path, source })
    }

    pub(crate) fn remove_data(&self) -> Result<(), StackError> {
        let path = self.data();
        fs::remove_dir_all(&path).map_err(|source| StackError::File { action: "remove", path, source })
    }

    /// A process of the server that is not *the* server, such as the one that formats its storage.
    pub(crate) fn spawn(&self, command: Command) -> Result<Process, StackError> {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        Process::spawn(command, self.folder().join(format!("{}-{number}.log", self.name)))
    }

    /// Starts the server and waits until `probe` says that it answers.
    pub(crate) async fn launch<F, P>(
        &self,
        command: Command,
        limit: Duration,
        mut probe: P,
    ) -> Result<(), StackError>
    where
        P: FnMut(PathBuf) -> F,
        F: Future<Output = bool>,
    {
        let process = Arc::new(self.spawn(command)?);
        let answers = eventually(limit, "ready", || probe(process.log().to_owned()));
        tokio::select! {
            status = process.wait() => {
                return Err(StackError::Exited { program: self.name.to_owned(), status, log: process.log_tail() });
            }
            ready = answers => ready.map_err(|_| StackError::NotReady {
                program: self.name.to_owned(),
                limit,
                log: process.log_tail(),
            })?,
        }
        *self.slot() = Some(process);
        Ok(())
    }

    pub(crate) fn running(&self) -> Result<Arc<Process>, StackError> {
        self.slot().clone().ok_or(StackError::Stopped { program: self.name })
    }

    /// SIGTERM, at most `limit`, then SIGKILL. A stopped server stays stopped.
    pub(crate) async fn stop(&self, limit: Duration) -> Result<(), StackError> {
        let Ok(process) = self.running() else { return Ok(()) };
        let ended = process.terminate(limit).await;
        self.kill().await?;
        ended.map(drop)
    }

    pub(crate) async fn kill(&self) -> Result<(), StackError> {
        let process = self.slot().take();
        if let Some(process) = process {
            process.kill().await?;
        }
        Ok(())
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Process>>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls `start` again, at most five times, while it fails because a port is taken.
pub(crate) async fn with_free_ports<T, F, S>(mut start: S) -> Result<T, StackError>
where
    S: FnMut() -> F,
    F: Future<Output = Result<T, StackError>>,
{
    for _ in 1..PORT_TRIES {
        match start().await {
            Err(StackError::Exited { log, .. }) if log.contains(PORT_TAKEN) => {
                tracing::debug!("a port was taken meanwhile, trying others");
            }
            result => return result,
        }
    }
    start().await
}
