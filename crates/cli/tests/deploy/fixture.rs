//! A cluster of files, and `blackfriday deploy` on it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);
const GENERATE: &str = "#!/usr/bin/env bash\nset -eu\nfolder=$(dirname \"$0\")/generated/secrets\nmkdir -p \"$folder\"\n\
    [[ -e $folder/kafka-admin ]] || printf hunter2 >\"$folder/kafka-admin\"\n";

/// All releases are there.
const FETCH: &str = "#!/usr/bin/env bash\nprintf 'bash %s %s\\n' \"$0\" \"$*\" >>\"$CLUSTER/asked\"\n";

pub(crate) struct Fixture {
    folder: TempDir,
}

/// What a run said, and with which exit code it ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

impl Fixture {
    pub(crate) fn new() -> Result<Self> {
        let fixture = Self { folder: tempfile::tempdir()? };
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s");
        for name in ["plain", "minikube"] {
            let at = format!("overlays/{name}/kustomization.yaml");
            fixture.write(&format!("k8s/{at}"), &fs::read_to_string(repository.join(at))?)?;
        }
        fixture.write("k8s/generate.sh", GENERATE)?;
        fixture.write("k8s/operators/fetch.sh", FETCH)?;
        fs::create_dir_all(fixture.path("cluster/answers"))?;
        fixture.render(&[
            object("ConfigMap", "kafka", "kafka-config"),
            object("Secret", "kafka", "kafka-credentials"),
        ])?;
        // Not everywhere is there a /usr/bin/env.
        let script = include_str!("cluster.sh").replacen("/usr/bin/env bash", &bash()?, 1);
        // The last one is asked for, and not used.
        for name in ["kubectl", "kustomize", "openssl"] {
            fixture.write(&format!("bin/{name}"), &script)?;
            fs::set_permissions(fixture.path(&format!("bin/{name}")), Permissions::from_mode(0o755))?;
        }
        Ok(fixture)
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(crate) fn write(&self, below: &str, text: &str) -> Result<()> {
        let path = self.path(below);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(path, text).context("write")
    }

    /// What kustomize gives.
    pub(crate) fn render(&self, objects: &[Value]) -> Result<()> {
        self.write("cluster/rendered.json", &json!({"kind": "List", "items": objects}).to_string())
    }

    /// How kubectl answers what fits the pattern; the last that was told first.
    pub(crate) fn answer(&self, pattern: &str, code: u8, said: &str) -> Result<()> {
        let count = fs::read_dir(self.path("cluster/answers"))?.count();
        self.write(&format!("cluster/answers/{:03}", 999 - count), &format!("{pattern}\n{code}\n{said}\n"))
    }

    pub(crate) fn json(&self, pattern: &str, said: &Value) -> Result<()> {
        self.answer(pattern, 0, &said.to_string())
    }

    /// What kubectl and kustomize were asked for, since the last time that this was asked.
    pub(crate) fn asked(&self) -> Result<Vec<String>> {
        let asked = self.path("cluster/asked");
        let text = fs::read_to_string(&asked).unwrap_or_default();
        fs::write(&asked, "")?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// `blackfriday deploy`, with the shortest of waits.
    pub(crate) async fn deploy(&self, overlay: &str, arguments: &[&str]) -> Result<Ended> {
        let path = std::env::join_paths(
            [self.path("bin")]
                .into_iter()
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
        )?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackfriday"));
        command.args(["deploy", "--overlay", overlay, "--poll", "1ms", "--patience", "10ms"]);
        if !arguments.contains(&"--timeout") {
            command.args(["--timeout", "20s"]);
        }
        command.args(arguments).current_dir(self.folder.path()).env("PATH", path).kill_on_drop(true);
        command.env("CLUSTER", self.path("cluster")).env("NO_PROXY", "127.0.0.1").stdin(Stdio::null());
        for name in ["CA", "USERNAME", "PASSWORD", "PASSWORD_FILE"] {
            command.env_remove(format!("BLACKFRIDAY_REGISTRY_{name}"));
        }
        let output = timeout(LIMIT, command.output()).await?.context("run blackfriday")?;
        let said =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        ensure!(!said.contains("hunter2"), "a secret is printed:\n{said}");
        Ok(Ended { code: output.status.code(), said })
    }

    /// Where the nodes have the images, and no question is asked.
    pub(crate) async fn local(&self, overlay: &str) -> Result<Ended> {
        self.deploy(overlay, &["--no-push", "--skip-preflight", "--yes"]).await
    }
}

impl Ended {
    /// Checks the exit code, and that all of this was said.
    pub(crate) fn is(&self, code: i32, words: &[&str]) -> Result<()> {
        ensure!(self.code == Some(code), "exit code {:?}:\n{}", self.code, self.said);
        for word in words {
            ensure!(self.said.contains(word), "{word:?} is not in\n{}", self.said);
        }
        Ok(())
    }
}

fn bash() -> Result<String> {
    let path = std::env::var_os("PATH").context("a PATH")?;
    let bash = std::env::split_paths(&path).map(|folder| folder.join("bash")).find(|file| file.is_file());
    Ok(bash.context("bash is missing: ./dev setup")?.display().to_string())
}

pub(crate) fn object(kind: &str, namespace: &str, name: &str) -> Value {
    json!({"kind": kind, "metadata": {"name": name, "namespace": namespace}})
}

pub(crate) fn list(items: &[Value]) -> Value {
    json!({"kind": "List", "items": items})
}
