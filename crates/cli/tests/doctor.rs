//! `doctor` as a user runs it, on a cluster that is a script and some files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// Answers with the file that is named like the question; with nothing if there is none; and with a failure if it is
/// named so. The clock is this machine's.
const KUBECTL: &str = r#"#!/bin/sh
answers=${0%/*}/answers
asked="$*"
case $asked in
    build*) name=build ;;
    "--context test label --local"*) cat >/dev/null; name=label ;;
    "--context test get --raw /version"*) LC_ALL=C date -u '+Date: %a, %d %b %Y %H:%M:%S GMT' >&2; exit ;;
    "--context test get --raw /apis") name=apis ;;
    "--context test get "*) name=${asked#* get }; name=${name%% *} ;;
    "--context test version"*) name=version ;;
    *) echo "unknown: $asked" >&2; exit 1 ;;
esac
if [ -e "$answers/$name.failure" ]; then cat "$answers/$name.failure" >&2; exit 1; fi
if [ -e "$answers/$name" ]; then cat "$answers/$name"; fi
"#;

struct Fixture {
    folder: TempDir,
}

impl Fixture {
    /// A cluster in which the overlay could work.
    fn new() -> Result<Self> {
        let fixture = Self { folder: tempfile::tempdir()? };
        fs::create_dir(fixture.folder.path().join("answers"))?;
        for program in ["kubectl", "kustomize"] {
            let path = fixture.folder.path().join(program);
            fs::write(&path, KUBECTL)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        let version = |version: &str| json!({ "gitVersion": version });
        let versions = json!({
            "clientVersion": version("v1.36.3"), "kustomizeVersion": "v5.8.1", "serverVersion": version("v1.36.0"),
        });
        fixture.answer("version", &versions)?;
        fixture.answer("nodes", &json!({"items": [node("8Gi")]}))?;
        let class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        });
        fixture.answer("storageclasses", &json!({ "items": [class] }))?;
        let group = json!({"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]});
        fixture.answer("apis", &json!({"kind": "APIGroupList", "groups": [group]}))?;
        // One after the other, as `kubectl label` prints them.
        let objects: Vec<_> = objects().iter().map(Value::to_string).collect();
        fixture.write("label", &objects.join("\n"))?;
        Ok(fixture)
    }

    fn answer(&self, name: &str, value: &Value) -> Result<()> {
        self.write(name, &value.to_string())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.folder.path().join("answers").join(name), text)?)
    }

    /// What it prints, if it ends with this code.
    async fn run(&self, code: i32, more: &[&str]) -> Result<String> {
        let path = std::env::var("PATH").unwrap_or_default();
        self.run_with(&format!("{}:{path}", self.folder.path().display()), code, more).await
    }

    async fn run_with(&self, path: &str, code: i32, more: &[&str]) -> Result<String> {
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s");
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackfriday"));
        command.args(["doctor", "--overlay", "plain", "--context", "test", "--manifests"]).arg(manifests);
        command.args(more).env("PATH", path).env_remove("BLACKFRIDAY_REGISTRY_CA").kill_on_drop(true);
        let output = command.output().await?;
        let text = |bytes| String::from_utf8(bytes).context("text");
        let (stdout, stderr) = (text(output.stdout)?, text(output.stderr)?);
        ensure!(output.status.code() == Some(code), "{more:?}: {}\n{stdout}\n{stderr}", output.status);
        Ok(if code > 1 { stderr } else { stdout })
    }
}

fn node(memory: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"},
        "status": {
            "allocatable": {"cpu": "4", "memory": memory},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    })
}

fn objects() -> Vec<Value> {
    let place = |name: &str| json!({"name": name, "namespace": "blackfriday"});
    let requests = json!({"requests": {"cpu": "250m", "memory": "1Gi"}});
    let containers =
        json!([{"name": "gateway", "image": "blackfriday/gateway:0.2.0", "resources": requests}]);
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "gateway"});
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "blackfriday"}}),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": place("gateway"),
            "spec": {"replicas": 1, "template": {"spec": {"containers": containers}}},
        }),
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": place("gateway"),
            "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3},
        }),
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": place("data"), "spec": {}}),
    ]
}

#[tokio::test]
async fn a_cluster_that_could_work_is_told_by_a_line_for_each_check() -> Result<()> {
    let fixture = Fixture::new()?;
    let report = fixture.run(0, &[]).await?;
    for line in [
        "ok       kubectl         v1.36.3 with Kustomize v5.8.1, server v1.36.0",
        "ok       overlay         plain: 4 objects",
        "ok       nodes           1 ready",
        "ok       capacity        0.25 CPU and 1.0 GiB are asked for, 0.75 CPU and 3.0 GiB with all",
        "warning  metrics-server  not there: the gateway is not scaled\n         type: minikube addons",
        "ok       storage         default class standard",
        "ok       autoscaler      gateway from 1 to 3",
        "ok       clock           the API server's is ours",
        "; problems: 0, warnings: 2",
    ] {
        ensure!(report.contains(line), "{line}\n{report}");
    }
    Ok(())
}

#[tokio::test]
async fn what_could_not_work_is_a_problem_with_something_to_type() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.answer("nodes", &json!({"items": [node("512Mi")]}))?;
    fixture.write("storageclasses.failure", "Error from server (Forbidden): storageclasses is forbidden")?;
    let report: Value = serde_json::from_str(&fixture.run(1, &["--json"]).await?)?;
    let check = |name: &str| {
        report["checks"].as_array().and_then(|all| all.iter().find(|check| check["name"] == name))
    };
    for (name, verdict) in [("capacity", "problem"), ("largest pod", "problem"), ("storage", "warning")] {
        let check = check(name).with_context(|| name.to_owned())?;
        ensure!(check["verdict"] == verdict && check["remedy"].is_string(), "{check}");
    }
    fixture.write("label.failure", "error: accumulating resources: not found")?;
    let report = fixture.run(1, &[]).await?;
    ensure!(report.contains("problem  overlay") && report.contains("accumulating resources"), "{report}");
    Ok(())
}

#[tokio::test]
async fn exit_codes_tell_absence_refusal_and_wrong_arguments_apart() -> Result<()> {
    let fixture = Fixture::new()?;
    let wrong = fixture.run(64, &["--manifests", "/nonexistent"]).await?;
    ensure!(wrong.contains("cannot be used multiple times"), "{wrong}");
    fixture.write("version.failure", "Unable to connect to the server: dial tcp: lookup x: no such host")?;
    fixture.run(69, &[]).await?;
    fixture.write("version.failure", "error: You must be logged in to the server (Unauthorized)")?;
    fixture.run(77, &[]).await?;
    let without = tempfile::tempdir()?;
    let report = fixture.run_with(&without.path().display().to_string(), 1, &[]).await?;
    ensure!(report.contains("problem  kubectl  not on PATH\n         type: "), "{report}");
    Ok(())
}
