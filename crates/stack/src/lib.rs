//! Real Kafka, RabbitMQ, Valkey and an OCI registry as child processes on free loopback ports, for tests and for
//! `blackfriday demo`; and what can happen to them.
//!
//! [`Kafka`], [`RabbitMq`], [`Valkey`] and [`Sentinel`] can be stopped, killed, paused and started again on the same port
//! and data, [`OciRegistry`] all of it but paused; [`Process`] does the same for any other binary. [`KafkaCluster`] and
//! [`ValkeyGroup`] are several that belong together. [`Proxy`] is the network between any two parts, [`Scarce`] what a process
//! can run out of, [`Clock`] its time of day. [`eventually`] waits for a condition with a limit.
//!
//! Invariant: no child outlives its parent. A dropped value kills its process at once; a parent that is killed
//! takes its children along by `PR_SET_PDEATHSIG`. Data is kept in a temporary folder,
//! removed on drop, or by the next start if its owner was killed; at a [`Place`] with a folder it stays.

mod authority;
mod certificates;
mod clients;
mod clock;
mod error;
mod eventually;
mod folder;
mod kafka;
mod locate;
mod place;
mod port;
mod private_file;
mod process;
mod proxy;
mod rabbitmq;
mod registry;
mod schemathesis;
mod server;
mod valkey;

pub use authority::{Authority, Identity};
pub use clients::Clients;
pub use clock::Clock;
pub use error::StackError;
pub use eventually::eventually;
pub use folder::Folder;
pub use kafka::{
    Election, Grant, Kafka, KafkaCluster, KafkaClusterOptions, KafkaOptions, PartitionState, SecureListener,
};
pub use place::Place;
pub use port::{KeptPort, PortChoice, free_port};
pub use process::{Process, Scarce};
pub use proxy::{Proxy, Wire, kafka_request, request_with};
pub use rabbitmq::{Alarm, RabbitMq, RabbitMqOptions, RabbitMqUser};
pub use registry::{OciRegistry, Password, RegistryOptions, RegistryProgram};
pub use schemathesis::schemathesis;
pub use valkey::{
    Sentinel, SentinelOptions, Valkey, ValkeyGroup, ValkeyGroupOptions, ValkeyKind, ValkeyOptions,
};
