//! Kubernetes: brings the whole system into a cluster, and looks at one.
//!
//! Both verbs type what one would type, `kubectl` and `kustomize`. `line` is a command as it is printed, `shell` runs it and sorts
//! its failures, `overlay` says what a place takes in: `deploy` and `doctor` are built on them. Who asks a cluster by
//! itself reads `quantity`, and sorts failures by [`refusal`].

pub mod deploy;
pub mod doctor;
mod line;
mod overlay;
pub mod quantity;
mod shell;

pub use shell::refusal;
