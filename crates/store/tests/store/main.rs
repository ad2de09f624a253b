//! The store against the naive model, through a real Valkey: what is counted, what is refused, what is read.

mod access;
mod effects;
mod failures;
mod idempotency;
mod partitions;
mod permissions;
mod properties;
mod reads;
mod replay;
mod sentinels;
mod server;
mod setup;
mod tampering;
