use blackfriday_intake::WritersError;

/// Why the relay ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The writers' target cannot be read.
    #[error("read the writers' target")]
    Target(#[source] WritersError),
}
