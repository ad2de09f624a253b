//! `image push` as a user runs it, against a real registry.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use blackfriday_registry::{Access, OciDescriptor, RegistryAuth, RegistryClient, digest, reference};
use blackfriday_stack::OciRegistry;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Longer than two chunks of an upload, also when it is compressed.
const LARGE: usize = 9 << 20;

struct Fixture {
    server: OciRegistry,
    folder: TempDir,
}

impl Fixture {
    async fn start() -> Result<Self> {
        Ok(Self { server: OciRegistry::start().await?, folder: tempfile::tempdir()? })
    }

    fn at(&self, rest: &str) -> String {
        format!("{}/{rest}", self.server.host())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<String> {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes)?;
        Ok(path.display().to_string())
    }

    fn client(&self) -> Result<RegistryClient> {
        let ca = fs::read(self.server.ca().context("TLS")?)?;
        let password = self.server.password().expose().to_owned();
        let auth = RegistryAuth::Basic(self.server.username().to_owned(), password);
        Ok(RegistryClient::new(&Access { ca: Some(ca), auth, plain_http: false })?)
    }

    async fn output(&self, arguments: &[&str], input: &[u8], password: &str) -> Result<Output> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackfriday"));
        command.args(["image", "push"]).args(arguments).kill_on_drop(true).env("NO_PROXY", "127.0.0.1");
        command.env("BLACKFRIDAY_REGISTRY_CA", self.server.ca().context("TLS")?);
        command.env("BLACKFRIDAY_REGISTRY_USERNAME", self.server.username());
        command.env("BLACKFRIDAY_REGISTRY_PASSWORD", password);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("piped")?;
        // It may end without having read it.
        stdin.write_all(input).await.ok();
        drop(stdin);
        Ok(child.wait_with_output().await?)
    }

    /// Standard output and standard error of a push that ends with this exit code.
    async fn push(&self, code: i32, arguments: &[&str]) -> Result<[String; 2]> {
        let Output { status, stdout, stderr } =
            self.output(arguments, b"", self.server.password().expose()).await?;
        let [stdout, stderr] = [String::from_utf8(stdout)?, String::from_utf8(stderr)?];
        ensure!(status.code() == Some(code), "{arguments:?}: {status}\n{stdout}\n{stderr}");
        Ok([stdout, stderr])
    }

    /// Requests with a piece of a layer so far.
    fn uploads(&self) -> Result<usize> {
        Ok(self.server.log()?.matches("PATCH").count())
    }
}

/// An image of two layers in the format of `docker save`, as dockerTools writes it.
struct Saved {
    layers: [Vec<u8>; 2],
    config: Vec<u8>,
}

impl Saved {
    fn new() -> Result<Self> {
        Self::of(100_000)
    }

    fn of(size: usize) -> Result<Self> {
        let mut noise = 1_u64;
        let large = std::iter::repeat_with(|| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            noise.to_le_bytes()[0]
        });
        let large: Vec<u8> = large.take(size).collect();
        let layers = [tar(&[("bin/large", &large)])?, tar(&[("etc/small", b"small")])?];
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": ["/bin/large"], "User": "65532"},
            "rootfs": {"type": "layers", "diff_ids": layers.each_ref().map(digest::sha256)},
        });
        Ok(Self { layers, config: config.to_string().into_bytes() })
    }

    fn archive(&self) -> Result<Vec<u8>> {
        let manifest = json!([{
            "Config": "config.json",
            "RepoTags": ["gateway:0.2.0"],
            "Layers": ["one/layer.tar", "two/layer.tar"],
        }]);
        let manifest = manifest.to_string().into_bytes();
        let [one, two] = &self.layers;
        tar(&[
            ("./one/layer.tar", one),
            ("./two/layer.tar", two),
            ("./config.json", &self.config),
            ("./manifest.json", &manifest),
        ])
    }
}

fn tar(files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, *bytes)?;
    }
    Ok(builder.into_inner()?)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

