//! Where the servers' programs are: named by a variable, else on PATH, else under `.tools` of the checkout.
//!
//! The first is how a Nix shell provides them, the last is where `./dev setup` puts them; `./dev` says which checkout it is of.

use std::env;
use std::path::{Path, PathBuf};

/// The checkout, wherever its programs were built and are run.
const CHECKOUT_VARIABLE: &str = "BLACKFRIDAY_CHECKOUT";

/// The value of an environment variable that names a path, unless it is empty.
pub(crate) fn named_by(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A program of that name in a folder of PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    which::which(program).ok()
}

/// `.tools/<path>` in the checkout, else in the nearest folder that has it, above the current folder or above this program.
pub(crate) fn in_tools(path: &str) -> Option<PathBuf> {
    let starts = [named_by(CHECKOUT_VARIABLE), env::current_dir().ok(), env::current_exe().ok()];
    starts.iter().flatten().find_map(|start| above(start, &Path::new(".tools").join(path)))
}

fn above(start: &Path, path: &Path) -> Option<PathBuf> {
    start.ancestors().map(|folder| folder.join(path)).find(|candidate| candidate.exists())
}
