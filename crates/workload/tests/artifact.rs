//! Workloads in a real registry: round trips, refusals, cut transfers, damage.

#[path = "artifact/proxy.rs"]
mod proxy;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use blackfriday_registry::{
    Access, Reference, RegistryAuth, RegistryClient, RegistryError, digest, reference, tagged,
};
use blackfriday_stack::{OciRegistry, RegistryOptions};
use blackfriday_workload::artifact::{self, ARTIFACT_TYPE, LAYER_TYPE};
use blackfriday_workload::{Recipe, make};
use tempfile::TempDir;

use crate::proxy::Proxy;

/// Some 600 KB.
const PRODUCTS: u32 = 1500;

struct Fixture {
    server: OciRegistry,
    folder: TempDir,
    text: String,
}

impl Fixture {
    async fn start() -> Self {
        let recipe = Recipe { title: "A test".to_owned(), seed: 7, products: PRODUCTS };
        Self {
            server: OciRegistry::start().await.expect("a registry starts"),
            folder: tempfile::tempdir().expect("a folder"),
            text: make(&recipe),
        }
    }

    fn access(&self) -> Access {
        access(&self.server, self.server.password().expose())
    }

    fn client(&self) -> RegistryClient {
        RegistryClient::new(&self.access()).expect("a client")
    }

    fn at(&self, rest: &str) -> Reference {
        reference(&format!("{}/{rest}", self.server.host())).expect("a reference")
    }

    async fn push(&self) -> artifact::Pushed {
        let at = self.at("workloads/test:1");
        artifact::push(&self.client(), &at, self.text.clone()).await.expect("pushed")
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("workload.toml")
    }

    /// The pull fails, and nothing is there under the name that was asked for.
    async fn fails(&self, client: &RegistryClient, at: &Reference) -> RegistryError {
        let error = artifact::pull(client, at, &self.target()).await.expect_err("it cannot work");
        assert!(!self.target().exists(), "{error}");
        error
    }

    fn parts(&self) -> usize {
        fs::read_dir(self.folder.path()).expect("is there").count()
    }

    /// Where the registry keeps the file.
    fn stored(&self) -> PathBuf {
        let hex = digest::sha256(&self.text)["sha256:".len()..].to_owned();
        let mut found = Vec::new();
        files(&self.server.data(), &mut found);
        let is_it = |path: &PathBuf| path.to_string_lossy().contains(&hex) && size(path) > 1000;
        found.into_iter().find(is_it).expect("the registry has it on its disk")
    }
}

fn access(server: &OciRegistry, password: &str) -> Access {
    let ca = server.ca().map(|path| fs::read(path).expect("the authority's certificate"));
    let auth = RegistryAuth::Basic(server.username().to_owned(), password.to_owned());
    Access { plain_http: ca.is_none(), ca, auth }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() { files(&entry.path(), found) } else { found.push(entry.path()) }
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// An error with its causes, as a user reads it.
fn told(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", told(cause)),
        None => error.to_string(),
    }
}

#[tokio::test]
async fn what_was_pushed_comes_back_by_tag_and_by_digest() {
    let fixture = Fixture::start().await;
    let client = fixture.client();
    let pushed = fixture.push().await;
    assert!(pushed.was_sent);
    let again = fixture.push().await;
    assert_eq!((again.digest.as_str(), again.was_sent), (pushed.digest.as_str(), false));

    let other = fixture.at("elsewhere/copy:2");
    let copy = artifact::push(&client, &other, fixture.text.clone()).await.expect("pushed");
    assert_eq!(copy.digest, pushed.digest, "equal files have equal digests everywhere");

    for at in [fixture.at("workloads/test:1"), reference(&pushed.pinned).expect("a reference")] {
        let inspected = artifact::inspect(&client, &at).await.expect("there");
        assert_eq!(inspected.digest, pushed.digest);
        assert_eq!(inspected.manifest.artifact_type.as_deref(), Some(ARTIFACT_TYPE));
        let annotations = inspected.manifest.annotations.expect("annotations");
        assert_eq!(annotations["org.opencontainers.image.title"], "A test");
        assert_eq!(annotations["vnd.blackfriday.workload.seed"], "7");
        assert_eq!(annotations["vnd.blackfriday.workload.products"], (4 * PRODUCTS).to_string());

        let (_, workload) = artifact::pull(&client, &at, &fixture.target()).await.expect("pulled");
        assert_eq!(fs::read_to_string(fixture.target()).expect("there"), fixture.text);
        assert_eq!(workload.pinned(), Some(pushed.pinned.as_str()));
        assert_eq!(workload.digest(), digest::sha256(&fixture.text));
    }
    assert_eq!(fixture.parts(), 1, "nothing but the file is left");
}

