use blackfriday_intake::WritersError;

/// Why the relay ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The writers' target or certificates cannot be read.
    #[error("cannot find the way to the writers")]
    Target(#[source] WritersError),
}
