//! The workload: a product catalogue, an arrival curve, and the seeded traffic drawn from them.
//!
//! `load` and `demo` send what this crate draws. Sale number `n` of a workload is a function of seed and `n` alone, so
//! any number of connections may send a share of it and the whole stays the same. A workload travels as an OCI artifact.
//!
//! Invariant: the same workload and seed give the same sales, on any machine and in any later version.

mod arrivals;
pub mod artifact;
mod catalogue;
mod make;
mod source;
mod traffic;

/// For the fuzz target: what holds of any manifest, any index and any file.
#[cfg(fuzzing)]
pub fn any_artifact(bytes: &[u8]) {
    artifact::names_what_may_be_asked_for_or_is_refused(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        catalogue::can_be_sold_or_is_refused(text);
    }
}

pub use arrivals::Arrivals;
pub use catalogue::{Product, Workload, WorkloadError};
pub use make::{Recipe, make};
pub use source::{Source, SourceError};
pub use traffic::Traffic;
