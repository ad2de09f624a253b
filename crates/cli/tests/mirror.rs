//! Copies of others' images, from one real registry into another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use blackfriday_image::{Mirror, foreign};
use blackfriday_registry::{Access, RegistryAuth, RegistryClient, digest, reference};
use blackfriday_stack::OciRegistry;
use bytes::Bytes;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Longer than one chunk of an upload.
const LAYER: usize = 5 << 20;

struct Fixture {
    makers: OciRegistry,
    ours: OciRegistry,
    folder: TempDir,
}

impl Fixture {
    async fn start() -> Result<Self> {
        let (makers, ours) = tokio::try_join!(OciRegistry::start(), OciRegistry::start())?;
        Ok(Self { makers, ours, folder: tempfile::tempdir()? })
    }

    fn component(&self) -> PathBuf {
        self.folder.path().join("images")
    }

    fn component_file(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.component().join(name)).with_context(|| name.to_owned())
    }

    /// An image of a layer and a configuration for each platform, and the index of both. Gives the reference by tag and digest.
    async fn publish(&self, name: &str) -> Result<String> {
        let client = client(&self.makers)?;
        let at = |rest: &str| reference(&format!("{}/{name}{rest}", self.makers.host()));
        let mut manifests = Vec::new();
        for architecture in ["arm64", "amd64"] {
            let layer = Bytes::from(architecture.repeat(LAYER / architecture.len()));
            let config = Bytes::from(json!({"architecture": architecture, "os": "linux"}).to_string());
            let blob = |kind: &str, bytes: &Bytes| json!({"mediaType": kind, "digest": digest::sha256(bytes), "size": bytes.len()});
            let manifest = json!({
                "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob("application/vnd.oci.image.config.v1+json", &config),
                "layers": [blob("application/vnd.oci.image.layer.v1.tar+gzip", &layer)],
            });
            let manifest = Bytes::from(manifest.to_string());
            let entry = blob("application/vnd.oci.image.manifest.v1+json", &manifest);
            for bytes in [layer, config] {
                client.push_bytes(&at(":1")?, bytes).await?;
            }
            client.push_manifest(&at(&format!(":{architecture}"))?, manifest).await?;
            let mut entry = entry;
            entry["platform"] = json!({"os": "linux", "architecture": architecture});
            manifests.push(entry);
        }
        let index = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests,
        });
        let index = Bytes::from(index.to_string());
        client.push_index(&at(":1")?, index.clone()).await?;
        Ok(format!("{}/{name}:1@{}", self.makers.host(), digest::sha256(&index)))
    }

    async fn copy(&self, source: &str, platform: &str) -> Result<blackfriday_image::Copied> {
        let (from, to) = (client(&self.makers)?, client(&self.ours)?);
        let (host, component) = (self.ours.host(), self.component());
        Mirror { from: &from, to: &to, host: &host, platform, component: &component }.copy(source).await
    }
}

fn client(server: &OciRegistry) -> Result<RegistryClient> {
    let ca = fs::read(server.ca().context("TLS")?)?;
    let auth = RegistryAuth::Basic(server.username().to_owned(), server.password().expose().to_owned());
    Ok(RegistryClient::new(&Access { ca: Some(ca), auth, plain_http: false })?)
}

#[tokio::test]
async fn an_image_is_copied_for_one_platform_and_taken_from_our_registry() -> Result<()> {
    let fixture = Fixture::start().await?;
    let source = fixture.publish("prom/prometheus").await?;
    let copied = fixture.copy(&source, "linux/amd64").await?;
    ensure!(copied.source == source && copied.sent.starts_with("1 layers sent"), "{copied:?}");

    let path = format!("{}/prom/prometheus", fixture.makers.host());
    let new_name = format!("{}/{}", fixture.ours.host(), path.replace(':', "-"));
    let (_, found) = client(&fixture.ours)?.manifest(&reference(&copied.pinned)?).await?;
    let amd64 = reference(&format!("{path}:amd64"))?;
    let (manifest, digest) = client(&fixture.makers)?.manifest(&amd64).await?;
    ensure!(found == digest, "{found} is not the maker's, {digest}");
    let layer = fixture.folder.path().join("layer");
    client(&fixture.ours)?.pull_blob(&reference(&copied.pinned)?, &manifest.layers[0], &layer).await?;
    ensure!(copied.pinned == format!("{new_name}@{found}"), "{copied:?}");

    let entry = format!("  - name: \"{path}\"\n    newName: \"{new_name}\"\n    digest: {found}\n");
    let kustomization = fixture.component_file("kustomization.yaml")?;
    ensure!(kustomization.ends_with(&entry), "{kustomization}");
    ensure!(fixture.component_file("mirrored")? == format!("{path} {source}\n"));

    let again = fixture.copy(&source, "linux/amd64").await?;
    ensure!(again.sent.contains("0 layers sent") && again.sent.contains("1 already there"), "{again:?}");
    ensure!(fixture.component_file("kustomization.yaml")? == kustomization);
    let rendered = format!("  image: {}\n", copied.pinned);
    ensure!(foreign(&rendered, &fixture.ours.host())?.is_empty(), "it is ours now");
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_or_is_something_else_is_not_taken() -> Result<()> {
    let fixture = Fixture::start().await?;
    let source = fixture.publish("a").await?;
    let (tag, _) = source.split_once('@').context("by digest")?;
    let other = format!("{tag}@{}", digest::sha256("x"));
    for (source, platform, told) in
        [(&source, "linux/s390x", "there is none for linux/s390x"), (&other, "linux/amd64", "not there")]
    {
        let error = fixture.copy(source, platform).await.expect_err(told);
        ensure!(format!("{error:#}").contains(told), "{error:#}");
        ensure!(!fixture.component().exists(), "something was written");
    }
    Ok(())
}

#[tokio::test]
async fn manifests_come_by_standard_input() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let run = async |rendered: &str| mirror(rendered, folder.path()).await;
    let ended = run("image: h.test/docker.io/a/b:1\n  - image: blackfriday/gateway:0.2.0\n").await?;
    ensure!(ended.status.success() && ended.stdout.is_empty(), "{ended:?}");
    let ended = run("  - image: nginx:1\n").await?;
    ensure!(ended.status.code() == Some(64), "{ended:?}");
    let ended = run("  - image: 127.0.0.1:1/a/b:1\n").await?;
    ensure!(ended.status.code() == Some(69), "{ended:?}");
    ensure!(String::from_utf8_lossy(&ended.stderr).contains("copy 127.0.0.1:1/a/b:1"), "{ended:?}");
    Ok(())
}

async fn mirror(rendered: &str, component: &Path) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackfriday"));
    command.args(["image", "mirror", "h.test", "--kustomize"]).arg(component).kill_on_drop(true);
    command.env("NO_PROXY", "127.0.0.1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().context("piped")?;
    stdin.write_all(rendered.as_bytes()).await?;
    drop(stdin);
    Ok(child.wait_with_output().await?)
}
