//! The store against the naive model, through a real Valkey: what is counted, what is refused, what is read.

mod failures;
mod properties;
mod reads;
mod setup;
mod tampering;
