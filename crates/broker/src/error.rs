use crate::config::EventLog;
use crate::partition::TopicPartition;

/// Why a record is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The producer's queue is full; the record was not taken.
    #[error("the producer's queue is full")]
    QueueFull,
    /// The broker is away, or takes no records, for a reason that this record is not to blame for; it was surely not written.
    #[error("the broker is not available")]
    Unavailable,
    /// The record may or may not have been written.
    #[error("the broker did not acknowledge in time")]
    OutcomeUnknown,
    /// The record by itself is larger than the producer or the topic allows; it was not written.
    #[error("the record is too large")]
    TooLarge,
    /// The client refused the record; it was not written.
    #[error("the client refused the record: {0}")]
    Rejected(String),
}

/// Why something else than publishing failed.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A client setting is wrong.
    #[error("cannot make the client of the event log")]
    Client(#[source] Cause),
    /// Nobody listens where the log should be.
    #[error("{} at {servers} cannot be reached: is it running? See {check}", log.title())]
    Unreachable {
        /// Which log.
        log: EventLog,
        /// Where it should be.
        servers: String,
        /// The flag and the variable that say so.
        check: &'static str,
        /// Why the last server could not be reached.
        #[source]
        reason: std::io::Error,
    },
    /// The broker did not answer.
    #[error("the broker did not answer with {what}")]
    Ask {
        /// What was asked for.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: Cause,
    },
    /// A topic could not be made.
    #[error("cannot create topic {topic}: {reason}")]
    CreateTopic {
        /// The topic.
        topic: String,
        /// The broker's reason.
        reason: String,
    },
    /// There is no such topic.
    #[error("topic {0} does not exist")]
    NoTopic(String),
    /// Records that have not been counted are gone, by retention.
    #[error(
        "{partition}: offset {position} is gone, the log holds {low} to {high}: records {position} to {low} are lost"
    )]
    Gap {
        /// Where.
        partition: TopicPartition,
        /// The next offset to read.
        position: i64,
        /// First offset of the log.
        low: i64,
        /// One past the last offset of the log.
        high: i64,
    },
    /// The log ends before the position: the topic was made again.
    #[error(
        "{partition}: offset {position} is past the end of the log, which holds {low} to {high}: the topic was made again"
    )]
    PastEnd {
        /// Where.
        partition: TopicPartition,
        /// The next offset to read.
        position: i64,
        /// First offset of the log.
        low: i64,
        /// One past the last offset of the log.
        high: i64,
    },
    /// The record before the position is not the one that was read there: the log lost its tail and grew again, or the topic
    /// was made again.
    #[error(
        "{partition}: the record before offset {position} is not the one that was read, the log holds {low} to {high}: it lost its tail, or the topic was made again"
    )]
    Replaced {
        /// Where.
        partition: TopicPartition,
        /// The next offset to read.
        position: i64,
        /// First offset of the log.
        low: i64,
        /// One past the last offset of the log.
        high: i64,
    },
    /// The client's own thread could not be started.
    #[error("cannot start the client's thread")]
    Thread(#[source] std::io::Error),
}

/// The log client's own error.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;
