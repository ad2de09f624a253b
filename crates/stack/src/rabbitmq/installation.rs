//! The scripts of RabbitMQ, and the Erlang that they run on.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::StackError;
use crate::locate;

const VARIABLE: &str = "BLACKFRIDAY_RABBITMQ_HOME";
const WHAT: &str = "RabbitMQ (a folder with sbin/rabbitmq-server)";
/// What the scripts and their Erlang may learn of our environment; nothing that configures another RabbitMQ.
const KEPT: &[&str] = &["LANG", "LC_ALL", "LOCALE_ARCHIVE", "TMPDIR"];

/// Where RabbitMQ is.
#[derive(Clone, Debug)]
pub(super) struct Installation {
    scripts: PathBuf,
    path: OsString,
}

impl Installation {
    /// `BLACKFRIDAY_RABBITMQ_HOME`, else the home of `rabbitmq-server` on PATH, else `.tools/rabbitmq`.
    pub(super) fn find() -> Result<Self, StackError> {
        let scripts = find_scripts()?;
        // Only .tools has Erlang next to it.
        let erlang = scripts.with_file_name("erlang").join("bin");
        let mut folders = vec![erlang];
        folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
        let path = env::join_paths(folders.into_iter().filter(|folder| folder.is_dir()));
        Ok(Self { scripts, path: path.unwrap_or_default() })
    }

    /// One of the scripts, with an environment that has nothing of another RabbitMQ.
    pub(super) fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.scripts.join(name));
        command.env_clear().env("PATH", &self.path).env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
        command.env("ERL_CRASH_DUMP_BYTES", "0");
        command.envs(KEPT.iter().filter_map(|name| Some((name, env::var_os(name)?))));
        command
    }
}

fn find_scripts() -> Result<PathBuf, StackError> {
    if let Some(path) = locate::named_by(VARIABLE) {
        return scripts_of(&path).ok_or(StackError::Misnamed { what: WHAT, variable: VARIABLE, path });
    }
    let on_path = locate::on_path("rabbitmq-server").and_then(|script| beside(&script));
    let scripts = on_path.or_else(|| scripts_of(&locate::in_tools("rabbitmq")?));
    scripts.ok_or(StackError::Missing { what: WHAT, variable: VARIABLE })
}

/// nixpkgs calls the folder `bin`.
fn scripts_of(home: &Path) -> Option<PathBuf> {
    ["sbin", "bin"].iter().find_map(|folder| complete(&home.join(folder)))
}

/// Debian's `rabbitmq-server` on PATH is a link to a script that changes the user, in the folder of the real ones.
fn beside(script: &Path) -> Option<PathBuf> {
    complete(fs::canonicalize(script).ok()?.parent()?)
}

fn complete(folder: &Path) -> Option<PathBuf> {
    let has = |script: &str| folder.join(script).is_file();
    (has("rabbitmq-server") && has("rabbitmqctl")).then(|| folder.to_owned())
}
