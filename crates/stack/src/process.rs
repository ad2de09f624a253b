//! A child process that cannot outlive this one.
//!
//! Each child has a guard thread, which starts it, waits for it and reaps it. The thread is not an
//! implementation detail: `PR_SET_PDEATHSIG` fires when the *thread* that forked ends (prctl(2)), so a child forked
//! on a worker of a runtime that is shut down, or on a test's thread, would die with that thread.
//!
//! The child leads a process group of its own. Ctrl-C in a terminal therefore does not reach it, so that its parent
//! can stop it in order, and whatever it forked is killed with it. Only if the parent is killed by SIGKILL do the
//! child's own children depend on the child.

mod limits;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, kill_process, kill_process_group,
    set_parent_process_death_signal, waitid,
};
use tokio::sync::watch;

pub use self::limits::Scarce;
use crate::error::StackError;

const TAIL_LINES: usize = 40;
const TAIL_BYTES: u64 = 16 * 1024;
/// A thread stops when it next leaves the kernel, which is not when the signal was sent.
const PAUSE_LIMIT: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(1);

/// A running or ended child process. Dropping it kills it with SIGKILL and waits until it is gone.
#[derive(Debug)]
pub struct Process {
    program: String,
    log: PathBuf,
    pid: Pid,
    life: Arc<Life>,
}

/// Shared by a process and its guard thread.
#[derive(Debug)]
struct Life {
    alive: Mutex<bool>,
    ended: Condvar,
    exit: watch::Sender<Option<ExitStatus>>,
}

impl Process {
    /// Starts `command` with empty standard input; both outputs are appended to the file `log`.
    ///
    /// # Errors
    /// The log cannot be opened, or the program cannot be executed.
    pub fn spawn(mut command: Command, log: impl Into<PathBuf>) -> Result<Self, StackError> {
        let log = log.into();
        let program = command.get_program().to_string_lossy().into_owned();
        redirect(&mut command, &log).map_err(|source| StackError::File {
            action: "open the log",
            path: log.clone(),
            source,
        })?;
        die_with_parent(&mut command);

        let life = Arc::new(Life::new());
        let (started_sender, started) = mpsc::sync_channel(1);
        let guard_life = Arc::clone(&life);
        let spawn_error = |source| StackError::Spawn { program: program.clone(), source };
        thread::Builder::new()
            .name("child-guard".to_owned())
            .spawn(move || guard(command, &started_sender, &guard_life))
            .map_err(spawn_error)?;
        let pid = started.recv().expect("the guard always answers").map_err(spawn_error)?;
        tracing::debug!(program, pid = pid.as_raw_nonzero(), "started");
        Ok(Self { program, log, pid, life })
    }

