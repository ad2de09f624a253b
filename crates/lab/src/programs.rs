use std::path::PathBuf;

use anyhow::{Context, Result};
use blackfriday_terminal::failure::Unavailable;

/// The path of one of this project's programs: next to the running one (a test's programs are one folder above it), else on
/// PATH.
///
/// # Errors
/// It is not there; the error names the command that builds it.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("find the running program")?;
    let mut beside = own.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    let found = beside.find(|path| path.is_file()).or_else(|| which::which(name).ok());
    let missing = || Unavailable(format!("{name} is missing: run `cargo build --workspace --bins`"));
    Ok(found.ok_or_else(missing)?)
}
