use blackfriday_intake::WritersError;

use crate::catalogue::CatalogueError;

/// Why the gateway ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The writers' target or certificates cannot be read.
    #[error("cannot find the way to the writers")]
    Target(#[source] WritersError),
    /// The relay's URL cannot be used.
    #[error("relay URL {0}: must be http://host:port")]
    RelayUrl(url::Url),
    /// What may be sold is not known.
    #[error("cannot read the catalogue (see --catalogue)")]
    Catalogue(#[source] CatalogueError),
}

impl Error {
    /// Whether another try may succeed with the same settings.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Catalogue(error) if error.is_unavailable())
    }
}
