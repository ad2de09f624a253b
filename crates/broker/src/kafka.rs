//! Kafka, by librdkafka.
//!
//! Every setting that differs from librdkafka's default is in this module, with its reason. The names are those of
//! librdkafka's CONFIGURATION.md.

mod admin;
mod alone;
mod client;
mod config;
mod deliveries;
mod fate;
mod fetched;
mod headers;
mod lifeline;
mod membership;
mod monitor;
mod producer;
mod reports;
mod scheduling;
mod security;
mod served;
mod subscription;
mod turns;

pub use admin::Admin;
pub use config::{KafkaConfig, ProducerConfig};
pub use membership::Membership;
pub use producer::{Producer, producer_settings};
pub use security::{KafkaSecurity, SecurityProtocol};
pub use subscription::Subscription;
