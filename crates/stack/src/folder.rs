//! The servers' folders. Temporary ones do not pile up: making one removes those that a killed process left behind.
//!
//! A folder in use has a file `owner` that is locked for as long as its process lives (flock(2)), however it ends. A server
//! whose parent was killed takes a moment to end; it holds the lock, too, so that nobody else writes there meanwhile.

use std::env;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::{FdFlags, fcntl_setfd};
use tempfile::TempDir;

use crate::error::StackError;

const OWNER: &str = "owner";

/// A folder with an owner; a temporary one is removed on drop.
#[derive(Debug)]
pub struct Folder {
    // Before its lock, so that it is gone when the lock is.
    place: Place,
    owner: File,
}

#[derive(Debug)]
enum Place {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Folder {
    pub(crate) fn new(prefix: &str) -> io::Result<Self> {
        let parent = env::temp_dir();
        remove_left_behind(&parent, prefix)?;
        let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
        let owner = own(folder.path())?;
        Ok(Self { place: Place::Temporary(folder), owner })
    }

    /// A folder that stays, made if it is not there. It has one owner at a time, whose process id is in its file `owner`.
    ///
    /// # Errors
    /// [`StackError::InUse`] if another process uses it; it cannot be made.
    pub fn kept(path: &Path) -> Result<Self, StackError> {
        let failed = |source| StackError::File { action: "make or lock", path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join(OWNER));
        let mut owner = file.map_err(failed)?;
        match owner.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                return Err(StackError::InUse { holder: holder(&mut owner), folder: path });
            }
        }
        owner.set_len(0).and_then(|()| writeln!(owner, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { place: Place::Kept(path), owner })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.place {
            Place::Temporary(folder) => folder.path(),
            Place::Kept(path) => path,
        }
    }

    /// Lets the command's process, and what it starts, own the folder, too, for as long as they live.
    pub(crate) fn lend_to(&self, command: &mut Command) -> io::Result<()> {
        let owner = self.owner.try_clone()?;
        let inherit = move || Ok(fcntl_setfd(&owner, FdFlags::empty())?);
        // SAFETY: between fork and exec only fcntl(2) is called, which is async-signal-safe, and nothing is allocated.
        unsafe { command.pre_exec(inherit) };
        Ok(())
    }
}

/// As its owner has written it down: its process id.
fn holder(owner: &mut File) -> String {
    let mut pid = String::new();
    match owner.read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => format!("process {}", pid.trim()),
        _ => "another process".to_owned(),
    }
}

/// The file gets its name after it is locked: it is never seen without its owner.
fn own(folder: &Path) -> io::Result<File> {
    let unnamed = folder.join("owner.new");
    let file = File::create(&unnamed)?;
    file.lock()?;
    fs::rename(unnamed, folder.join(OWNER))?;
    Ok(file)
}

fn remove_left_behind(parent: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(parent)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) && is_left_behind(&entry.path()) {
            // Another process may be about to remove it, too.
            if let Err(error) = fs::remove_dir_all(entry.path()) {
                tracing::debug!(%error, folder = %entry.path().display(), "left behind and not removed");
            }
        }
    }
    Ok(())
}

fn is_left_behind(folder: &Path) -> bool {
    File::open(folder.join(OWNER)).is_ok_and(|owner| owner.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "blackfriday-folder-test-";

    #[test]
    fn only_folders_without_an_owner_are_removed() {
        let left = tempfile::Builder::new().prefix(PREFIX).tempdir().expect("a folder").keep();
        fs::write(left.join(OWNER), "").expect("write");
        let unready = tempfile::Builder::new().prefix(PREFIX).tempdir().expect("a folder");

        let first = Folder::new(PREFIX).expect("a folder");
        let second = Folder::new(PREFIX).expect("a folder");
        assert!(!left.exists());
        assert!(unready.path().exists() && first.path().exists() && second.path().exists());

        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn a_kept_folder_stays_and_has_one_owner() {
        let parent = tempfile::tempdir().expect("a folder");
        let path = parent.path().join("a/b");
        let first = Folder::kept(&path).expect("made");
        let told = Folder::kept(&path).expect_err("owned").to_string();
        let pid = std::process::id();
        assert!(told.contains("a/b") && told.ends_with(&format!("is in use by process {pid}")), "{told}");
        drop(first);
        Folder::kept(&path).expect("free again, and still there");
    }

    #[test]
    fn a_folder_is_in_use_while_a_process_lives_that_it_was_lent_to() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = Folder::kept(parent.path()).expect("made");
        let mut command = Command::new("cat");
        command.stdin(std::process::Stdio::piped());
        folder.lend_to(&mut command).expect("lent");
        let mut child = command.spawn().expect("starts");
        drop((folder, command));
        Folder::kept(parent.path()).expect_err("the child has it");
        child.kill().and_then(|()| child.wait()).expect("ends");
        Folder::kept(parent.path()).expect("free again");
    }
}