#[tokio::test]
async fn an_image_is_pushed_once_and_can_be_pulled() -> Result<()> {
    let fixture = Fixture::start().await?;
    let image = Saved::of(LARGE)?;
    let archive = fixture.write("image.tar", &image.archive()?)?;
    let [dry, _] = fixture.push(0, &["--dry-run", &archive]).await?;
    let digest = dry.lines().next().context("a digest")?;
    ensure!(digest::is_sha256(digest) && fixture.uploads()? == 0, "{dry}");

    let at = fixture.at("blackfriday/gateway:0.2.0");
    let [pinned, told] = fixture.push(0, &[&archive, &at]).await?;
    ensure!(pinned.trim() == format!("{}@{digest}", fixture.at("blackfriday/gateway")), "{pinned}");
    ensure!(told.contains("2 layers sent") && told.contains("0 already there"), "{told}");
    let uploads = fixture.uploads()?;
    ensure!(uploads >= 5, "three pieces, one, and the configuration: {uploads}");

    let kept = format!("{at}-{}", digest.split_once(':').context("a digest")?.1.get(..12).context("digits")?);
    let (_, found) = fixture.client()?.manifest(&reference(&kept)?).await?;
    ensure!(found == digest, "{kept} is {found}");

    let [again, told] = fixture.push(0, &[&archive, &at]).await?;
    ensure!(again == pinned && told.contains("0 layers sent") && told.contains("2 already there"), "{told}");
    ensure!(fixture.uploads()? == uploads, "nothing is sent twice");

    let (client, at) = (fixture.client()?, reference(pinned.trim())?);
    let (manifest, _) = client.manifest(&at).await?;
    for (layer, expected) in manifest.layers.iter().zip(&image.layers) {
        let path = pulled(&client, &fixture, &at, layer).await?;
        let found = digest::sha256_of(GzDecoder::new(fs::File::open(path)?))?;
        ensure!(found == digest::sha256(expected));
    }
    ensure!(fs::read(pulled(&client, &fixture, &at, &manifest.config).await?)? == image.config);
    Ok(())
}

async fn pulled(
    client: &RegistryClient,
    fixture: &Fixture,
    at: &blackfriday_registry::Reference,
    blob: &OciDescriptor,
) -> Result<PathBuf> {
    let path = fixture.folder.path().join("blob");
    client.pull_blob(at, blob, &path).await?;
    Ok(path)
}

#[tokio::test]
async fn the_same_image_has_the_same_digest_from_every_kind_of_archive() -> Result<()> {
    let fixture = Fixture::start().await?;
    let image = Saved::new()?;
    let archive = image.archive()?;
    let plain = fixture.write("image.tar", &archive)?;
    let compressed = fixture.write("image.tar.gz", &gzip(&archive)?)?;
    let [one, two] = image.layers.each_ref().map(|layer| gzip(layer));
    let packed = Saved { layers: [one?, two?], config: image.config.clone() };
    let packed = fixture.write("packed.tar", &packed.archive()?)?;
    let mut digests = Vec::new();
    for archive in [&plain, &compressed, &packed] {
        let [told, _] = fixture.push(0, &["--dry-run", archive]).await?;
        digests.push(told.lines().next().context("a digest")?.to_owned());
    }
    let from_pipe = fixture.output(&["--dry-run", "-"], &archive, "").await;
    let from_pipe = String::from_utf8(from_pipe?.stdout)?;
    digests.push(from_pipe.lines().next().context("a digest")?.to_owned());
    ensure!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");

    // What came into a registry goes on as an OCI layout, as it is.
    let at = fixture.at("a:1");
    fixture.push(0, &[&plain, &at]).await?;
    let layout = layout(&fixture, &at).await?;
    let layout = fixture.write("layout.tar", &layout)?;
    let [pinned, _] = fixture.push(0, &[&layout, &fixture.at("b:1"), &fixture.at("c:1")]).await?;
    let expected = ["b", "c"].map(|name| format!("{}@{}\n", fixture.at(name), digests[0]));
    ensure!(pinned == expected.concat(), "{pinned}");
    Ok(())
}

