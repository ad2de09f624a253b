//! A workload as an OCI artifact: one manifest, a small configuration that says what it is, and the TOML file as its layer.
//!
//! What other tools wrote is read as well: a manifest is ours by its artifact type or by the type of a layer, whatever its
//! configuration, its annotations and its other layers are; an index that points to one manifest of ours is read as that.
//!
//! Invariant: equal files give equal digests. No time of creation and no name of a file goes in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use blackfriday_registry::{Found, Reference, RegistryClient, RegistryError, digest, pinned};
use bytes::Bytes;
use oci_client::manifest::{
    ImageIndexEntry, OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageIndex, OciImageManifest,
};
use serde_json::json;

use crate::catalogue::{Workload, WorkloadError};

/// What the whole is.
pub const ARTIFACT_TYPE: &str = "application/vnd.blackfriday.workload.v1";
/// What its configuration is: title, number of products and seed, as JSON.
pub const CONFIG_TYPE: &str = "application/vnd.blackfriday.workload.config.v1+json";
/// What its one layer is: the file, as TOML.
pub const LAYER_TYPE: &str = "application/vnd.blackfriday.workload.catalogue.v1+toml";
/// Bytes of the largest file.
pub const LARGEST: u64 = 64 * 1024 * 1024;

const TITLE: &str = "org.opencontainers.image.title";
const PRODUCTS: &str = "vnd.blackfriday.workload.products";
const SEED: &str = "vnd.blackfriday.workload.seed";
/// The name under which other clients (ORAS) store the layer.
const FILE_NAME: &str = "workload.toml";

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// `oci://…@sha256:…`, which will always stand for this very workload.
    pub pinned: String,
    /// Digest of the manifest.
    pub digest: String,
    /// Whether the file was sent, and not there already.
    pub was_sent: bool,
}

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
        self.manifest.artifact_type.as_deref().unwrap_or(&self.manifest.config.media_type)
    }
}

/// Writes a workload's file into a registry.
///
/// # Errors
/// The text is no workload or too long, the registry refuses it, or cannot be reached.
pub async fn push(registry: &RegistryClient, at: &Reference, text: String) -> Result<Pushed, RegistryError> {
    let workload = readable(at, &text)?;
    let config = Bytes::from(config(&workload));
    let file = Bytes::from(text);
    let manifest = manifest(&workload, &config, &file);
    let bytes = Bytes::from(serde_json::to_vec(&manifest).expect("a manifest has only texts and numbers"));
    let digest = digest::sha256(&bytes);
    let was_sent = registry.push_bytes(at, file).await?;
    registry.push_bytes(at, config).await?;
    registry.push_manifest(at, bytes).await?;
    Ok(Pushed { pinned: pinned(at, &digest), digest, was_sent })
}

/// Reads what a registry has under a reference, except the file itself.
///
/// # Errors
/// It is no workload, is not there, or the registry refuses.
pub async fn inspect(registry: &RegistryClient, at: &Reference) -> Result<Inspected, RegistryError> {
    let not = |reason| RegistryError::OtherKind { reference: at.whole(), wanted: "workload", reason };
    let (manifest, digest) = match registry.find(at).await? {
        (Found::Manifest(manifest), digest) => (*manifest, digest),
        (Found::Index(index), _) => {
            let of_index = manifest_of(&index).map_err(not)?;
            registry.manifest(&at.clone_with_digest(of_index)).await?
        }
    };
    let file = file_of(&manifest).map_err(not)?;
    Ok(Inspected { pinned: pinned(at, &digest), digest, manifest, file })
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
    let not = |reason| RegistryError::OtherKind { reference: at.whole(), wanted: "workload", reason };
    if text.len() as u64 > LARGEST {
        return Err(not(format!("{} bytes, over the limit of {LARGEST}", text.len())));
    }
    Workload::parse(text).map_err(|error| match error {
        WorkloadError::Toml(cause) => not(cause.to_string()),
        error => not(error.to_string()),
    })
}

fn config(workload: &Workload) -> Vec<u8> {
    let Workload { title, seed, products, .. } = workload;
    json!({"products": products.len(), "seed": seed, "title": title}).to_string().into_bytes()
}

