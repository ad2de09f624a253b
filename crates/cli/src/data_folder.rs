//! Where a command keeps what stays, if no flag says where.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use blackfriday_terminal::failure::Usage;

/// `blackfriday/<name>` in the user's data directory.
pub(crate) fn data_folder(name: &str, flag: &str) -> Result<PathBuf> {
    let named = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = named("XDG_DATA_HOME").or_else(|| named("HOME").map(|home| home.join(".local/share")));
    let data = data.with_context(|| Usage(format!("{flag} is wanted: HOME is not set")))?;
    Ok(data.join("blackfriday").join(name))
}
