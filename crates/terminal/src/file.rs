//! Files that a command writes.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes a file that everybody may read. Whatever happens, it is there whole, or as it was.
///
/// # Errors
/// It cannot be written.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut unnamed = tempfile::NamedTempFile::new_in(folder)?;
    unnamed.write_all(text.as_bytes())?;
    unnamed.as_file().set_permissions(PermissionsExt::from_mode(0o644))?;
    unnamed.persist(path)?;
    Ok(())
}