#[tokio::test]
async fn nobody_gets_in_without_the_password() {
    let fixture = Fixture::start().await;
    fixture.push().await;
    let at = fixture.at("workloads/test:1");
    for auth in [access(&fixture.server, "wrong").auth, RegistryAuth::Anonymous] {
        let client = RegistryClient::new(&Access { auth, ..fixture.access() }).expect("a client");
        let error = artifact::push(&client, &at, fixture.text.clone()).await.expect_err("refused");
        assert!(matches!(error, RegistryError::Denied { .. }), "{}", told(&error));
        assert!(!told(&error).contains("wrong:"));
        let error = fixture.fails(&client, &at).await;
        assert!(matches!(error, RegistryError::Denied { .. }), "{}", told(&error));
    }
}

#[tokio::test]
async fn a_registry_of_another_authority_is_not_talked_to() {
    let (fixture, stranger) = tokio::join!(Fixture::start(), OciRegistry::start());
    let ca = access(&stranger.expect("starts"), "").ca;
    let at = fixture.at("workloads/test:1");
    for ca in [ca, None] {
        let client = RegistryClient::new(&Access { ca, ..fixture.access() }).expect("a client");
        let error = artifact::push(&client, &at, fixture.text.clone()).await.expect_err("not trusted");
        assert!(told(&error).contains("certificate verify failed"), "{}", told(&error));
    }
    let plain = RegistryClient::new(&Access { plain_http: true, ..fixture.access() }).expect("a client");
    assert!(artifact::push(&plain, &at, fixture.text.clone()).await.is_err());
}

#[tokio::test]
async fn plain_http_is_spoken_when_it_is_asked_for() {
    let options = RegistryOptions { plain_http: true, ..RegistryOptions::default() };
    let server = OciRegistry::start_with(options).await.expect("starts");
    let fixture = Fixture { server, folder: tempfile::tempdir().expect("a folder"), text: "?".to_owned() };
    let text = make(&Recipe { title: "t".to_owned(), seed: 1, products: 1 });
    let at = tagged(&format!("{}/a:1", fixture.server.host())).expect("a reference");
    artifact::push(&fixture.client(), &at, text.clone()).await.expect("pushed");
    let encrypted = RegistryClient::new(&Access { plain_http: false, ..fixture.access() }).expect("a client");
    fixture.fails(&encrypted, &at).await;
    artifact::pull(&fixture.client(), &at, &fixture.target()).await.expect("pulled");
    assert_eq!(fs::read_to_string(fixture.target()).expect("there"), text);
}

#[tokio::test]
async fn a_transfer_that_breaks_off_goes_on_where_it_was() {
    let fixture = Fixture::start().await;
    let pushed = fixture.push().await;
    let size = fixture.text.len() as u64;
    let proxy = Proxy::start(fixture.server.host()).await;
    let pinned = pushed.pinned.replace(&fixture.server.host(), &proxy.address.to_string());
    let at = reference(&pinned).expect("a reference");

    // Cut once and then closed for good: this pull fails, and leaves what has come.
    proxy.limit(size / 2, 1);
    let error = fixture.fails(&fixture.client(), &at).await;
    let RegistryError::Cut { received, .. } = error else { panic!("{}", told(&error)) };
    assert!(received > size / 4 && received < size, "{received} of {size}");
    assert_eq!(fixture.parts(), 1);

    // The next one asks for the rest only, although it is cut as well.
    let before = proxy.passed();
    proxy.limit(size / 4, u64::MAX);
    artifact::pull(&fixture.client(), &at, &fixture.target()).await.expect("pulled");
    assert_eq!(fs::read_to_string(fixture.target()).expect("there"), fixture.text);
    assert_eq!(fixture.parts(), 1, "nothing but the file is left");
    let passed = proxy.passed() - before;
    assert!(passed < size - received + size / 4, "{passed} bytes for the last {}", size - received);
}

#[tokio::test]
async fn what_was_left_by_something_else_is_thrown_away() {
    let fixture = Fixture::start().await;
    let pushed = fixture.push().await;
    let at = reference(&pushed.pinned).expect("a reference");
    let name = format!(".workload.toml.{}.part", digest::sha256(&fixture.text).replace(':', "-"));
    for left in [1000, fixture.text.len(), 2 * fixture.text.len()] {
        fs::write(fixture.folder.path().join(&name), "x".repeat(left)).expect("written");
        artifact::pull(&fixture.client(), &at, &fixture.target()).await.expect("pulled");
        assert_eq!(fs::read_to_string(fixture.target()).expect("there"), fixture.text);
        assert_eq!(fixture.parts(), 1);
    }
}

