//! The servers' folders. Temporary ones do not pile up: making one removes those that a killed process left behind.
//!
//! A folder in use has a file `owner` that is locked for as long as its process lives (flock(2)), however it ends.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

const OWNER: &str = "owner";

/// A folder with an owner; a temporary one is removed on drop.
#[derive(Debug)]
pub(crate) struct Folder {
    // Before its lock, so that it is gone when the lock is.
    place: Place,
    _owner: File,
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
        Ok(Self { place: Place::Temporary(folder), _owner: owner })
    }

    /// A folder that stays, made if it is not there. It has one owner at a time.
    pub(crate) fn kept(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let path = path.canonicalize()?;
        let owner = File::create(path.join(OWNER))?;
        owner.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::ResourceBusy, "another process uses it")
            }
        })?;
        Ok(Self { place: Place::Kept(path), _owner: owner })
    }

    pub(crate) fn path(&self) -> &Path {
        match &self.place {
            Place::Temporary(folder) => folder.path(),
            Place::Kept(path) => path,
        }
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
        assert_eq!(Folder::kept(&path).expect_err("owned").kind(), io::ErrorKind::ResourceBusy);
        drop(first);
        Folder::kept(&path).expect("free again, and still there");
    }
}
