//! The names of products, from the workload that sells them. They are an ornament: no number waits for them.
//!
//! Invariant: a product's id is its key everywhere. A name that is not known is absent, and the id is shown.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use blackfriday_registry::AccessArguments;
use blackfriday_workload::{Source, SourceError, Workload};
use tokio::time::sleep;

/// From one try to read the workload to the next, while its registry does not give it.
const RETRY: Duration = Duration::from_secs(5);

/// Where the names of products are.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Names")]
pub struct NamesConfig {
    /// The workload whose products' names are shown next to their ids: a TOML file, or `oci://host[:port]/path@sha256:…` in a
    /// registry. While the registry does not give it, and without this, ids are shown alone.
    #[arg(long, env = "BLACKFRIDAY_DASHBOARD_WORKLOAD", value_name = "FILE|REF")]
    pub workload: Option<Source>,
    /// How its registry is reached.
    #[command(flatten)]
    pub access: AccessArguments,
}

/// The names of products by their ids, as soon as they are known. Its clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Arc<OnceLock<HashMap<String, String>>>);

impl Names {
    /// The name of the product with this id, if there is one.
    pub(crate) fn of(&self, id: &str) -> Option<String> {
        self.0.get()?.get(id).filter(|name| !name.trim().is_empty()).cloned()
    }

    /// Reads the names, and tries again while the registry does not give them. Returns when they are known, or none are
    /// wanted.
    ///
    /// # Errors
    /// With these settings they can never be read.
    pub(crate) async fn read(self, config: NamesConfig) -> Result<(), SourceError> {
        let Some(source) = &config.workload else { return Ok(()) };
        loop {
            match source.read(|| config.access.client()).await {
                Ok(workload) => {
                    let digest = workload.digest();
                    tracing::info!(%source, digest, products = workload.products.len(), "products have names");
                    self.0.get_or_init(|| by_id(&workload));
                    return Ok(());
                }
                Err(error) if error.is_unavailable() => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "products are shown without names, until another try");
                    sleep(RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn by_id(workload: &Workload) -> HashMap<String, String> {
    workload.products.iter().map(|of| (of.id.as_str().to_owned(), of.name.clone())).collect()
}

#[cfg(test)]
impl FromIterator<(&'static str, &'static str)> for Names {
    fn from_iter<I: IntoIterator<Item = (&'static str, &'static str)>>(names: I) -> Self {
        let names = names.into_iter().map(|(id, name)| (id.to_owned(), name.to_owned()));
        Self(Arc::new(OnceLock::from(names.collect::<HashMap<_, _>>())))
    }
}
