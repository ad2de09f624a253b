//! A client of OCI registries, and the flags that say how one is reached.
//!
//! The gateway reads its catalogue with it, and the commands push images, workloads and results of experiments. Every answer is
//! checked, every refusal is named. Invariant: credentials go to the registry of the reference and nowhere else, never over plain
//! HTTP unless that was asked for, and never into a log or an error.

mod access;
pub mod artifact;
mod client;
pub mod digest;
mod error;

pub use access::AccessArguments;
pub use client::blobs::CHUNK;
pub use client::{Access, Found, RegistryClient, pinned, reference, tagged};
pub use error::RegistryError;
pub use oci_client::Reference;
pub use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageIndex, OciImageManifest};
pub use oci_client::secrets::RegistryAuth;
