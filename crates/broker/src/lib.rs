//! The event log, used as partitions of records with offsets: publish and await the acknowledgement; subscribe to
//! partitions, each from a given offset, and get batches.
//!
//! The log is [`kafka`] or [`rabbitmq`]; what they have in common is in this root, whose types name neither. What each
//! gives for what this crate promises:
//!
//! | promise | Kafka | RabbitMQ |
//! |---|---|---|
//! | a partition | a partition of a topic | a stream |
//! | acknowledged is durable | `acks=all` | the stream's confirmation: on a majority of its servers |
//! | a record once | idempotent producer, sent again by the client | not sent again: unknown when its connection breaks |
//! | where it is | partition and offset | partition |
//! | time of acceptance | append time of the record | time of its chunk |
//! | a position that is gone | an error of the broker | the record before it must come first |
//! | a log that is another one | the topic's id, the last record | the stream is lost, the last record |
//! | the log's range | asked for | its first and its last chunk |
//! | a log that takes nothing | no answer within a second | likewise, and a publisher is refused |
//! | who reads what | a consumer group | single active consumers from 3.11 on, else everybody everything |
//!
//! Invariant: an acknowledged record is on the broker; membership of a group decides who reads a partition, never from
//! which offset.

mod admin;
mod availability;
mod complaints;
mod config;
pub mod dead_letter;
mod delivery;
mod error;
mod faults;
pub mod kafka;
mod membership;
mod partition;
mod producer;
mod progress;
pub mod rabbitmq;
mod reach;
mod record;
mod subscription;

pub use admin::{Admin, TopicDifference, TopicSpec};
pub use availability::Availability;
pub use blackfriday_event::{SALES, WEATHER};
pub use config::{EventLog, LogConfig, ProducerConfig};
pub use delivery::{BatchDelivery, Outcome};
pub use error::{BrokerError, Cause, PublishError};
pub use faults::Reasons;
pub use membership::{Membership, MembershipEvent, Release};
pub use partition::{Topic, TopicPartition};
pub use producer::{Destination, Producer};
pub use record::{LastRead, OutgoingRecord, Position, Record, RecordBatch, Watermarks};
pub use subscription::{BatchLimits, Subscription, SubscriptionEvent};
