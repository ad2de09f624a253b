//! The whole pipeline as separate processes, for tests of it and of its faults.
//!
//! [`Pipeline`] starts real Kafka and Valkey and our own binaries, each on a port of its own, and can stop, kill and
//! start again any of them. `load` and `verify` are the real commands, run as a user would run them.
//!
//! Invariant: whatever a test does to a process, nothing survives the test.

mod binaries;
mod cable;
mod client;
mod pipeline;

pub use binaries::binary;
pub use cable::Cable;
pub use client::{Answer, get, post, post_with};
pub use pipeline::{Load, Pipeline, Service};