fn manifest(workload: &Workload, config: &[u8], file: &[u8]) -> OciImageManifest {
    let annotations = BTreeMap::from([
        (TITLE.to_owned(), workload.title.clone()),
        (PRODUCTS.to_owned(), workload.products.len().to_string()),
        (SEED.to_owned(), workload.seed.to_string()),
    ]);
    let file_name = BTreeMap::from([(TITLE.to_owned(), FILE_NAME.to_owned())]);
    OciImageManifest {
        media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
        artifact_type: Some(ARTIFACT_TYPE.to_owned()),
        config: descriptor(CONFIG_TYPE, config),
        layers: vec![OciDescriptor { annotations: Some(file_name), ..descriptor(LAYER_TYPE, file) }],
        annotations: Some(annotations),
        ..OciImageManifest::default()
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> OciDescriptor {
    OciDescriptor {
        media_type: media_type.to_owned(),
        digest: digest::sha256(bytes),
        size: i64::try_from(bytes.len()).expect("no slice is longer than isize::MAX"),
        ..OciDescriptor::default()
    }
}

/// Digest of the one manifest in an index that may be ours, or why the index has no such manifest.
fn manifest_of(index: &OciImageIndex) -> Result<String, String> {
    let all: Vec<_> = index.manifests.iter().collect();
    let is_ours = |entry: &&ImageIndexEntry| entry.artifact_type.as_deref() == Some(ARTIFACT_TYPE);
    let ours: Vec<_> = all.iter().copied().filter(is_ours).collect();
    // Tools that fill in no artifact type leave it to the manifest.
    let candidates = if ours.is_empty() { &all } else { &ours };
    match candidates.as_slice() {
        [one] if digest::is_sha256(&one.digest) => Ok(one.digest.clone()),
        [one] => Err(format!("it is an index, and its manifest has the digest {}", one.digest)),
        _ if ours.is_empty() => Err(format!(
            "it is an index of {} manifests, none of the artifact type {ARTIFACT_TYPE}",
            all.len()
        )),
        _ => {
            Err(format!("it is an index with {} manifests of the artifact type {ARTIFACT_TYPE}", ours.len()))
        }
    }
}

/// The one layer that is a workload's file, or why the manifest has no such layer.
fn file_of(manifest: &OciImageManifest) -> Result<OciDescriptor, String> {
    let files: Vec<_> = manifest.layers.iter().filter(|layer| layer.media_type == LAYER_TYPE).collect();
    let [file] = files.as_slice() else { return Err(why_none(manifest, files.len())) };
    if !digest::is_sha256(&file.digest) {
        return Err(format!("its layer has the digest {}", file.digest));
    }
    if !u64::try_from(file.size).is_ok_and(|size| size <= LARGEST) {
        return Err(format!("its layer has {} bytes, the limit is {LARGEST}", file.size));
    }
    // The bytes are the registry's to give; other addresses are not followed.
    Ok(OciDescriptor { urls: None, ..(*file).clone() })
}

/// One layer of our type is enough: the artifact type and the configuration say what the whole is, and other tools leave
/// them empty, or fill in a default. They are named only where no layer is ours.
fn why_none(manifest: &OciImageManifest, files: usize) -> String {
    if files > 1 {
        return format!("{files} of its layers are of type {LAYER_TYPE}, and one is wanted");
    }
    let whole = manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type);
    let types: Vec<_> = manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
    let layers = match types.as_slice() {
        [] => "it has no layer".to_owned(),
        types => format!("its layers are of type {}", types.join(", ")),
    };
    format!("it is of type {whole}, and {layers}, not {LAYER_TYPE}")
}

/// What holds of any manifest and any index.
#[cfg(any(test, fuzzing))]
pub(crate) fn names_what_may_be_asked_for_or_is_refused(bytes: &[u8]) {
    if let Ok(manifest) = serde_json::from_slice::<OciImageManifest>(bytes) {
        match file_of(&manifest) {
            Ok(file) => {
                assert!(digest::is_sha256(&file.digest) && file.urls.is_none());
                assert!((0..=64 << 20).contains(&file.size));
            }
            Err(why) => assert!(!why.is_empty()),
        }
    }
    if let Ok(index) = serde_json::from_slice::<OciImageIndex>(bytes) {
        match manifest_of(&index) {
            Ok(digest) => assert!(digest::is_sha256(&digest)),
            Err(why) => assert!(!why.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests;
