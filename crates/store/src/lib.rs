//! The counters in Valkey: key schema, the atomic apply function, the reads.
//!
//! The consumer's position lies beside the counters it led to. [`Store::apply`] changes both in one step of one Valkey
//! function, or neither: it is refused unless the stored position is the one that the batch starts from. Whatever
//! happens to consumers or to Valkey, reading the position again and going on from there is right.
//!
//! Invariant: every key is a commutative fold of the events below the stored positions. [`model`] says the same a second
//! time, naively, for property tests and for `verify`.

mod access;
mod address;
mod apply;
mod config;
mod connection;
mod dump;
mod error;
mod functions;
mod keys;
pub mod model;
mod partitions;
mod policy;
mod sentinels;
mod snapshot;
mod store;
mod window;

pub use access::ValkeyAccess;
pub use address::ValkeyUrl;
pub use apply::{Batch, BatchTally, LastRecord, Outcome};
pub use config::{StoreConfig, ValkeyConfig};
pub use error::StoreError;
pub use model::{Conflict, Difference, Recorded, Value};
pub use partitions::StoredPartition;
pub use policy::Eviction;
pub use snapshot::{
    CategorySnapshot, PriceAt, ProductUnits, SalesAt, Snapshot, SnapshotRequest, WeatherSnapshot,
};
pub use store::Store;
