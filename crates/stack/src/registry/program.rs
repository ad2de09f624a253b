use std::path::{Path, PathBuf};

use crate::error::StackError;
use crate::locate;

const ZOT: &str = "BLACKFRIDAY_ZOT";
const DOCKER_REGISTRY: &str = "BLACKFRIDAY_DOCKER_REGISTRY";
const WHAT: &str = "an OCI registry (zot or docker-registry)";

/// A registry's program, by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryProgram {
    /// Zot.
    Zot(PathBuf),
    /// Docker's registry, as Debian packages it.
    DockerRegistry(PathBuf),
}

impl RegistryProgram {
    /// Zot if it is named by a variable or on PATH, else Docker's registry by a variable, on PATH or under `.tools`.
    ///
    /// # Errors
    /// None of them is there, or a variable names something else.
    pub fn find() -> Result<Self, StackError> {
        if let Some(path) = named(ZOT)? {
            return Ok(Self::Zot(path));
        }
        if let Some(path) = named(DOCKER_REGISTRY)? {
            return Ok(Self::DockerRegistry(path));
        }
        if let Some(path) = locate::on_path("zot") {
            return Ok(Self::Zot(path));
        }
        let others =
            [locate::on_path("docker-registry"), locate::in_tools("registry/usr/bin/docker-registry")];
        let other = others.into_iter().flatten().next();
        other.map(Self::DockerRegistry).ok_or(StackError::Missing { what: WHAT, variable: ZOT })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Zot(path) | Self::DockerRegistry(path) => path,
        }
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Zot(_) => "Zot",
            Self::DockerRegistry(_) => "docker-registry",
        }
    }
}

fn named(variable: &'static str) -> Result<Option<PathBuf>, StackError> {
    match locate::named_by(variable) {
        Some(path) if !path.is_file() => Err(StackError::Misnamed { what: WHAT, variable, path }),
        named => Ok(named),
    }
}
