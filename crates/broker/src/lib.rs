//! The event log, used as partitions of records with offsets: publish and await the acknowledgement; subscribe to
//! partitions, each from a given offset, and get batches.
//!
//! [`kafka`] is the log that is built in. The types in this root and in `record` name nothing of Kafka's client, so that
//! a second log can take its place next to it.
//!
//! Invariant: an acknowledged record is on the broker; membership of a group decides who reads a partition, never from
//! which offset.

mod availability;
pub mod dead_letter;
mod error;
pub mod kafka;
mod partition;
mod record;
mod topics;

pub use availability::Availability;
pub use error::{BrokerError, Cause, PublishError};
pub use partition::{Topic, TopicPartition};
pub use record::{LastRead, OutgoingRecord, Position, Record, RecordBatch, Watermarks};
pub use topics::{SALES, WEATHER};
