//! A workload as an OCI artifact: the TOML file as its one layer, and a small configuration that says what it is.
//!
//! Invariant: equal files give equal digests. No time of creation and no name of a file goes in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use blackfriday_registry::artifact::{Content, Kind, TITLE, type_of};
use blackfriday_registry::{OciDescriptor, OciImageManifest, Reference, RegistryClient, RegistryError};
use bytes::Bytes;
use serde_json::json;

use crate::catalogue::{Workload, WorkloadError};

pub use blackfriday_registry::artifact::Pushed;

/// What the whole is.
pub const ARTIFACT_TYPE: &str = "application/vnd.blackfriday.workload.v1";
/// What its configuration is: title, number of products and seed, as JSON.
pub const CONFIG_TYPE: &str = "application/vnd.blackfriday.workload.config.v1+json";
/// What its one layer is: the file, as TOML.
pub const LAYER_TYPE: &str = "application/vnd.blackfriday.workload.catalogue.v1+toml";
/// Bytes of the largest file.
pub const LARGEST: u64 = 64 * 1024 * 1024;

const KIND: Kind = Kind {
    name: "workload",
    artifact_type: ARTIFACT_TYPE,
    config_type: CONFIG_TYPE,
    layer_type: LAYER_TYPE,
    largest: LARGEST,
    most_files: 1,
};
const PRODUCTS: &str = "vnd.blackfriday.workload.products";
const SEED: &str = "vnd.blackfriday.workload.seed";
const FILE_NAME: &str = "workload.toml";

/// What is known of a workload in a registry without reading it.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// `oci://…@sha256:…`, which will always stand for this very workload.
    pub pinned: String,
    /// Digest of the manifest.
    pub digest: String,
    /// The manifest.
    pub manifest: OciImageManifest,
    /// The file: its digest, its length, its media type.
    pub file: OciDescriptor,
}

impl Inspected {
    /// What its manifest says that the whole is. Other tools write their own default here.
    pub fn of_type(&self) -> &str {
        type_of(&self.manifest)
    }
}

/// Writes a workload's file into a registry.
///
/// # Errors
/// The text is no workload or too long, the registry refuses it, or cannot be reached.
pub async fn push(registry: &RegistryClient, at: &Reference, text: String) -> Result<Pushed, RegistryError> {
    let workload = readable(at, &text)?;
    KIND.push(registry, at, content(&workload, text.into())).await
}

/// Reads what a registry has under a reference, except the file itself.
///
/// # Errors
/// It is no workload, is not there, or the registry refuses.
pub async fn inspect(registry: &RegistryClient, at: &Reference) -> Result<Inspected, RegistryError> {
    let found = KIND.inspect(registry, at).await?;
    let file = only(found.files);
    Ok(Inspected { pinned: found.pinned, digest: found.digest, manifest: found.manifest, file })
}

/// Brings a workload's file to `target`: whole and unchanged, or not at all. One that breaks off goes on where it was.
///
/// # Errors
/// As [`inspect`] and [`RegistryClient::pull_blob`], or the file is no workload: it is removed then.
pub async fn pull(
    registry: &RegistryClient,
    at: &Reference,
    target: &Path,
) -> Result<(Inspected, Workload), RegistryError> {
    let inspected = inspect(registry, at).await?;
    registry.pull_blob(at, &inspected.file, target).await?;
    let text = fs::read_to_string(target).map_err(RegistryError::file("read", target))?;
    match readable(at, &text) {
        Ok(workload) => Ok((inspected.clone(), workload.pulled_from(inspected.pinned))),
        Err(error) => {
            fs::remove_file(target).map_err(RegistryError::file("remove", target))?;
            Err(error)
        }
    }
}

fn readable(at: &Reference, text: &str) -> Result<Workload, RegistryError> {
    if text.len() as u64 > LARGEST {
        return Err(KIND.refusal(at, format!("{} bytes, over the limit of {LARGEST}", text.len())));
    }
    Workload::parse(text).map_err(|error| match error {
        WorkloadError::Toml(cause) => KIND.refusal(at, cause.to_string()),
        error => KIND.refusal(at, error.to_string()),
    })
}

fn content(workload: &Workload, file: Bytes) -> Content {
    let annotations = BTreeMap::from([
        (TITLE.to_owned(), workload.title.clone()),
        (PRODUCTS.to_owned(), workload.products.len().to_string()),
        (SEED.to_owned(), workload.seed.to_string()),
    ]);
    let config = config(workload).into();
    Content { config, files: vec![(FILE_NAME.to_owned(), file)], annotations, subject: None }
}

fn config(workload: &Workload) -> Vec<u8> {
    let Workload { title, seed, products, .. } = workload;
    json!({"products": products.len(), "seed": seed, "title": title}).to_string().into_bytes()
}

fn only(mut files: Vec<OciDescriptor>) -> OciDescriptor {
    files.pop().expect("a workload has one file, or is refused")
}

/// What holds of any manifest and any index.
#[cfg(any(test, fuzzing))]
pub(crate) fn names_what_may_be_asked_for_or_is_refused(bytes: &[u8]) {
    if let Ok(manifest) = serde_json::from_slice::<OciImageManifest>(bytes) {
        match KIND.files_of(&manifest) {
            Ok(files) => {
                let file = only(files);
                assert!(blackfriday_registry::digest::is_sha256(&file.digest) && file.urls.is_none());
                assert!((0..=64 << 20).contains(&file.size));
            }
            Err(why) => assert!(!why.is_empty()),
        }
    }
    if let Ok(index) = serde_json::from_slice::<blackfriday_registry::OciImageIndex>(bytes) {
        match KIND.manifest_of(&index) {
            Ok(digest) => assert!(blackfriday_registry::digest::is_sha256(&digest)),
            Err(why) => assert!(!why.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests;
