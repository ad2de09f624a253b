//! Results in a real registry: pushed next to a workload, pulled, shown; and everything that is no result of ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use blackfriday_lab::program;
use blackfriday_registry::{Access, Reference, RegistryAuth, RegistryClient, digest, reference};
use blackfriday_stack::OciRegistry;
use blackfriday_workload::{Recipe, artifact, make};
use bytes::Bytes;
use serde_json::{Value, json};

const LAYER_TYPE: &str = "application/vnd.blackfriday.lab.result.v1+json";
/// One byte more than a result may have.
const TOO_LARGE: usize = 16 * 1024 * 1024 + 1;

struct Fixture {
    server: OciRegistry,
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn start() -> Result<Self> {
        let fixture = Self { server: OciRegistry::start().await?, folder: tempfile::tempdir()? };
        fs::create_dir(fixture.path("results"))?;
        for name in ["hops", "logs"] {
            fs::copy(kept().join(format!("{name}.json")), fixture.path(&format!("results/{name}.json")))?;
        }
        fs::write(fixture.path("template.md"), "{{tabla logs sales_per_s}}\n")?;
        fs::write(fixture.path("password"), fixture.server.password().expose())?;
        Ok(fixture)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn client(&self) -> Result<RegistryClient> {
        let ca = self.server.ca().map(fs::read).transpose()?;
        let password = self.server.password().expose().to_owned();
        let auth = RegistryAuth::Basic(self.server.username().to_owned(), password);
        Ok(RegistryClient::new(&Access { plain_http: ca.is_none(), ca, auth })?)
    }

    fn at(&self, rest: &str) -> Result<Reference> {
        Ok(reference(&self.named(rest))?)
    }

    fn named(&self, rest: &str) -> String {
        format!("{}/{rest}", self.server.host())
    }

    /// `blackfriday lab` with these words, and how the registry is reached.
    async fn lab(&self, words: &[&str]) -> Result<Output> {
        let mut command = tokio::process::Command::new(program("blackfriday")?);
        command.arg("lab").args(words).stdin(Stdio::null()).kill_on_drop(true);
        command.args(["--username", self.server.username(), "--password-file"]).arg(self.path("password"));
        match self.server.ca() {
            Some(ca) => command.arg("--ca").arg(ca),
            None => command.arg("--plain-http"),
        };
        command.output().await.context("run blackfriday")
    }

    /// Pushes the results, and gives the reference that always stands for them.
    async fn push(&self, to: &str, more: &[&str]) -> Result<String> {
        let text = |name: &str| self.path(name).display().to_string();
        let (results, template, out) = (text("results"), text("template.md"), text("report.md"));
        let to = self.named(to);
        let words = ["report", "--results", &results, "--template", &template, "--out", &out, "--push", &to];
        let output = self.lab(&[&words[..], more].concat()).await?;
        ensure!(output.status.success(), "{}", said(&output));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Showing it ends with this code, and says this.
    async fn refuses(&self, of: &str, code: i32, told: &str) -> Result<()> {
        let kept = self.path("kept");
        let output = self.lab(&["show", of, "--out", &kept.display().to_string()]).await?;
        ensure!(output.status.code() == Some(code), "{of}: {}: {}", output.status, said(&output));
        ensure!(said(&output).contains(told), "{told} in {}", said(&output));
        ensure!(!kept.exists() && output.stdout.is_empty(), "{of}: something was kept or shown");
        Ok(())
    }
}

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lab")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files(&path, found)? } else { found.push(path) }
    }
    Ok(())
}

#[tokio::test]
async fn results_that_were_pushed_next_to_a_workload_come_back() -> Result<()> {
    let fixture = Fixture::start().await?;
    let client = fixture.client()?;
    let text = make(&Recipe { title: "A test".to_owned(), seed: 7, products: 5 });
    let workload = artifact::push(&client, &fixture.at("workloads/test:1")?, text).await?;
    let of = fixture.named("workloads/test:1");

    let pinned = fixture.push("workloads/test:lab", &["--workload", &of]).await?;
    let (manifest, _) = client.manifest(&reference(&pinned)?).await?;
    ensure!(manifest.artifact_type.as_deref() == Some("application/vnd.blackfriday.lab.v1+json"));
    let annotations = manifest.annotations.context("annotations")?;
    ensure!(annotations["vnd.blackfriday.lab.workload"] == workload.pinned, "{annotations:?}");
    ensure!(manifest.subject.context("a subject")?.digest == workload.digest);
    ensure!(fixture.push("workloads/test:lab", &["--workload", &of]).await? == pinned, "equal digests");

    // A subject is of the same repository; elsewhere the annotation alone says it.
    let elsewhere = fixture.push("lab/results:1", &["--workload", &of]).await?;
    let (manifest, _) = client.manifest(&reference(&elsewhere)?).await?;
    ensure!(manifest.subject.is_none());
    ensure!(manifest.annotations.context("annotations")?["vnd.blackfriday.lab.workload"] == workload.pinned);

    let out = fixture.path("kept");
    let shown = fixture.lab(&["show", &pinned, "--out", &out.display().to_string()]).await?;
    ensure!(shown.status.success(), "{}", said(&shown));
    ensure!(said(&shown).contains(&workload.pinned), "{}", said(&shown));
    for name in ["hops.json", "logs.json"] {
        ensure!(fs::read(out.join(name))? == fs::read(kept().join(name))?, "{name}");
    }
    let table = String::from_utf8(shown.stdout)?;
    ensure!(table.contains("rabbitmq") && table.contains("sales_per_s") && table.contains("95 %"), "{table}");

    let folder = fixture.lab(&["show", &out.display().to_string(), "--json"]).await?;
    let read: Value = serde_json::from_slice(&folder.stdout).context("JSON")?;
    ensure!(read[0]["experiment"] == "hops" && read[1]["experiment"] == "logs", "{read:#}");
    Ok(())
}

