//! The two servers, and where their programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::StackError;
use crate::locate;

/// A server that stores and counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValkeyKind {
    /// Valkey, version 8 or newer.
    #[default]
    Valkey,
    /// Redis, version 7 or newer.
    Redis,
}

/// Both servers speak with the clients of both.
const CLIENTS: [&str; 2] = ["valkey-cli", "redis-cli"];

/// Next to the server, else on PATH.
pub(super) fn client_of(server: &Path) -> Option<PathBuf> {
    let beside = CLIENTS.iter().map(|name| server.with_file_name(name)).find(|path| path.is_file());
    beside.or_else(|| CLIENTS.iter().find_map(|name| locate::on_path(name)))
}

impl ValkeyKind {
    /// Named by a variable, else the first that is new enough: on PATH, then under `.tools`.
    pub(super) fn find(self) -> Result<PathBuf, StackError> {
        let (what, variable) = (self.what(), self.variable());
        if let Some(path) = locate::named_by(variable) {
            return if path.is_file() {
                self.check_version(path)
            } else {
                Err(StackError::Misnamed { what, variable, path })
            };
        }
        let candidates = [locate::on_path(self.name()), locate::in_tools(self.in_tools())];
        let checked = candidates.into_iter().flatten().map(|path| self.check_version(path));
        let missing = Err(StackError::Missing { what, variable });
        // If none is new enough, the error of the last.
        checked.fold(missing, |best, next| if best.is_ok() { best } else { next })
    }

    fn check_version(self, program: PathBuf) -> Result<PathBuf, StackError> {
        let name = program.display().to_string();
        let output = Command::new(&program)
            .arg("--version")
            .output()
            .map_err(|source| StackError::Spawn { program: name.clone(), source })?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if self.is_new(&said) {
            return Ok(program);
        }
        let wanted = match self {
            Self::Valkey => "Valkey 8",
            Self::Redis => "Redis 7",
        };
        Err(StackError::Outdated { program: name, found: said.trim().to_owned(), wanted })
    }

    /// By what it says of itself: `Valkey server v=8.0.1 sha=…`. Some distributions call Valkey `redis-server`, too.
    fn is_new(self, said: &str) -> bool {
        let (product, oldest) = match self {
            Self::Valkey => ("Valkey", 8),
            Self::Redis => ("Redis", 7),
        };
        let major = said.split_once("v=").and_then(|(_, rest)| rest.split('.').next()?.parse::<u32>().ok());
        said.starts_with(product) && major.is_some_and(|major| major >= oldest)
    }

    fn what(self) -> &'static str {
        match self {
            Self::Valkey => "valkey-server (version 8 or newer)",
            Self::Redis => "redis-server (version 7 or newer)",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::Valkey => "BLACKFRIDAY_VALKEY_SERVER",
            Self::Redis => "BLACKFRIDAY_REDIS_SERVER",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Valkey => "valkey-server",
            Self::Redis => "redis-server",
        }
    }

    fn in_tools(self) -> &'static str {
        match self {
            Self::Valkey => "valkey/usr/bin/valkey-server",
            Self::Redis => "redis/usr/bin/redis-server",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_next_to_the_server_comes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let cli = folder.path().join("redis-cli");
        std::fs::write(&cli, "").expect("written");
        assert_eq!(client_of(&folder.path().join("valkey-server")), Some(cli));
    }

    #[test]
    fn each_is_known_by_what_it_says() {
        let (valkey, redis) =
            ("Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0", "Redis server v=7.0.15 sha=0");
        assert!(ValkeyKind::Valkey.is_new(valkey) && ValkeyKind::Redis.is_new(redis));
        assert!(!ValkeyKind::Redis.is_new(valkey) && !ValkeyKind::Valkey.is_new(redis));
        assert!(!ValkeyKind::Redis.is_new("Redis server v=6.2.14 sha=0"));
        assert!(!ValkeyKind::Valkey.is_new("error while loading shared libraries: liblzf.so.1"));
    }
}
