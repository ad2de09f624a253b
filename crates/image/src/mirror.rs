//! Copies of others' images: what rendered manifests name goes into our registry, and the component in a folder takes it from
//! there, by digest.
//!
//! The maker's digest leads to each byte: index, manifest, layers are all checked on the way. A manifest of Docker's own kind is
//! written as OCI's, which every registry takes; its layers are the same.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use blackfriday_registry::{
    OciDescriptor, OciImageIndex, OciImageManifest, Reference, RegistryClient, digest, reference, tagged,
};
use blackfriday_terminal::failure::{DataError, FileError, Unavailable};
use blackfriday_terminal::file;
use bytes::Bytes;
use indicatif::ProgressBar;

use crate::archive::Section;
use crate::convert::{Blob, CONFIG, Content, LAYER, MANIFEST, without_tag};
use crate::kustomize::{self, Entry};
use crate::push::{Sent, bar, send};

/// Which copy is of which image: a line each, the image's name and what the manifests called it.
const RECORD: &str = "mirrored";
/// The only kind of layer besides OCI's own that is taken.
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// From where to where.
#[derive(Clone, Copy)]
pub struct Mirror<'a> {
    /// A client of the makers' registries.
    pub from: &'a RegistryClient,
    /// A client of ours.
    pub to: &'a RegistryClient,
    /// Ours, `host[:port]`.
    pub host: &'a str,
    /// Of images that there are for several, `linux/amd64`.
    pub platform: &'a str,
    /// The folder of the component.
    pub component: &'a Path,
}

/// A copy.
#[derive(Debug)]
pub struct Copied {
    /// What the manifests call it.
    pub source: String,
    /// In our registry, by digest.
    pub pinned: String,
    /// What was sent for it.
    pub sent: String,
}

/// The images that rendered manifests name and that are neither ours nor in our registry already: in a field `image`, and in an
/// operator's variables that end in `_IMAGE`, which say what it starts. Kustomize writes each in a line of its own, and a
/// variable's name before its value.
///
/// # Errors
/// An image names no host, or neither tag nor digest.
pub fn foreign(rendered: &str, host: &str) -> Result<BTreeSet<String>> {
    let is_ours = |image: &&str| image.starts_with("blackfriday/") || image.starts_with(&format!("{host}/"));
    let before = std::iter::once("").chain(rendered.lines());
    let images = before.zip(rendered.lines()).filter_map(|(before, line)| {
        image(line, "image: ").or_else(|| is_image_variable(before).then(|| image(line, "value: "))?)
    });
    let images = images.filter(|image| !is_ours(image));
    images.map(|image| reference(image).map(|_| image.to_owned()).map_err(Into::into)).collect()
}

fn image<'a>(line: &'a str, field: &str) -> Option<&'a str> {
    let line = line.trim_start();
    let value = line.strip_prefix("- ").unwrap_or(line).strip_prefix(field)?.trim_matches('"');
    (!value.is_empty() && !value.contains([' ', '"'])).then_some(value)
}

fn is_image_variable(line: &str) -> bool {
    line.trim_start().strip_prefix("- name: ").is_some_and(|name| name.ends_with("_IMAGE"))
}

