use blackfriday_publish::PublisherError;
use blackfriday_service::Failure;
use blackfriday_telemetry::access::FileError;

/// Why the writer ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
            Error::Tls(_) => Self::Configuration(error.into()),
            Error::Publisher(ref cause) if cause.is_configuration() => Self::Configuration(error.into()),
            Error::Publisher(_) | Error::Reflection(_) | Error::Serve(_) => Self::Internal(error.into()),
        }
    }
}
