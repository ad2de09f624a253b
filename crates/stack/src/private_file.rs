//! Files that only their owner can read.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::StackError;

/// Replaces a file by one that only its owner can read, from its first moment on.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), StackError> {
    let unnamed = path.with_extension("new");
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unnamed)?;
        file.write_all(bytes)?;
        fs::rename(&unnamed, path)
    };
    write().map_err(|source| StackError::File { action: "write", path: path.to_owned(), source })
}
