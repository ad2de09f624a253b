//! From commands to acknowledged records: each event is encoded, given its partition and handed to the producer, and its
//! acknowledgement awaited.
//!
//! The last step in front of the event log: what the writer does for its clients, and what any process does that writes to
//! the log itself.
//!
//! Invariant: an event is accepted only when the broker has acknowledged its record; any other outcome says whether the
//! record was surely not written, or may have been. Events under one idempotency key go to one partition for good.

mod config;
mod error;
mod in_flight;
mod publisher;
mod signs;
mod target;

pub use config::PublishConfig;
pub use error::PublisherError;
pub use publisher::Publisher;
pub use signs::{Signs, Takes};
