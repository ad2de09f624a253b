//! The consumer over real Kafka and Valkey: whatever happens, the store is what the log adds up to.

mod bench;
mod contest;
mod counting;
mod dead_letters;
mod leaders;
mod permissions;
mod recovery;
mod stops;
mod stores;
