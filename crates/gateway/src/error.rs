use blackfriday_intake::WritersError;

/// Why the gateway ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The writers' target cannot be read.
    #[error("read the writers' target")]
    Target(#[source] WritersError),
    /// The relay's URL cannot be used.
    #[error("relay URL {0}: must be http://host:port")]
    RelayUrl(url::Url),
}
