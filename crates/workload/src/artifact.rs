//! A workload as an OCI artifact: one manifest, a small configuration that says what it is, and the TOML file as its layer.
//!
//! Invariant: equal files give equal digests. No time of creation and no name of a file goes in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use oci_client::Reference;
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use serde_json::json;

use crate::{Registry, RegistryError, Workload, WorkloadError, digest, pinned};

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

/// Writes a workload's file into a registry.
///
/// # Errors
/// The text is no workload or too long, the registry refuses it, or cannot be reached.
pub async fn push(registry: &Registry, at: &Reference, text: String) -> Result<Pushed, RegistryError> {
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
pub async fn inspect(registry: &Registry, at: &Reference) -> Result<Inspected, RegistryError> {
    let (manifest, digest) = registry.manifest(at).await?;
    let file =
        file_of(&manifest).map_err(|reason| RegistryError::NotAWorkload { reference: at.whole(), reason })?;
    Ok(Inspected { pinned: pinned(at, &digest), digest, manifest, file })
}

/// Brings a workload's file to `target`: whole and unchanged, or not at all. One that breaks off goes on where it was.
///
/// # Errors
/// As [`inspect`] and [`Registry::pull_blob`], or the file is no workload: it is removed then.
pub async fn pull(
    registry: &Registry,
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
    let not = |reason| RegistryError::NotAWorkload { reference: at.whole(), reason };
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

/// The one layer, or why the manifest is not one of ours.
fn file_of(manifest: &OciImageManifest) -> Result<OciDescriptor, String> {
    if manifest.config.media_type != CONFIG_TYPE {
        let found = manifest.artifact_type.as_ref().unwrap_or(&manifest.config.media_type);
        return Err(format!("it is of type {found}"));
    }
    let [file] = manifest.layers.as_slice() else {
        return Err(format!("it has {} layers, not one", manifest.layers.len()));
    };
    if file.media_type != LAYER_TYPE {
        return Err(format!("its layer is of type {}", file.media_type));
    }
    if !digest::is_sha256(&file.digest) {
        return Err(format!("its layer has the digest {}", file.digest));
    }
    if !u64::try_from(file.size).is_ok_and(|size| size <= LARGEST) {
        return Err(format!("its layer has {} bytes, the limit is {LARGEST}", file.size));
    }
    // The bytes are the registry's to give; other addresses are not followed.
    Ok(OciDescriptor { urls: None, ..file.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(workload: &Workload) -> OciImageManifest {
        manifest(workload, &config(workload), b"title")
    }

    #[test]
    fn equal_workloads_have_equal_manifests() {
        let text = || serde_json::to_string(&of(&Workload::black_friday())).expect("JSON");
        assert_eq!(text(), text());
        assert!(text().contains("\"vnd.blackfriday.workload.seed\":\"17\"") && !text().contains("created"));
        assert_eq!(config(&Workload::black_friday())[..12], *b"{\"products\":");
    }

    #[test]
    fn what_is_no_workload_is_told() {
        let right = of(&Workload::black_friday());
        assert!(file_of(&right).is_ok());
        let told = |change: &dyn Fn(&mut OciImageManifest)| {
            let mut wrong = right.clone();
            change(&mut wrong);
            file_of(&wrong).expect_err("no workload")
        };
        assert!(told(&|it| it.config = OciDescriptor::default()).contains("of type"));
        assert!(told(&|it| it.layers.clear()).contains("0 layers"));
        assert!(told(&|it| it.layers[0].media_type = "text/plain".to_owned()).contains("text/plain"));
        assert!(told(&|it| it.layers[0].size = 1 << 40).contains("limit"));
        assert!(told(&|it| it.layers[0].size = -1).contains("limit"));
        assert!(told(&|it| it.layers[0].digest = "sha256:../../etc".to_owned()).contains("digest"));
    }
}
