//! Where a workload is: a TOML file, or an artifact in a registry.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use blackfriday_registry::{RegistryClient, RegistryError, reference};

use crate::artifact;
use crate::catalogue::{Workload, WorkloadError};

const SCHEME: &str = "oci://";

/// Where a workload is. Text that begins with `oci://` is a reference, any other a path.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file on this machine.
    File(PathBuf),
    /// `oci://host[:port]/path` with a tag or a digest.
    Registry(String),
    /// In memory: it was read before.
    Read(Arc<Workload>),
}

/// A workload cannot be read from where it is.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("cannot read {path}", path = .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no workload.
    #[error("{path} is not a workload", path = .path.display())]
    Workload {
        /// Which one.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: WorkloadError,
    },
    /// The registry did not give it.
    #[error("cannot pull {reference}")]
    Registry {
        /// What was asked for.
        reference: String,
        /// Why.
        #[source]
        source: RegistryError,
    },
    /// There is no place to pull it to.
    #[error("cannot make a folder to pull the workload to")]
    Folder(#[source] io::Error),
}

impl Source {
    /// The workload. `client` is asked for only if it is in a registry.
    ///
    /// # Errors
    /// The file cannot be read, what is there is no workload, or the registry does not give it.
    pub async fn read(
        &self,
        client: impl FnOnce() -> Result<RegistryClient, RegistryError>,
    ) -> Result<Workload, SourceError> {
        let text = match self {
            Self::File(path) => return of_file(path),
            Self::Read(workload) => return Ok(Workload::clone(workload)),
            Self::Registry(text) => text,
        };
        let failed = |source| SourceError::Registry { reference: text.clone(), source };
        let at = reference(text).map_err(failed)?;
        let registry = client().map_err(failed)?;
        let folder = tempfile::tempdir().map_err(SourceError::Folder)?;
        let target = folder.path().join("workload.toml");
        let (_, workload) = artifact::pull(&registry, &at, &target).await.map_err(failed)?;
        Ok(workload)
    }
}

impl SourceError {
    /// Whether another try may succeed with the same settings: the registry was away, or did not have it.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::File { .. } | Self::Workload { .. } => false,
            Self::Folder(_) => true,
            Self::Registry { source, .. } => !matches!(
                source,
                RegistryError::Reference { .. }
                    | RegistryError::Client(_)
                    | RegistryError::NoPassword { .. }
                    | RegistryError::Setting(_)
                    | RegistryError::OtherKind { .. }
                    | RegistryError::Manifest { .. }
            ),
        }
    }

    /// The exit code of sysexits.h: 64 for a wrong file, 74 without a folder, else as [`RegistryError::exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::File { .. } | Self::Workload { .. } => 64,
            Self::Registry { source, .. } => source.exit_code(),
            Self::Folder(_) => 74,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Registry(reference) => f.write_str(reference),
            Self::Read(workload) => f.write_str(&workload.title),
        }
    }
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if text.starts_with(SCHEME) {
            Ok(Self::Registry(text.to_owned()))
        } else {
            Ok(Self::File(text.into()))
        }
    }
}

fn of_file(path: &Path) -> Result<Workload, SourceError> {
    let text =
        fs::read_to_string(path).map_err(|source| SourceError::File { path: path.to_owned(), source })?;
    Workload::parse(&text).map_err(|source| SourceError::Workload { path: path.to_owned(), source })
}
