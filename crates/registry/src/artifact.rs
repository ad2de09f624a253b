//! Artifacts: one manifest whose type says what the whole is, a small configuration, and files as its layers.
//!
//! What other tools wrote is read as well: a manifest is of a kind by the type of its layers, whatever its configuration, its
//! annotations and its other layers are; an index that points to one manifest of the kind is read as that.
//!
//! Invariant: equal files give equal digests. No time of creation goes in.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci_client::Reference;
use oci_client::manifest::{
    ImageIndexEntry, OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageIndex, OciImageManifest,
};

use crate::client::{Found, RegistryClient, pinned};
use crate::digest;
use crate::error::RegistryError;

/// The name of the whole, and of a file: under it other clients (ORAS) store a layer.
pub const TITLE: &str = "org.opencontainers.image.title";

/// A kind of artifact.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// As errors call it.
    pub name: &'static str,
    /// What the whole is.
    pub artifact_type: &'static str,
    /// What its configuration is.
    pub config_type: &'static str,
    /// What each of its files is.
    pub layer_type: &'static str,
    /// Bytes of the largest file.
    pub largest: u64,
    /// Files that one has at the most; it has one at least.
    pub most_files: usize,
}

/// What an artifact is made of.
#[derive(Debug, Clone)]
pub struct Content {
    /// Its configuration, JSON.
    pub config: Bytes,
    /// Its files, each with its name.
    pub files: Vec<(String, Bytes)>,
    /// What may be known of it without reading it.
    pub annotations: BTreeMap<String, String>,
    /// The manifest in the same repository that it belongs to: registries list it as a referrer of that.
    pub subject: Option<OciDescriptor>,
}

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// `oci://…@sha256:…`, which will always stand for this very artifact.
    pub pinned: String,
    /// Digest of the manifest.
    pub digest: String,
    /// Whether a file was sent, and not all of them there already.
    pub was_sent: bool,
}

/// What is known of an artifact in a registry without reading its files.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// `oci://…@sha256:…`, which will always stand for this very artifact.
    pub pinned: String,
    /// Digest of the manifest.
    pub digest: String,
    /// The manifest.
    pub manifest: OciImageManifest,
    /// Its files, one at least: digest, length and media type of each.
    pub files: Vec<OciDescriptor>,
}

impl Content {
    /// The manifest of this content.
    pub fn manifest(&self, kind: &Kind) -> OciImageManifest {
        let layer = |(name, bytes): &(String, Bytes)| OciDescriptor {
            annotations: Some(BTreeMap::from([(TITLE.to_owned(), name.clone())])),
            ..descriptor(kind.layer_type, bytes)
        };
        OciImageManifest {
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            artifact_type: Some(kind.artifact_type.to_owned()),
            config: descriptor(kind.config_type, &self.config),
            layers: self.files.iter().map(layer).collect(),
            subject: self.subject.clone(),
            annotations: Some(self.annotations.clone()),
            ..OciImageManifest::default()
        }
    }
}

impl Kind {
    /// Why something is not an artifact of this kind.
    pub fn refusal(&self, at: &Reference, reason: String) -> RegistryError {
        RegistryError::OtherKind { reference: at.whole(), wanted: self.name, reason }
    }

    /// Writes an artifact into a registry.
    ///
    /// # Errors
    /// A file is larger than [`Kind::largest`], there are none or too many, the registry refuses them, or cannot be reached.
    pub async fn push(
        &self,
        registry: &RegistryClient,
        at: &Reference,
        content: Content,
    ) -> Result<Pushed, RegistryError> {
        let manifest = content.manifest(self);
        self.files_of(&manifest).map_err(|reason| self.refusal(at, reason))?;
        let bytes =
            Bytes::from(serde_json::to_vec(&manifest).expect("a manifest has only texts and numbers"));
        let digest = digest::sha256(&bytes);
        let mut was_sent = false;
        for (_, file) in content.files {
            was_sent |= registry.push_bytes(at, file).await?;
        }
        registry.push_bytes(at, content.config).await?;
        registry.push_manifest(at, bytes).await?;
        Ok(Pushed { pinned: pinned(at, &digest), digest, was_sent })
    }

