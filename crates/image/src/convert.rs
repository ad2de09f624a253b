//! From an archive to what a registry stores: layers by gzip, a configuration, and the manifest that names them.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use blackfriday_registry::{OciDescriptor, OciImageManifest, digest};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::archive::{Archive, Section};
use crate::layer;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An image as a registry stores it.
pub(crate) struct Image {
    /// What the archive calls it.
    pub(crate) name: Option<String>,
    pub(crate) manifest: Bytes,
    /// Digest of the manifest.
    pub(crate) digest: String,
    /// Layers and, last, the configuration; each once.
    pub(crate) blobs: Vec<Blob>,
}

/// What a manifest names.
pub(crate) struct Blob {
    pub(crate) descriptor: OciDescriptor,
    pub(crate) content: Content,
}

pub(crate) enum Content {
    Bytes(Bytes),
    Section(Section),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<OciDescriptor>,
}

impl Image {
    /// Docker writes both formats into one archive; the OCI layout has the digests already.
    pub(crate) fn new(archive: &Archive) -> Result<Self> {
        if archive.has("oci-layout") && archive.has("index.json") {
            laid_out(archive)
        } else if archive.has("manifest.json") {
            saved(archive)
        } else {
            bail!("neither manifest.json nor index.json and oci-layout are in it")
        }
    }

    pub(crate) fn layers(&self) -> usize {
        self.blobs.len() - 1
    }

    fn of(name: Option<String>, manifest: Vec<u8>, blobs: Vec<Blob>) -> Self {
        let mut known = BTreeSet::new();
        let blobs = blobs.into_iter().filter(|blob| known.insert(blob.descriptor.digest.clone())).collect();
        Self { name, digest: digest::sha256(&manifest), manifest: manifest.into(), blobs }
    }
}

/// What the archive calls its image, with the tag.
pub(crate) fn tagged_name(archive: &Archive) -> Result<Option<String>> {
    if !archive.has("manifest.json") {
        return Ok(None);
    }
    let images: Vec<Saved> = json(archive, "manifest.json")?;
    Ok(images.into_iter().flat_map(|image| image.repo_tags.unwrap_or_default()).next())
}

/// The format of `docker save`: its configuration is the image's, byte for byte; its layers are compressed.
fn saved(archive: &Archive) -> Result<Image> {
    let images: Vec<Saved> = json(archive, "manifest.json")?;
    let [image] = images.as_slice() else { bail!("it holds {} images, not one", images.len()) };
    let config = Bytes::from(archive.read(&image.config)?);
    let Config { rootfs } =
        serde_json::from_slice(&config).with_context(|| format!("read {}", image.config))?;
    ensure!(
        rootfs.diff_ids.len() == image.layers.len(),
        "it has {} layers, and its configuration names {}",
        image.layers.len(),
        rootfs.diff_ids.len()
    );
    let mut blobs = Vec::new();
    for (path, diff_id) in image.layers.iter().zip(&rootfs.diff_ids) {
        let layer = layer::compress(archive.section(path)?).with_context(|| path.clone())?;
        ensure!(layer.diff_id == *diff_id, "{path} has digest {}, not {diff_id}", layer.diff_id);
        let descriptor = descriptor(LAYER, layer.digest, layer.content.len());
        blobs.push(Blob { descriptor, content: Content::Section(layer.content) });
    }
    let layers = blobs.iter().map(|blob| blob.descriptor.clone()).collect();
    let config_descriptor = descriptor(CONFIG, digest::sha256(&config), config.len() as u64);
    blobs.push(Blob { descriptor: config_descriptor.clone(), content: Content::Bytes(config) });
    let manifest = OciImageManifest {
        media_type: Some(MANIFEST.to_owned()),
        config: config_descriptor,
        layers,
        ..OciImageManifest::default()
    };
    let name = image.repo_tags.iter().flatten().next().map(|tag| without_tag(tag));
    Ok(Image::of(name, serde_json::to_vec(&manifest)?, blobs))
}

/// An OCI layout goes as it is.
fn laid_out(archive: &Archive) -> Result<Image> {
    let index: Index = json(archive, "index.json")?;
    let [at] = index.manifests.as_slice() else {
        bail!("it holds {} images, not one", index.manifests.len())
    };
    ensure!(at.media_type == MANIFEST, "it holds a {}, not one image", at.media_type);
    let bytes = archive.read(&path_of(&at.digest)?)?;
    let found = digest::sha256(&bytes);
    ensure!(found == at.digest, "its manifest has digest {found}, not {}", at.digest);
    let manifest: OciImageManifest = serde_json::from_slice(&bytes).context("read its manifest")?;
    let mut blobs = Vec::new();
    for descriptor in manifest.layers.into_iter().chain([manifest.config]) {
        let content = archive.section(&path_of(&descriptor.digest)?)?;
        let found = digest::sha256_of(content.clone())?;
        ensure!(found == descriptor.digest, "a layer has digest {found}, not {}", descriptor.digest);
        let (said, found) = (descriptor.size, content.len());
        ensure!(u64::try_from(said) == Ok(found), "a layer has {found} bytes, and its manifest says {said}");
        blobs.push(Blob { descriptor, content: Content::Section(content) });
    }
    Ok(Image::of(None, bytes, blobs))
}

fn json<T: DeserializeOwned>(archive: &Archive, name: &str) -> Result<T> {
    serde_json::from_slice(&archive.read(name)?).with_context(|| format!("read {name}"))
}

fn path_of(digest: &str) -> Result<String> {
    ensure!(digest::is_sha256(digest), "{digest} is no SHA-256 digest");
    Ok(format!("blobs/{}", digest.replace(':', "/")))
}

fn descriptor(media_type: &str, digest: String, size: u64) -> OciDescriptor {
    let size = i64::try_from(size).expect("no file is longer than i64::MAX");
    OciDescriptor { media_type: media_type.to_owned(), digest, size, ..OciDescriptor::default() }
}

/// `host:5000/a/b` for `host:5000/a/b:1`.
pub(crate) fn without_tag(reference: &str) -> String {
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name.to_owned(),
        _ => reference.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_not_a_port() {
        for (reference, name) in [("a:1", "a"), ("h:5000/a", "h:5000/a"), ("h:5000/a:1", "h:5000/a")] {
            assert_eq!(without_tag(reference), name);
        }
    }
}
