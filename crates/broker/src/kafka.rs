//! Kafka, by librdkafka.
//!
//! Every setting that differs from librdkafka's default is in this module, with its reason. The names are those of
//! librdkafka's CONFIGURATION.md.

mod admin;
mod alone;
mod client;
mod complaints;
mod config;
mod deliveries;
mod delivery;
mod fate;
mod faults;
mod fetched;
mod headers;
mod lifeline;
mod membership;
mod monitor;
mod producer;
mod progress;
mod scheduling;
mod security;
mod subscription;

pub use admin::{Admin, TopicSpec};
pub use config::{KafkaConfig, ProducerConfig};
pub use delivery::BatchDelivery;
pub use faults::Reasons;
pub use membership::{Membership, MembershipEvent, Release};
pub use producer::{Destination, Producer};
pub use security::{KafkaSecurity, SecurityProtocol};
pub use subscription::{BatchLimits, Subscription, SubscriptionEvent};
