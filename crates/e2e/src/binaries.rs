use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// The path of one of the workspace's binaries, built in the same profile as the running test.
///
/// # Errors
/// It is not built; the error names the command that builds it.
pub fn binary(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe().context("find the test's own path")?;
    let profile = test.ancestors().nth(2).context("a test lies in target/<profile>/deps")?;
    let path = profile.join(name);
    ensure!(path.exists(), "{} is missing: run `cargo build --workspace --bins`", path.display());
    Ok(path)
}
