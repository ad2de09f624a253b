use blackfriday_broker::BrokerError;

/// Why nothing can be published.
#[derive(Debug, thiserror::Error)]
pub enum PublisherError {
    /// The client refuses a setting.
    #[error("the producer's settings cannot work")]
    Settings(#[source] BrokerError),
    /// The producer cannot be made.
    #[error("the producer cannot be made")]
    Producer(#[source] BrokerError),
    /// Records were still on their way at the limit.
    #[error("records were still on their way")]
    Flush(#[source] BrokerError),
}
