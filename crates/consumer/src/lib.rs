//! The consumer: counts the records of the event log into the store, each exactly once.
//!
//! The group's membership says which partitions should be ours; where to go on in each, the store says, and also whether
//! any consumer counts it: one that none counts is adopted without waiting for the group. A batch is decoded and folded while
//! the one before is being applied. When the store refuses a batch, because its position is another one, the
//! consumer seeks to that position: replays, rebalances, zombies and a store that lost its last second are all the same case.
//!
//! Invariant: nothing is counted but by [`blackfriday_store::Store::apply`], and no position passes a record that was
//! neither counted nor acknowledged by the dead-letter topic.

mod config;
mod consume;
mod count;
mod dead_letter;
mod error;
mod fold;
mod guard;
#[cfg(test)]
mod model;
mod owned;
mod progress;
mod start;
mod troubles;
mod watch;

pub use config::{Config, OnGap};
pub use consume::run;
pub use error::Error;
