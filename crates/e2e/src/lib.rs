//! The whole pipeline as separate processes, for tests of it and of its faults.
//!
//! [`Pipeline`] starts real Kafka and Valkey and our own binaries, each on a port of its own, and can stop, kill and
//! start again any of them; [`BothLogs`] does so with Kafka and RabbitMQ, Redis and Valkey. `load` and `verify` are the
//! real commands, run as a user would run them.
//!
//! Invariant: whatever a test does to a process, nothing survives the test.

mod both_logs;
mod pipeline;

pub use blackfriday_lab::{Answer, Load, Processes, Service, get, post, post_with, program};
pub use both_logs::BothLogs;
pub use pipeline::Pipeline;