#[tokio::test]
async fn damage_is_seen_and_leaves_nothing() {
    let fixture = Fixture::start().await;
    let pushed = fixture.push().await;
    let (client, stored) = (fixture.client(), fixture.stored());
    let by_digest = reference(&pushed.pinned).expect("a reference");

    let mut bytes = fixture.text.clone().into_bytes();
    bytes[100_000] ^= 1;
    fs::write(&stored, &bytes).expect("tampered with");
    let error = fixture.fails(&client, &by_digest).await;
    assert!(matches!(error, RegistryError::Digest { .. }), "{}", told(&error));
    assert_eq!(fixture.parts(), 0);

    fs::write(&stored, &fixture.text.as_bytes()[..200_000]).expect("truncated");
    let error = fixture.fails(&client, &by_digest).await;
    // docker-registry sends what it has; Zot looks at the size first, and then has nothing.
    let is_seen =
        matches!(error, RegistryError::Cut { received: 200_000, .. } | RegistryError::Absent { .. });
    assert!(is_seen, "{}", told(&error));

    fs::write(&stored, &fixture.text).expect("mended");
    artifact::pull(&client, &by_digest, &fixture.target()).await.expect("pulled");
}

#[tokio::test]
async fn what_is_not_there_or_no_workload_is_told() {
    let fixture = Fixture::start().await;
    fixture.push().await;
    let client = fixture.client();
    let absent = format!("workloads/test@{}", digest::sha256("another"));
    for at in ["workloads/test:2", "nowhere:1", &absent] {
        let error = fixture.fails(&client, &fixture.at(at)).await;
        assert!(matches!(error, RegistryError::Absent { .. }), "{}", told(&error));
    }
    let at = fixture.at("workloads/test:3");
    let error = artifact::push(&client, &at, "title = 1".to_owned()).await.expect_err("no workload");
    assert!(matches!(error, RegistryError::OtherKind { .. }), "{}", told(&error));

    let config = bytes::Bytes::from_static(b"{}");
    let image = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": digest::sha256(&config)},
        "layers": [],
    });
    client.push_bytes(&at, config).await.expect("pushed");
    client.push_manifest(&at, image.to_string().into()).await.expect("pushed");
    let error = fixture.fails(&client, &at).await;
    assert!(told(&error).contains("of type application/vnd.oci.image.config.v1+json"), "{}", told(&error));
}

/// As `oras push REF workload.toml:TYPE` writes it, with and without `--artifact-type`, and as an index.
#[tokio::test]
async fn what_other_tools_pushed_comes_back() {
    let fixture = Fixture::start().await;
    let client = fixture.client();
    let file = bytes::Bytes::from(fixture.text.clone());
    let (at, empty) = (fixture.at("workloads/test:oras"), bytes::Bytes::from_static(b"{}"));
    for bytes in [&file, &empty] {
        client.push_bytes(&at, bytes.clone()).await.expect("pushed");
    }
    let manifest = |artifact_type: &str| {
        serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": artifact_type,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest::sha256(&empty),
                       "size": 2, "data": "e30="},
            "layers": [{"mediaType": LAYER_TYPE, "digest": digest::sha256(&file), "size": file.len(),
                        "annotations": {"org.opencontainers.image.title": "workload.toml"}}],
            "annotations": {"org.opencontainers.image.created": "2026-11-28T09:00:00Z"},
        })
    };
    for artifact_type in [ARTIFACT_TYPE, "application/vnd.unknown.artifact.v1"] {
        let manifest = bytes::Bytes::from(manifest(artifact_type).to_string());
        client.push_manifest(&at, manifest.clone()).await.expect("pushed");
        let (inspected, workload) = artifact::pull(&client, &at, &fixture.target()).await.expect("pulled");
        assert_eq!((inspected.of_type(), workload.title.as_str()), (artifact_type, "A test"));
        assert_eq!(fs::read_to_string(fixture.target()).expect("there"), fixture.text);
        assert_eq!(inspected.digest, digest::sha256(&manifest));
    }
}

/// An index, as `oras manifest index create` writes it: what is pinned is the manifest that it points to.
#[tokio::test]
async fn an_index_that_points_to_a_workload_stands_for_it() {
    let fixture = Fixture::start().await;
    let pushed = fixture.push().await;
    let at = fixture.at("workloads/test:index");
    let (manifest, _) = fixture.client().manifest(&fixture.at("workloads/test:1")).await.expect("there");
    let size = serde_json::to_vec(&manifest).expect("JSON").len();
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": size,
                       "digest": pushed.digest, "artifactType": ARTIFACT_TYPE}],
    });
    fixture.client().push_index(&at, index.to_string().into()).await.expect("pushed");
    let (inspected, _) = artifact::pull(&fixture.client(), &at, &fixture.target()).await.expect("pulled");
    assert_eq!(inspected.pinned, pushed.pinned);
    let error = fixture.client().manifest(&at).await.expect_err("an index");
    assert!(matches!(error, RegistryError::Index { .. }), "{}", told(&error));
}
