//! A clock of its own for a process, by libfaketime, which answers a program in place of its C library.
//!
//! Only the time of day is another; what measures durations goes on as it is, so that time-outs and pauses stay the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::StackError;
use crate::folder::Folder;
use crate::locate;

/// What it makes for each process, whose id follows. A process that is killed leaves it there.
const SHARED: [&str; 2] = ["/dev/shm/faketime_shm_", "/dev/shm/sem.faketime_sem_"];
const VARIABLE: &str = "BLACKFRIDAY_LIBFAKETIME";
const WHAT: &str = "libfaketime (libfaketimeMT.so.1)";
/// Where Debian's package has it, below a folder that is named after the machine.
const IN_PACKAGE: &str = "faketime/libfaketimeMT.so.1";

/// The time of day of the processes that are started with it. It can be moved while they run.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    folder: Folder,
}

impl Clock {
    /// A clock that is right.
    ///
    /// # Errors
    /// There is no libfaketime on this machine.
    pub fn new() -> Result<Self, StackError> {
        let library = find()?;
        let folder = Folder::new("blackfriday-clock-").map_err(|source| StackError::File {
            action: "make a folder in",
            path: std::env::temp_dir(),
            source,
        })?;
        let clock = Self { library, folder };
        clock.shift(0)?;
        Ok(clock)
    }

    /// Has the command's process, and those that it starts, look at this clock. It must not outlive the clock.
    pub fn wear(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", self.file());
        // It looks into the file once a second; by default every ten.
        command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        // It takes the waits of this C library for broken, and what it does instead lets those of a Java return at once.
        command.env("FAKETIME_FORCE_MONOTONIC_FIX", "0");
    }

    /// Puts it ahead of the right time by so many seconds, or behind. Processes that run see it within about a second.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn shift(&self, seconds: i64) -> Result<(), StackError> {
        let (file, new) = (self.file(), self.folder.path().join("new"));
        let written = fs::write(&new, format!("{seconds:+}s\n")).and_then(|()| fs::rename(new, &file));
        written.map_err(|source| StackError::File { action: "write", path: file, source })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("shift")
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        remove_left_behind();
    }
}

fn find() -> Result<PathBuf, StackError> {
    if let Some(path) = locate::named_by(VARIABLE) {
        return match path.is_file() {
            true => Ok(path),
            false => Err(StackError::Misnamed { what: WHAT, variable: VARIABLE, path }),
        };
    }
    let packages = [Some(PathBuf::from("/usr/lib")), locate::in_tools("faketime/usr/lib")];
    let found = packages.into_iter().flatten().find_map(|folder| in_package(&folder));
    found.ok_or(StackError::Missing { what: WHAT, variable: VARIABLE })
}

/// `<folder>/<machine>/faketime/libfaketimeMT.so.1`
fn in_package(folder: &Path) -> Option<PathBuf> {
    let machines = fs::read_dir(folder).ok()?.flatten();
    machines.map(|machine| machine.path().join(IN_PACKAGE)).find(|library| library.is_file())
}

/// Of processes that are gone.
fn remove_left_behind() {
    for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.to_string_lossy();
        let owner = SHARED.iter().find_map(|prefix| name.strip_prefix(prefix)?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Another process may have removed it already.
            fs::remove_file(&path).ok();
        }
    }
}
