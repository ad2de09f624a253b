//! What the gateway lets be sold: the products of a workload, read once at the start.
//!
//! The store keeps each product for good, so without a catalogue anybody who may send sales decides how large it grows.

use std::path::{Path, PathBuf};

use blackfriday_intake::Catalogue;
use blackfriday_registry::{Access, RegistryAuth, RegistryClient, RegistryError, reference};
use blackfriday_telemetry::access::{FileError, SettingFile};
use blackfriday_workload::{Workload, WorkloadError, artifact};

const SCHEME: &str = "oci://";

/// Which products may be sold, and how a registry that has their list is reached.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Catalogue")]
pub struct CatalogueConfig {
    /// The products that may be sold, each in its category: a workload's TOML file, or `oci://host[:port]/path@sha256:…` in
    /// a registry. Sales of others are answered with 422. Without it every product may be sold.
    #[arg(long, env = "BLACKFRIDAY_CATALOGUE", value_name = "FILE|REF")]
    pub catalogue: Option<String>,
    /// Certificates, in PEM, of the authorities that may vouch for the catalogue's registry, instead of the machine's own.
    #[arg(long, env = "BLACKFRIDAY_CATALOGUE_CA", value_name = "FILE")]
    pub catalogue_ca: Option<PathBuf>,
    /// User of the catalogue's registry; nobody without it.
    #[arg(long, env = "BLACKFRIDAY_CATALOGUE_USERNAME", value_name = "NAME")]
    pub catalogue_username: Option<String>,
    /// File whose first line is the password of the registry's user.
    #[arg(long, env = "BLACKFRIDAY_CATALOGUE_PASSWORD_FILE", value_name = "FILE")]
    pub catalogue_password_file: Option<PathBuf>,
    /// Speak to the registry without TLS: the password can be read and the catalogue changed on the way.
    #[arg(long, conflicts_with = "catalogue_ca")]
    pub catalogue_plain_http: bool,
}

/// The catalogue cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A file cannot be read.
    #[error("cannot read {path}", path = .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no workload.
    #[error("{path} is not a catalogue", path = .path.display())]
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
    /// The registry's user has no password.
    #[error("the registry's user needs a password: the first line of --catalogue-password-file")]
    NoPassword,
    /// There is no place to pull it to.
    #[error("cannot make a folder to pull the catalogue to")]
    Folder(#[source] std::io::Error),
}

impl CatalogueError {
    /// Whether another try may succeed with the same settings: the registry was away, or did not have it.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::File { .. } | Self::Workload { .. } | Self::NoPassword => false,
            Self::Folder(_) => true,
            Self::Registry { source, .. } => !matches!(
                source,
                RegistryError::Reference { .. }
                    | RegistryError::Client(_)
                    | RegistryError::OtherKind { .. }
                    | RegistryError::Manifest { .. }
            ),
        }
    }
}

impl CatalogueConfig {
    /// The products that may be sold; `None` if all may.
    ///
    /// # Errors
    /// A file cannot be read, what is there is no workload, or the registry does not give it.
    pub async fn read(&self) -> Result<Option<Catalogue>, CatalogueError> {
        let Some(source) = &self.catalogue else { return Ok(None) };
        let workload = match source.strip_prefix(SCHEME) {
            Some(_) => self.pull(source).await?,
            None => of_file(Path::new(source))?,
        };
        let products = workload.products.iter().map(|product| (product.id.clone(), product.category));
        let catalogue: Catalogue = products.collect();
        let digest = workload.digest();
        tracing::info!(source, digest, products = catalogue.len(), "only the catalogue's products are sold");
        Ok(Some(catalogue))
    }

    async fn pull(&self, text: &str) -> Result<Workload, CatalogueError> {
        let failed = |source| CatalogueError::Registry { reference: text.to_owned(), source };
        let at = reference(text).map_err(failed)?;
        let ca = self.catalogue_ca.as_deref();
        let ca = ca.map(|path| SettingFile::new("--catalogue-ca", path).read()).transpose();
        let ca = ca.map_err(of_file_error)?;
        let access = Access { ca, auth: self.auth()?, plain_http: self.catalogue_plain_http };
        let registry = RegistryClient::new(&access).map_err(failed)?;
        let folder = tempfile::tempdir().map_err(CatalogueError::Folder)?;
        let target = folder.path().join("workload.toml");
        let (_, workload) = artifact::pull(&registry, &at, &target).await.map_err(failed)?;
        Ok(workload)
    }

    fn auth(&self) -> Result<RegistryAuth, CatalogueError> {
        let Some(username) = self.catalogue_username.clone() else { return Ok(RegistryAuth::Anonymous) };
        let path = self.catalogue_password_file.as_deref().ok_or(CatalogueError::NoPassword)?;
        let password = SettingFile::new("--catalogue-password-file", path).secret().map_err(of_file_error)?;
        Ok(RegistryAuth::Basic(username, password.expose().to_owned()))
    }
}

fn of_file(path: &Path) -> Result<Workload, CatalogueError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| CatalogueError::File { path: path.to_owned(), source })?;
    Workload::parse(&text).map_err(|source| CatalogueError::Workload { path: path.to_owned(), source })
}

fn of_file_error(FileError { path, source, .. }: FileError) -> CatalogueError {
    CatalogueError::File { path, source }
}
