use blackfriday_intake::WritersError;

/// Why the gateway ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The writers' target or certificates cannot be read.
    #[error("find the way to the writers")]
    Target(#[source] WritersError),
    /// The relay's URL cannot be used.
    #[error("relay URL {0}: must be http://host:port")]
    RelayUrl(url::Url),
}
