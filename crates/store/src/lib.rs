//! The counters in Valkey: key schema, the atomic apply function, the reads. Redis does in its place: what it does otherwise
//! (its words for a permission that a function lacks, no transactions while its memory is full) is known here alone.
//!
//! The consumer's position is stored next to the counters it led to. [`Store::apply`] changes both in one step of one Valkey
//! function, or neither: it is refused unless the stored position is the one that the batch starts from. Whatever
//! happens to consumers or to Valkey, reading the position again and going on from there is right. What the functions
//! write are states, never differences (`functions.lua`).
//!
//! Invariant: every key is a commutative fold of the events below the stored positions. [`model`] says the same a second
//! time, naively, for property tests and for `verify`.
//!
//! # What belongs to a partition
//!
//! `posicion:<topic>` has the next offset; `ultimo:<topic>` offset and digest of the last counted record, by which a log
//! that lost its tail is known; `detenido:<topic>` why a partition is stopped, until [`Store::resume`]; `esquema` which
//! partitions were begun, so that a lost position is a fault and not a fresh start; `empezado:<topic>` how far an apply
//! goes that has not ended, which is empty but after a torn append-only file. `idempotencia:<topic>:<partition>` has the
//! keys that were counted by time, and the same with `:evento` behind it each key's offset and the digest of its event.
//!
//! # How much room it takes
//!
//! Everything is bounded but these three, measured with Valkey's `MEMORY USAGE` (a test holds the numbers):
//!
//! | what | bytes of its text | bytes stored | for how long |
//! |---|---|---|---|
//! | a product, in a category and over all | 8 to 128 | about 210 to 500 | for good |
//! | an idempotency key with its event | 16 to 128 | about 225 to 480 | 24 hours |
//! | a weather report, by its description | 40 to 1024 | about 210 to 1660 | `--store-weather-ttl-s` |
//!
//! A hash table that has just grown takes up to 16 bytes more for each member. A batch's items have longer keys than their
//! batch: about 20 characters, and 40 bytes stored.

mod access;
mod address;
mod apply;
mod config;
mod connection;
mod dial;
mod dump;
mod error;
mod functions;
mod keys;
pub mod model;
mod part;
mod partitions;
mod policy;
mod sentinels;
mod snapshot;
mod store;
mod window;

pub use access::{SettingNames, ValkeyAccess};
pub use address::{UrlParser, ValkeyUrl};
pub use apply::{Batch, BatchTally, LastRecord, Outcome};
pub use config::{StoreConfig, ValkeyConfig};
pub use error::{Denial, StoreError};
pub use model::{Conflict, Difference, Recorded, Value};
pub use part::Part;
pub use partitions::StoredPartition;
pub use policy::{Eviction, Memory, Replication};
pub use snapshot::{
    CategorySnapshot, PriceAt, PricesAt, ProductUnits, SalesAt, Snapshot, SnapshotRequest, WeatherSnapshot,
};
pub use store::Store;