impl Mirror<'_> {
    /// Copies an image, and lets the component take it from our registry.
    ///
    /// # Errors
    /// A registry refuses or cannot be reached, there is no such image, or the component cannot be written.
    pub async fn copy(&self, source: &str) -> Result<Copied> {
        let (from, name) = (reference(source)?, name(source));
        // A path has no port.
        let path = name.replace(':', "-");
        let at = tagged(&format!("{}/{path}:{}", self.host, from.tag().unwrap_or("mirrored")))?;
        let manifest = self.manifest(&from).await?;
        let sent = self.send(&from, &at, &manifest).await?;
        let new_name = format!("{}/{}", at.registry(), at.repository());
        let digest = digest::sha256(&manifest);
        let pinned = format!("{new_name}@{digest}");
        record(self.component, &name, source)?;
        kustomize::write(self.component, Entry { name, new_name, digest })?;
        Ok(Copied { source: source.to_owned(), pinned, sent: sent.to_string() })
    }

    /// The manifest for one platform, as OCI has it.
    async fn manifest(&self, from: &Reference) -> Result<Bytes> {
        let bytes = self.from.bytes(from).await?;
        let Ok(index) = serde_json::from_slice::<OciImageIndex>(&bytes) else { return of_oci(bytes, from) };
        let entry = index.manifests.iter().find(|entry| {
            let platform = entry.platform.as_ref();
            platform.is_some_and(|found| format!("{}/{}", found.os, found.architecture) == self.platform)
        });
        let entry =
            entry.with_context(|| Unavailable(format!("{from}: there is none for {}", self.platform)))?;
        let one = from.clone_with_digest(entry.digest.clone());
        of_oci(self.from.bytes(&one).await?, &one)
    }

    /// Sends what our registry lacks, one blob after the other by way of a file, and then the manifest.
    async fn send(&self, from: &Reference, at: &Reference, manifest: &Bytes) -> Result<Sent> {
        let OciImageManifest { layers, config, .. } = serde_json::from_slice(manifest)?;
        let folder = tempfile::tempdir().context(FileError("make a temporary folder".to_owned()))?;
        let (path, bar) = (folder.path().join("blob"), bar(layers.iter().chain([&config]).map(size).sum()));
        let mut sent = Sent::default();
        for layer in &layers {
            if self.bring(from, at, layer, &path, &bar).await? {
                sent.layers += 1;
                sent.bytes += size(layer);
            } else {
                sent.already_there += 1;
            }
        }
        self.bring(from, at, &config, &path, &bar).await?;
        self.to.push_manifest(at, manifest.clone()).await?;
        bar.finish_and_clear();
        Ok(sent)
    }

    /// Brings a blob over, by way of a file, unless our registry has it. Whether it was sent.
    async fn bring(
        &self,
        from: &Reference,
        at: &Reference,
        blob: &OciDescriptor,
        path: &Path,
        bar: &ProgressBar,
    ) -> Result<bool> {
        if self.to.has_blob(at, &blob.digest).await? {
            bar.inc(size(blob));
            return Ok(false);
        }
        self.from.pull_blob(from, blob, path).await?;
        let section = File::open(path).and_then(Section::of).context(FileError("read a layer".to_owned()))?;
        let blob = Blob { descriptor: blob.clone(), content: Content::Section(section) };
        send(self.to, at, &blob, bar).await?;
        Ok(true)
    }
}

fn size(blob: &OciDescriptor) -> u64 {
    u64::try_from(blob.size).unwrap_or(0)
}

/// A manifest of OCI's own kind as it is, one of Docker's with the same contents under OCI's names.
fn of_oci(bytes: Bytes, at: &Reference) -> Result<Bytes> {
    let wrong = || DataError(format!("{at} is no image"));
    let mut manifest: OciImageManifest = serde_json::from_slice(&bytes).with_context(wrong)?;
    if manifest.media_type.as_deref().is_none_or(|kind| kind == MANIFEST) {
        return Ok(bytes);
    }
    manifest.media_type = Some(MANIFEST.to_owned());
    CONFIG.clone_into(&mut manifest.config.media_type);
    for layer in &mut manifest.layers {
        ensure!(
            layer.media_type == DOCKER_LAYER,
            DataError(format!("{at} has a layer of the kind {}", layer.media_type))
        );
        LAYER.clone_into(&mut layer.media_type);
    }
    Ok(serde_json::to_vec(&manifest)?.into())
}

/// The image without tag and digest.
fn name(source: &str) -> String {
    without_tag(source.split_once('@').map_or(source, |(name, _)| name))
}

