use blackfriday_broker::BrokerError;

/// Why nothing can be published.
#[derive(Debug, thiserror::Error)]
pub enum PublisherError {
    /// A batch that is allowed could never be published.
    #[error("at most {in_flight} records in flight leave no room for a batch of {batch} sales")]
    NoRoom {
        /// Sales allowed in a batch.
        batch: usize,
        /// Records allowed in flight.
        in_flight: usize,
    },
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

impl PublisherError {
    /// Whether other settings are needed.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::NoRoom { .. } | Self::Settings(_))
    }
}
