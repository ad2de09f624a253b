use blackfriday_broker::{BrokerError, PublishError};
use blackfriday_proto::{ErrorCode, SaleError};

/// Why the writer ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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

/// What the client is told of a record that was not acknowledged.
pub(crate) fn of_publish(error: PublishError) -> SaleError {
    let code = match error {
        PublishError::QueueFull => ErrorCode::Overloaded,
        PublishError::Unavailable => ErrorCode::Unavailable,
        PublishError::OutcomeUnknown => ErrorCode::OutcomeUnknown,
        PublishError::TooLarge => ErrorCode::TooLarge,
        PublishError::Rejected(_) => ErrorCode::Internal,
    };
    SaleError::new(code, error.to_string())
}
