//! The relay: REST in, gRPC out, balanced over all writers.
//!
//! It is between the gateway (or any client) and the writers. What it takes and answers is what the gateway takes and
//! answers; `intake` does the work for both.
//!
//! Invariant: it holds no event: an answer is the writer's answer, or says that the writer gave none.

mod config;
mod error;
mod routes;

pub use config::Config;
pub use error::Error;
pub use routes::run;