    /// The process id. It may belong to another process once this one has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The file that takes both outputs.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last 40 lines of the log, at most 16 KiB; what cannot be read is said in their place.
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail(&self.log).unwrap_or_else(|error| format!("(cannot read {}: {error})", self.log.display()))
    }

    /// How the process ended, or `None` while it runs or is paused.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        *self.life.exit.borrow()
    }

    /// Waits at most `limit` for the process to end by itself.
    ///
    /// # Errors
    /// It still runs; it is left running.
    pub async fn wait(&self, limit: Duration) -> Result<ExitStatus, StackError> {
        tokio::time::timeout(limit, self.ended()).await.map_err(|_| StackError::StillRunning {
            program: self.program.clone(),
            limit,
            log: self.log_tail(),
        })
    }

    /// Sends SIGTERM and waits at most `limit` for the process to end. A paused process is resumed to let it do so.
    ///
    /// # Errors
    /// It still runs; it is left running.
    pub async fn terminate(&self, limit: Duration) -> Result<ExitStatus, StackError> {
        self.signal(Signal::TERM)?;
        self.resume()?;
        self.wait(limit).await
    }

    /// Ends the process and everything in its group with SIGKILL, and blocks until it is gone: milliseconds.
    pub fn kill(&self) {
        match self.signal_group(Signal::KILL) {
            Ok(()) => self.life.await_end(),
            // Only possible for a program that changed its user; there is nothing more to be done.
            Err(error) => tracing::warn!(%error, "a child process may survive"),
        }
    }

    /// Stops the process and its group with SIGSTOP, and blocks until no thread of the process runs any more, at most
    /// 2 s: connections stay open, nothing answers.
    ///
    /// # Errors
    /// The signal could not be sent.
    pub fn pause(&self) -> Result<(), StackError> {
        self.signal_group(Signal::STOP)?;
        let deadline = Instant::now() + PAUSE_LIMIT;
        while runs(self.pid) && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Lets a paused process go on, with SIGCONT.
    ///
    /// # Errors
    /// The signal could not be sent.
    pub fn resume(&self) -> Result<(), StackError> {
        self.signal_group(Signal::CONT)
    }

    /// How the process ended, as soon as it has.
    pub(crate) async fn ended(&self) -> ExitStatus {
        let mut exit = self.life.exit.subscribe();
        let ended = exit.wait_for(Option::is_some).await.expect("this value holds the sender");
        ended.expect("waited for it")
    }

    fn signal(&self, signal: Signal) -> Result<(), StackError> {
        self.while_alive(|pid| kill_process(pid, signal))
    }

    fn signal_group(&self, signal: Signal) -> Result<(), StackError> {
        self.while_alive(|pid| kill_process_group(pid, signal))
    }

    /// Under the lock that the guard takes to reap, the id cannot have passed to another process.
    fn while_alive(&self, send: impl FnOnce(Pid) -> Result<(), Errno>) -> Result<(), StackError> {
        let alive = self.life.lock();
        let sent = if *alive { send(self.pid) } else { Ok(()) };
        sent.map_err(|errno| StackError::Signal { program: self.program.clone(), source: errno.into() })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Life {
    fn new() -> Self {
        Self { alive: Mutex::new(true), ended: Condvar::new(), exit: watch::channel(None).0 }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn await_end(&self) {
        let alive = self.ended.wait_while(self.lock(), |alive| *alive);
        drop(alive.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whether any thread of the process is neither stopped nor gone.
fn runs(pid: Pid) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())) else { return false };
    threads.flatten().any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // proc(5): the state follows the name, which is in parentheses and may hold anything.
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        state.is_some_and(|state| !matches!(state, 'T' | 't' | 'Z' | 'X'))
    })
}

fn redirect(command: &mut Command, log: &Path) -> io::Result<()> {
    let output = OpenOptions::new().create(true).append(true).open(log)?;
    command.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output).process_group(0);
    Ok(())
}

fn die_with_parent(command: &mut Command) {
    let parent = getpid();
    let request = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // A file that may not grow is an error then, as on a full disk, and not the end.
        // SAFETY: signal(2) is async-signal-safe, and nothing is run at that signal.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        // The parent may have died before the request; then the signal would never be sent.
        if getppid() == Some(parent) { Ok(()) } else { Err(Errno::SRCH.into()) }
    };
    // SAFETY: between fork and exec only prctl(2), signal(2) and getppid(2) are called; all are async-signal-safe and
    // nothing is allocated.
    unsafe { command.pre_exec(request) };
}

/// Body of the guard thread: start, say so, wait, reap.
fn guard(mut command: Command, started: &mpsc::SyncSender<io::Result<Pid>>, life: &Life) {
    let spawned = command.spawn();
    // With what it holds for the child.
    drop(command);
    let child = match spawned {
        Ok(child) => child,
        Err(error) => return started.send(Err(error)).expect("spawn waits for the answer"),
    };
    let pid = Pid::from_child(&child);
    started.send(Ok(pid)).expect("spawn waits for the answer");
    await_end(pid);
    reap(child, pid, life);
}

/// Leaves the ended process as a zombie, whose id and group nobody else can get.
fn await_end(pid: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
}

fn reap(mut child: Child, pid: Pid, life: &Life) {
    let mut alive = life.lock();
    if let Err(errno) = kill_process_group(pid, Signal::KILL) {
        tracing::debug!(%errno, "nothing left of the group");
    }
    let status = child.wait().expect("only the guard waits for its child");
    *alive = false;
    life.exit.send_replace(Some(status));
    life.ended.notify_all();
}

fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}
