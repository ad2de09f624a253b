//! The gateway: the public REST API.
//!
//! It is between the clients and the relay (REST), the writers (gRPC) or the event log itself, by configuration, and
//! describes itself at `/openapi.json`.
//!
//! Invariant: `202` is answered only when the broker has acknowledged the event.

mod catalogue;
mod config;
mod error;
mod forward;
mod log;
mod relay;
mod routes;

pub use catalogue::CatalogueConfig;
pub use config::{Config, UpstreamKind};
pub use error::Error;
pub use routes::{document, run};
