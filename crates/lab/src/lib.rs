//! What is measured and proved about the running system.
//!
//! [`mod@bench`] measures every way through the services next to the bare parts that limit it, and [`experiment`] compares
//! variants of the system by it and writes the report.
//!
//! [`chaos`] runs every service as a process of its own on real servers, loads it, breaks it by a seeded schedule of faults,
//! and judges what clients were told against the logs and the stores. [`soak`] sends at a steady rate for a long time, and says
//! whether anything grows. The processes that it needs ([`Processes`], [`Service`],
//! [`Load`]) are also those of the end-to-end tests.
//!
//! Invariant: whatever is done to a process, nothing survives its owner.

pub mod assignment;
pub mod bench;
pub mod chaos;
mod client;
mod durations;
pub mod experiment;
mod load;
mod median;
mod processes;
mod programs;
mod service;
pub mod soak;
mod taken;
mod told;

pub use client::{Answer, get, post, post_with};
pub use load::Load;
pub use processes::Processes;
pub use programs::program;
pub use service::Service;
