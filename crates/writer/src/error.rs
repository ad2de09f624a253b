use blackfriday_publish::PublisherError;
use blackfriday_service::Failure;
use blackfriday_telemetry::access::FileError;

/// Why the writer ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A batch that is allowed could never be published.
    #[error("at most {in_flight} records in flight leave no room for a batch of {batch} sales")]
    Limits {
        /// Sales allowed in a batch.
        batch: usize,
        /// Records allowed in flight.
        in_flight: usize,
    },
    /// A certificate or key cannot be used.
    #[error("cannot use the certificates")]
    Tls(#[source] FileError),
    /// Nothing can be published.
    #[error("cannot publish")]
    Publisher(#[source] PublisherError),
    /// The reflection service cannot be made.
    #[error("cannot make the reflection service")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The server broke.
    #[error("cannot serve gRPC")]
    Serve(#[source] tonic::transport::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Limits { .. } | Error::Tls(_) | Error::Publisher(PublisherError::Settings(_)) => {
                Self::Configuration(error.into())
            }
            Error::Publisher(_) | Error::Reflection(_) | Error::Serve(_) => Self::Internal(error.into()),
        }
    }
}
