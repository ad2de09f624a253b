use blackfriday_broker::{BrokerError, PublishError};
use blackfriday_proto::{ErrorCode, Refusal};
use blackfriday_service::Failure;
use blackfriday_service::tls::TlsError;

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
    #[error("read the certificates")]
    Tls(#[source] TlsError),
    /// The producer cannot be made.
    #[error("make the producer")]
    Producer(#[source] BrokerError),
    /// The reflection service cannot be made.
    #[error("make the reflection service")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The server broke.
    #[error("serve gRPC")]
    Serve(#[source] tonic::transport::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Limits { .. } | Error::Tls(_) | Error::Producer(BrokerError::Client(_)) => {
                Self::Configuration(error.into())
            }
            Error::Producer(_) | Error::Reflection(_) | Error::Serve(_) => Self::Internal(error.into()),
        }
    }
}

/// What the client is told of a record that was not acknowledged.
pub(crate) fn of_publish(error: PublishError) -> Refusal {
    let code = match error {
        PublishError::QueueFull => ErrorCode::Overloaded,
        PublishError::Unavailable => ErrorCode::Unavailable,
        PublishError::OutcomeUnknown => ErrorCode::OutcomeUnknown,
        PublishError::TooLarge => ErrorCode::TooLarge,
        PublishError::Rejected(_) => ErrorCode::Internal,
    };
    Refusal::new(code, error.to_string())
}