#[tokio::test]
async fn what_is_no_result_damaged_too_large_or_away_is_told() -> Result<()> {
    let fixture = Fixture::start().await?;
    let client = fixture.client()?;
    let text = make(&Recipe { title: "A test".to_owned(), seed: 7, products: 5 });
    let workload = artifact::push(&client, &fixture.at("workloads/test:1")?, text).await?;
    fixture.refuses(&workload.pinned, 65, "is no set of results").await?;
    let absent = format!("oci://{}", fixture.named("workloads/test:2"));
    fixture.refuses(&absent, 69, "is not there").await?;
    fixture.refuses("oci://127.0.0.1:1/lab:1", 69, "127.0.0.1:1/lab:1").await?;
    fixture.refuses("oci://127.0.0.1:1/lab", 64, "a tag or a digest is wanted").await?;

    for (file, told) in [
        (Bytes::from_static(b"{\"experiment\": 3}"), "its layer sha256:"),
        (Bytes::from(vec![b' '; TOO_LARGE]), "the limit is 16777216"),
    ] {
        let at = fixture.at("lab/other:1")?;
        let config = Bytes::from_static(b"{}");
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest::sha256(&config), "size": 2},
            "layers": [{"mediaType": LAYER_TYPE, "digest": digest::sha256(&file), "size": file.len()}],
        });
        client.push_bytes(&at, file).await?;
        client.push_bytes(&at, config).await?;
        client.push_manifest(&at, manifest.to_string().into()).await?;
        fixture.refuses(&format!("oci://{}", fixture.named("lab/other:1")), 65, told).await?;
    }
    Ok(())
}

#[tokio::test]
async fn damage_in_the_registry_is_seen() -> Result<()> {
    let fixture = Fixture::start().await?;
    let pinned = fixture.push("lab/results:1", &[]).await?;
    let hex = digest::sha256(fs::read(fixture.path("results/logs.json"))?)["sha256:".len()..].to_owned();
    let mut found = Vec::new();
    files(&fixture.server.data(), &mut found)?;
    let is_it = |path: &&PathBuf| {
        path.to_string_lossy().contains(&hex) && fs::metadata(path).is_ok_and(|file| file.len() > 1_000)
    };
    let stored = found.iter().find(is_it).context("the registry has it on its disk")?;
    let mut bytes = fs::read(stored)?;
    bytes[500] ^= 1;
    fs::write(stored, &bytes)?;
    fixture.refuses(&pinned, 65, "it was changed or damaged").await
}

#[tokio::test]
async fn what_is_pushed_wants_a_tag_and_what_it_lies_next_to_must_be_a_workload() -> Result<()> {
    let fixture = Fixture::start().await?;
    let results = fixture.push("lab/results:1", &[]).await?;
    let text = |name: &str| fixture.path(name).display().to_string();
    let (folder, template, out) = (text("results"), text("template.md"), text("report.md"));
    let words = ["report", "--results", &folder, "--template", &template, "--out", &out, "--push"];
    let by_digest = fixture.lab(&[&words[..], &[&results]].concat()).await?;
    ensure!(by_digest.status.code() == Some(64), "{}", said(&by_digest));
    let to = fixture.named("lab/results:2");
    let beside = fixture.lab(&[&words[..], &[&to, "--workload", &results]].concat()).await?;
    ensure!(beside.status.code() == Some(65), "{}", said(&beside));
    ensure!(said(&beside).contains("is no workload"), "{}", said(&beside));
    let no_folder = fixture.lab(&["show", &text("nowhere")]).await?;
    ensure!(no_folder.status.code() == Some(64), "{}", said(&no_folder));
    fs::write(fixture.path("results/other.json"), "{}")?;
    let damaged = fixture.lab(&["show", &folder]).await?;
    ensure!(damaged.status.code() == Some(65), "{}", said(&damaged));
    ensure!(said(&damaged).contains("other.json is not a result"), "{}", said(&damaged));
    Ok(())
}