async fn layout(fixture: &Fixture, at: &str) -> Result<Vec<u8>> {
    let (client, at) = (fixture.client()?, reference(at)?);
    let (manifest, digest) = client.manifest(&at).await?;
    let bytes = serde_json::to_vec(&manifest)?;
    let index = json!({"schemaVersion": 2, "manifests": [{
        "mediaType": manifest.media_type, "digest": digest, "size": bytes.len(),
    }]});
    let path = |digest: &str| format!("blobs/{}", digest.replace(':', "/"));
    let mut files = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), index.to_string().into_bytes()),
        (path(&digest), bytes),
    ];
    for blob in manifest.layers.iter().chain([&manifest.config]) {
        files.push((path(&blob.digest), fs::read(pulled(&client, fixture, &at, blob).await?)?));
    }
    let files: Vec<_> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    tar(&files)
}

#[tokio::test]
async fn digests_are_written_for_kustomize() -> Result<()> {
    let fixture = Fixture::start().await?;
    let archive = fixture.write("image.tar", &Saved::new()?.archive()?)?;
    let folder = fixture.folder.path().join("images").display().to_string();
    let at = fixture.at("blackfriday/gateway:0.2.0");
    let [pinned, _] = fixture.push(0, &[&archive, &at, "--kustomize", &folder]).await?;
    let second = ["--kustomize", &folder, "--name", "relay", "--cluster-registry", "registry.example:5000"];
    fixture.push(0, &[&[archive.as_str(), &fixture.at("x/relay:1")], &second[..]].concat()).await?;
    let text = fs::read_to_string(Path::new(&folder).join("kustomization.yaml"))?;
    let (new_name, digest) = pinned.trim().split_once('@').context("by digest")?;
    let first = format!("  - name: \"gateway\"\n    newName: \"{new_name}\"\n    digest: {digest}\n");
    ensure!(text.contains("kind: Component") && text.contains(&first), "{text}");
    let second = "  - name: \"relay\"\n    newName: \"registry.example:5000/x/relay\"\n";
    ensure!(text.contains(second), "{text}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_has_its_exit_code_and_sends_nothing() -> Result<()> {
    let fixture = Fixture::start().await?;
    let image = Saved::new()?;
    let archive = image.archive()?;
    let good = fixture.write("image.tar", &archive)?;
    let cut = fixture.write("cut.tar", &archive[..archive.len() / 2])?;
    let cut_gzip = fixture.write("cut.tar.gz", &gzip(&archive)?[..50_000])?;
    let text = fixture.write("text", &b"no archive\n".repeat(200))?;
    let empty = fixture.write("empty.tar", &tar(&[])?)?;
    let mut other = Saved::new()?;
    other.layers[1] = tar(&[("etc/small", b"other")])?;
    let tampered = fixture.write("tampered.tar", &other.archive()?)?;
    let at = fixture.at("a:1");
    for wrong in [&cut, &cut_gzip, &text, &empty, &tampered] {
        let [_, told] = fixture.push(65, &[wrong, &at]).await?;
        ensure!(told.contains("is no image archive"), "{told}");
        ensure!(told.len() < 500, "it does not quote the file: {told}");
    }
    let by_digest = fixture.at(&format!("a@{}", digest::sha256("x")));
    for wrong in [&["/nonexistent", at.as_str()][..], &[&good, "a:1"], &[&good, &by_digest], &[&good]] {
        fixture.push(64, wrong).await?;
    }
    fixture.push(69, &[&good, "127.0.0.1:1/a:1"]).await?;
    let denied = fixture.output(&[&good, &at], b"", "wrong").await?;
    ensure!(denied.status.code() == Some(77), "{}", denied.status);
    ensure!(fixture.uploads()? == 0);
    Ok(())
}
