//! RabbitMQ's streams, by the stream protocol.
//!
//! The client is our own: `rabbitmq-stream-client` hides the time at which a chunk was appended, which is the time of
//! acceptance, and which stream a metadata update names, and a message that is not AMQP 1.0 ends its connection; AMQP 0.9.1
//! hands out no such time at all.
//!
//! A partition is a stream. `topic-0`, `topic-1` and so on, but weather's first is `clima-queue`.

mod admin;
mod chunk;
mod codes;
mod config;
mod connection;
mod dial;
mod error;
mod frames;
mod membership;
mod message;
mod producer;
mod readers;
mod security;
mod streams;
mod subscription;
mod topology;
mod watermarks;
mod wire;

pub use admin::Admin;
pub use config::{ProducerConfig, RabbitMqConfig};
pub use membership::Membership;
pub use producer::Producer;
pub use security::RabbitMqSecurity;
pub use subscription::Subscription;
