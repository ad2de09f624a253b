//! What the gateway lets be sold: the products of a workload, read once at the start.
//!
//! The store keeps each product for good, so without a catalogue anybody who may send sales decides how large it grows.

use std::path::PathBuf;

use blackfriday_intake::Catalogue;
use blackfriday_registry::{Access, RegistryAuth, RegistryClient, RegistryError};
use blackfriday_telemetry::access::SettingFile;
use blackfriday_workload::{Source, SourceError};

/// Which products may be sold, and how a registry that has their list is reached.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Catalogue")]
pub struct CatalogueConfig {
    /// The products that may be sold, each in its category: a workload's TOML file, or `oci://host[:port]/path@sha256:…` in
    /// a registry. Sales of others are answered with 422. Without it every product may be sold.
    #[arg(long, env = "BLACKFRIDAY_CATALOGUE", value_name = "FILE|REF")]
    pub catalogue: Option<Source>,
    /// Certificates, in PEM, of the authorities that may vouch for the catalogue's registry, instead of the machine's own.
    #[arg(long, env = "BLACKFRIDAY_CATALOGUE_CA", value_name = "FILE")]
    pub catalogue_ca: Option<PathBuf>,
    /// User of the catalogue's registry; nobody without it.
    #[arg(
        long,
        env = "BLACKFRIDAY_CATALOGUE_USERNAME",
        value_name = "NAME",
        requires = "catalogue_password_file"
    )]
    pub catalogue_username: Option<String>,
    /// File whose first line is the password of the registry's user.
    #[arg(long, env = "BLACKFRIDAY_CATALOGUE_PASSWORD_FILE", value_name = "FILE")]
    pub catalogue_password_file: Option<PathBuf>,
    /// Speak to the registry without TLS: the password can be read and the catalogue changed on the way.
    #[arg(long, conflicts_with = "catalogue_ca")]
    pub catalogue_plain_http: bool,
}

impl CatalogueConfig {
    /// The products that may be sold; `None` if all may.
    ///
    /// # Errors
    /// A file cannot be read, what is there is no workload, or the registry does not give it.
    pub async fn read(&self) -> Result<Option<Catalogue>, SourceError> {
        let Some(source) = &self.catalogue else { return Ok(None) };
        let workload = source.read(|| self.client()).await?;
        let products = workload.products.iter().map(|product| (product.id.clone(), product.category));
        let catalogue: Catalogue = products.collect();
        let digest = workload.digest();
        tracing::info!(%source, digest, products = catalogue.len(), "only the catalogue's products are sold");
        Ok(Some(catalogue))
    }

    fn client(&self) -> Result<RegistryClient, RegistryError> {
        let ca = self.catalogue_ca.as_deref();
        let ca = ca.map(|path| SettingFile::new("--catalogue-ca", path).read()).transpose()?;
        RegistryClient::new(&Access { ca, auth: self.auth()?, plain_http: self.catalogue_plain_http })
    }

    fn auth(&self) -> Result<RegistryAuth, RegistryError> {
        let (Some(username), Some(path)) = (self.catalogue_username.clone(), &self.catalogue_password_file)
        else {
            return Ok(RegistryAuth::Anonymous);
        };
        let password = SettingFile::new("--catalogue-password-file", path).secret()?;
        Ok(RegistryAuth::Basic(username, password.expose().to_owned()))
    }
}
