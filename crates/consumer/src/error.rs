use blackfriday_broker::BrokerError;
use blackfriday_service::Failure;
use blackfriday_store::StoreError;

/// Why the consumer ends. Everything that may pass by itself is waited for instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A client setting is refused.
    #[error("cannot make the clients")]
    Client(#[source] BrokerError),
    /// The store's address cannot be used.
    #[error("cannot make the store's client")]
    StoreClient(#[source] StoreError),
    /// The store is not as it should be.
    #[error("cannot count into the store")]
    Store(#[source] StoreError),
    /// A thread or task of the consumer died.
    #[error("the consumer's {0} died")]
    Died(&'static str),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Client(BrokerError::Client(_)) | Error::StoreClient(_) => {
                Self::Configuration(error.into())
            }
            Error::Client(_) | Error::Store(_) | Error::Died(_) => Self::Internal(error.into()),
        }
    }
}
