//! The writer: a gRPC server that publishes each sale and each weather report to the event log.
//!
//! Its clients are the relay, the gateway and any client of the assignment's proto; behind it is the broker.
//!
//! Invariant: `OK` is answered only for a record that the broker has acknowledged; anything else says whether the record
//! was surely not written, or may have been.

mod admission;
mod answers;
mod aside;
mod calls;
mod config;
mod connections;
mod error;
mod grpc;
mod gzip;
mod health;
mod mark;
mod message;
mod secured;
mod serve;

pub use config::Config;
pub use error::Error;
pub use serve::run;