/// Notes of what the copy is: it counts for as long as a manifest names that.
fn record(folder: &Path, name: &str, source: &str) -> Result<()> {
    let path = folder.join(RECORD);
    let failed = || FileError(format!("write {}", path.display()));
    let before = fs::read_to_string(&path).unwrap_or_default();
    let others = before.lines().filter(|line| line.split(' ').next() != Some(name)).map(str::to_owned);
    let lines: BTreeSet<_> = others.chain([format!("{name} {source}")]).collect();
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    fs::create_dir_all(folder).with_context(failed)?;
    file::replace(&path, &text).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_others_are_found_wherever_they_stand() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let rendered = format!(
            "kind: Deployment\n    containers:\n      - image: docker.io/prom/prometheus:v3@{digest}\n\
            ---\n      - args: []\n        image: \"ghcr.io/a/b:1\"\n---\n  image: docker.io/library/rabbitmq:4\n\
            ---\n  image: blackfriday/gateway:1\n  image: h:5000/docker.io/a/b@{digest}\n  text: an image: no\n  image:\n"
        );
        let found: Vec<_> = foreign(&rendered, "h:5000").expect("images").into_iter().collect();
        let first = format!("docker.io/prom/prometheus:v3@{digest}");
        assert_eq!(found, ["docker.io/library/rabbitmq:4", &first, "ghcr.io/a/b:1"]);
        for wrong in ["nginx:1", "docker.io/library/nginx"] {
            foreign(&format!("image: {wrong}\n"), "h:5000").expect_err(wrong);
        }
    }

    #[test]
    fn what_an_operator_is_told_to_start_is_found() {
        let rendered = "env:\n\
            - name: STRIMZI_DEFAULT_USER_OPERATOR_IMAGE\n  value: quay.io/strimzi/operator:1\n\
            - name: VIRT_API_IMAGE\n  value: h:5000/quay.io/kubevirt/virt-api@sha256:0\n\
            - name: OF_A_FIELD_IMAGE\n  valueFrom:\n    fieldRef: {}\n\
            - name: IMAGES\n  value: quay.io/a/b:1\n";
        let found: Vec<_> = foreign(rendered, "h:5000").expect("images").into_iter().collect();
        assert_eq!(found, ["quay.io/strimzi/operator:1"]);
    }

    #[test]
    fn an_image_of_dockers_kind_is_written_as_oci_has_it() {
        let at = reference("h:1/a:1").expect("a reference");
        let of = |kind: &str, config: &str, layer: &str| {
            let blob = |kind: &str| {
                format!(r#"{{"mediaType":"{kind}","size":2,"digest":"sha256:{}"}}"#, "0".repeat(64))
            };
            Bytes::from(format!(
                r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{},"layers":[{}]}}"#,
                blob(config),
                blob(layer)
            ))
        };
        let (docker, config) = (
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.container.image.v1+json",
        );
        let found = of_oci(of(docker, config, DOCKER_LAYER), &at).expect("an image");
        let value = |bytes: &Bytes| serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON");
        assert_eq!(value(&found), value(&of(MANIFEST, CONFIG, LAYER)));
        let as_it_is = of(MANIFEST, CONFIG, "application/vnd.oci.image.layer.v1.tar+zstd");
        assert_eq!(of_oci(as_it_is.clone(), &at).expect("an image"), as_it_is);
        for wrong in
            [of(docker, config, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), "{}".into()]
        {
            of_oci(wrong, &at).expect_err("no image");
        }
    }

    #[test]
    fn what_a_copy_is_of_is_noted_once() {
        let folder = tempfile::tempdir().expect("a folder");
        for source in ["h:1/a:2@sha256:0", "h:1/b:1", "h:1/a:3"] {
            record(folder.path(), &name(source), source).expect("written");
        }
        let text = fs::read_to_string(folder.path().join(RECORD)).expect("read");
        assert_eq!(text, "h:1/a h:1/a:3\nh:1/b h:1/b:1\n");
    }
}
