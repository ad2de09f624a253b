use blackfriday_intake::WritersError;
use blackfriday_publish::PublisherError;
use blackfriday_service::Failure;
use blackfriday_workload::SourceError;

/// Why the gateway ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The writers' target or certificates cannot be read.
    #[error("cannot find the way to the writers")]
    Target(#[source] WritersError),
    /// The relay's URL cannot be used.
    #[error("relay URL {0}: must be http://host:port")]
    RelayUrl(url::Url),
    /// Nothing can be published.
    #[error("cannot publish")]
    Publisher(#[source] PublisherError),
    /// What may be sold is not known.
    #[error("cannot read the catalogue (see --catalogue)")]
    Catalogue(#[source] SourceError),
}

impl Error {
    /// Whether another try may succeed with the same settings.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Catalogue(error) if error.is_unavailable())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Catalogue(ref cause) if cause.is_unavailable() => Self::Unavailable(error.into()),
            Error::Publisher(ref cause) if !cause.is_configuration() => Self::Internal(error.into()),
            _ => Self::Configuration(error.into()),
        }
    }
}