    /// Reads what a registry has under a reference, except the files themselves.
    ///
    /// # Errors
    /// It is of another kind, is not there, or the registry refuses.
    pub async fn inspect(
        &self,
        registry: &RegistryClient,
        at: &Reference,
    ) -> Result<Inspected, RegistryError> {
        let (manifest, digest) = match registry.find(at).await? {
            (Found::Manifest(manifest), digest) => (*manifest, digest),
            (Found::Index(index), _) => {
                let of_index = self.manifest_of(&index).map_err(|reason| self.refusal(at, reason))?;
                registry.manifest(&at.clone_with_digest(of_index)).await?
            }
        };
        let files = self.files_of(&manifest).map_err(|reason| self.refusal(at, reason))?;
        Ok(Inspected { pinned: pinned(at, &digest), digest, manifest, files })
    }

    /// Digest of the one manifest in an index that may be of this kind.
    ///
    /// # Errors
    /// Why the index has no such manifest.
    pub fn manifest_of(&self, index: &OciImageIndex) -> Result<String, String> {
        let wanted = self.artifact_type;
        let all: Vec<_> = index.manifests.iter().collect();
        let is_ours = |entry: &&ImageIndexEntry| entry.artifact_type.as_deref() == Some(wanted);
        let ours: Vec<_> = all.iter().copied().filter(is_ours).collect();
        // Tools that fill in no artifact type leave it to the manifest.
        let candidates = if ours.is_empty() { &all } else { &ours };
        match candidates.as_slice() {
            [one] if digest::is_sha256(&one.digest) => Ok(one.digest.clone()),
            [one] => Err(format!("it is an index, and its manifest has the digest {}", one.digest)),
            _ if ours.is_empty() => {
                let count = all.len();
                Err(format!("it is an index of {count} manifests, none of the artifact type {wanted}"))
            }
            _ => Err(format!("it is an index with {} manifests of the artifact type {wanted}", ours.len())),
        }
    }

    /// The layers that are files of this kind, one at least.
    ///
    /// # Errors
    /// Why the manifest has no such layers, or some that may not be asked for.
    pub fn files_of(&self, manifest: &OciImageManifest) -> Result<Vec<OciDescriptor>, String> {
        let wanted = self.layer_type;
        let files: Vec<_> = manifest.layers.iter().filter(|layer| layer.media_type == wanted).collect();
        if files.is_empty() {
            return Err(self.why_none(manifest));
        }
        if files.len() > self.most_files {
            return Err(format!(
                "{} of its layers are of type {wanted}, the limit is {}",
                files.len(),
                self.most_files
            ));
        }
        files.into_iter().map(|file| self.file(file)).collect()
    }

    fn file(&self, file: &OciDescriptor) -> Result<OciDescriptor, String> {
        if !digest::is_sha256(&file.digest) {
            return Err(format!("its layer has the digest {}", file.digest));
        }
        if !u64::try_from(file.size).is_ok_and(|size| size <= self.largest) {
            return Err(format!("its layer has {} bytes, the limit is {}", file.size, self.largest));
        }
        // The bytes are the registry's to give; other addresses are not followed.
        Ok(OciDescriptor { urls: None, ..file.clone() })
    }

    /// Layers of the type are enough: the artifact type and the configuration say what the whole is, and other tools leave
    /// them empty, or fill in a default. They are named only where no layer is of the type.
    fn why_none(&self, manifest: &OciImageManifest) -> String {
        let types: Vec<_> = manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
        let layers = match types.as_slice() {
            [] => "it has no layer".to_owned(),
            types => format!("its layers are of type {}", types.join(", ")),
        };
        format!("it is of type {}, and {layers}, not {}", type_of(manifest), self.layer_type)
    }
}

/// What a manifest says that the whole is. Other tools write their own default here.
pub fn type_of(manifest: &OciImageManifest) -> &str {
    manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type)
}

/// What an artifact names to belong to the manifest that a registry has under a digest.
///
/// # Errors
/// It is not there, or the registry refuses.
pub async fn subject(
    registry: &RegistryClient,
    at: &Reference,
    digest: &str,
) -> Result<OciDescriptor, RegistryError> {
    let bytes = registry.bytes(&at.clone_with_digest(digest.to_owned())).await?;
    Ok(descriptor(OCI_IMAGE_MEDIA_TYPE, &bytes))
}

fn descriptor(media_type: &str, bytes: &[u8]) -> OciDescriptor {
    OciDescriptor {
        media_type: media_type.to_owned(),
        digest: digest::sha256(bytes),
        size: i64::try_from(bytes.len()).expect("no slice is longer than isize::MAX"),
        ..OciDescriptor::default()
    }
}
