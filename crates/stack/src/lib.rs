//! Real Kafka, Valkey and an OCI registry as child processes on free loopback ports, for tests and for `blackfriday demo`.
//!
//! [`Kafka`], [`Valkey`] and [`Sentinel`] can be stopped, killed, paused and started again on the same port and data,
//! [`Registry`] all of it but paused; [`Process`] does the same for any other binary. [`eventually`] waits for a condition with
//! a limit.
//!
//! Invariant: no child outlives its parent. A dropped value kills its process at once; a parent that is killed
//! takes its children along by `PR_SET_PDEATHSIG`. Data is kept in a temporary folder,
//! removed on drop, or by the next start if its owner was killed.

mod authority;
mod certificates;
mod error;
mod eventually;
mod folder;
mod kafka;
mod locate;
mod port;
mod private_file;
mod process;
mod registry;
mod server;
mod valkey;

pub use authority::{Authority, Identity};
pub use error::StackError;
pub use eventually::eventually;
pub use kafka::{Grant, Kafka, KafkaOptions, SecureListener};
pub use port::free_port;
pub use process::Process;
pub use registry::{Password, Registry, RegistryOptions, RegistryProgram};
pub use valkey::{Sentinel, SentinelOptions, Valkey, ValkeyOptions};
