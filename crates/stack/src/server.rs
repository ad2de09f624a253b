//! What the servers have in common: a folder, at most one process, a log for each start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::StackError;
use crate::eventually::eventually;
use crate::folder::Folder;
use crate::process::Process;

/// How many times a start is tried with other ports when somebody takes one between its choice and its use.
const PORT_TRIES: usize = 5;
/// In the words of C and Go, of Erlang, and of QEMU, in lower case.
const PORT_TAKEN: &[&str] =
    &["address already in use", "eaddrinuse", "could not set up host forwarding rule"];
/// For a server to end whose parent was killed.
const LEFTOVER_LIMIT: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A server's folder and its process, if it runs.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    // Before the folder, so that nothing writes there any more when it is removed.
    process: Mutex<Option<Arc<Process>>>,
    starts: AtomicU32,
    folder: Folder,
}

impl Server {
    pub(crate) fn new(name: &'static str) -> Result<Self, StackError> {
        let folder = Folder::new(&format!("blackfriday-{name}-"));
        let folder = folder.map_err(failed("make a folder in", &std::env::temp_dir()))?;
        Ok(Self { name, process: Mutex::new(None), starts: AtomicU32::new(0), folder })
    }

    /// In a folder that stays.
    pub(crate) fn in_folder(name: &'static str, path: &Path) -> Result<Self, StackError> {
        let folder = Folder::kept(path)?;
        Ok(Self { name, process: Mutex::new(None), starts: AtomicU32::new(0), folder })
    }

    /// As [`Server::in_folder`]; a process that is about to end may have the folder a little longer.
    pub(crate) async fn in_folder_soon(name: &'static str, path: &Path) -> Result<Self, StackError> {
        let deadline = Instant::now() + LEFTOVER_LIMIT;
        loop {
            match Self::in_folder(name, path) {
                Err(StackError::InUse { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(LOOK_AGAIN).await
                }
                result => return result,
            }
        }
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
        fs::write(&path, text).map_err(failed("write", &path))?;
        Ok(path)
    }

    pub(crate) fn make_data(&self) -> Result<(), StackError> {
        let data = self.data();
        fs::create_dir_all(&data).map_err(failed("make", &data))
    }

    /// A file of this folder: whole or not at all.
    pub(crate) fn move_into_data(&self, file: &str) -> Result<(), StackError> {
        let moved = self.data().join(file);
        fs::rename(self.folder().join(file), &moved).map_err(failed("write", &moved))
    }

    /// Under the same name.
    pub(crate) fn copy_into_data(&self, file: &Path) -> Result<(), StackError> {
        let copied = self.data().join(file.file_name().unwrap_or_default());
        fs::copy(file, copied).map(drop).map_err(failed("copy", file))
    }

    pub(crate) fn remove_data(&self) -> Result<(), StackError> {
        let data = self.data();
        remove(&data).map_err(failed("remove", &data))
    }

    pub(crate) fn copy_data(&self) -> Result<(), StackError> {
        let (data, copied) = (self.data(), self.copied());
        remove(&copied).and_then(|()| copy(&data, &copied)).map_err(failed("copy", &data))
    }

    pub(crate) fn bring_back_data(&self) -> Result<(), StackError> {
        let (data, copied) = (self.data(), self.copied());
        self.remove_data()?;
        copy(&copied, &data).map_err(failed("copy", &copied))
    }

    /// A process of the server that is not *the* server, such as the one that formats its storage.
    pub(crate) fn spawn(&self, mut command: Command) -> Result<Process, StackError> {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        self.put_aside(&self.log(number))?;
        self.folder.lend_to(&mut command).map_err(failed("lend", self.folder()))?;
        Process::spawn(command, self.log(number))
    }

    /// The log of the process that was started last, empty if there is none.
    pub(crate) fn latest_log(&self) -> String {
        let number = self.starts.load(Ordering::Relaxed).saturating_sub(1);
        fs::read_to_string(self.log(number)).unwrap_or_default()
    }

    /// Starts the server and waits until `probe`, which is given its log, says that it answers.
    pub(crate) async fn launch(
        &self,
        command: Command,
        limit: Duration,
        mut probe: impl AsyncFnMut(&Path) -> bool,
    ) -> Result<(), StackError> {
        let process = Arc::new(self.spawn(command)?);
        let program = self.name.to_owned();
        tokio::select! {
            status = process.ended() => Err(StackError::Exited { program, status, log: process.log_tail() }),
            ready = eventually(limit, async || probe(process.log()).await) => match ready {
                Ok(()) => {
                    *self.slot() = Some(Arc::clone(&process));
                    Ok(())
                }
                Err(_) => Err(StackError::NotReady { program, limit, log: process.log_tail() }),
            },
        }
    }

    pub(crate) fn running(&self) -> Result<Arc<Process>, StackError> {
        self.slot().clone().ok_or(StackError::Stopped { program: self.name })
    }

    /// SIGTERM, at most `limit`, then SIGKILL. A stopped server stays stopped.
    pub(crate) async fn stop(&self, limit: Duration) -> Result<(), StackError> {
        let Ok(process) = self.running() else { return Ok(()) };
        let ended = process.terminate(limit).await;
        self.kill();
        ended.map(drop)
    }

    pub(crate) fn kill(&self) {
        let process = self.slot().take();
        if let Some(process) = process {
            process.kill();
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Process>>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A log of an earlier owner, which is kept until the next one: whoever waits for words in a log waits for new ones.
    fn put_aside(&self, log: &Path) -> Result<(), StackError> {
        match fs::rename(log, log.with_extension("log.before")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("put aside", log)(error)),
            _ => Ok(()),
        }
    }

    fn log(&self, number: u32) -> PathBuf {
        self.folder().join(format!("{}-{number}.log", self.name))
    }

    fn copied(&self) -> PathBuf {
        self.folder().join("copy")
    }
}

/// Calls `start` again, at most five times, while it fails because a port is taken.
pub(crate) async fn with_free_ports<T>(
    mut start: impl AsyncFnMut() -> Result<T, StackError>,
) -> Result<T, StackError> {
    for _ in 1..PORT_TRIES {
        match start().await {
            Err(error) if is_port_taken(&error) => {
                tracing::debug!("a port was taken meanwhile, trying others")
            }
            result => return result,
        }
    }
    start().await
}

pub(crate) fn is_port_taken(error: &StackError) -> bool {
    let StackError::Exited { log, .. } = error else { return false };
    let log = log.to_lowercase();
    PORT_TAKEN.iter().any(|words| log.contains(words))
}

pub(crate) fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> StackError {
    let path = path.to_owned();
    move |source| StackError::File { action, path: path.clone(), source }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn ended(log: &str) -> StackError {
        StackError::Exited { program: "x".to_owned(), status: ExitStatus::from_raw(1), log: log.to_owned() }
    }

    #[tokio::test]
    async fn a_taken_port_is_tried_again_with_others() {
        let mut starts = 0;
        let started = with_free_ports(async || {
            starts += 1;
            if starts == 3 { Ok(starts) } else { Err(ended("bind: Address already in use")) }
        });
        assert_eq!(started.await.expect("the third start works"), 3);
    }

    #[tokio::test]
    async fn ports_that_are_always_taken_and_other_errors_are_told() {
        for (log, expected) in [("Address already in use", 5), ("no space left", 1)] {
            let mut starts = 0;
            let started = with_free_ports(async || {
                starts += 1;
                Err::<(), _>(ended(log))
            });
            assert!(started.await.is_err());
            assert_eq!(starts, expected, "{log}");
        }
    }
}
