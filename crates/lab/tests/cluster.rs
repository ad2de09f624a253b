//! Experiments in a cluster, on a cluster that is a script and some files: what it lacks is named, and nothing is changed in it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use blackfriday_lab::program;
use serde_json::{Value, json};

/// Writes down what it was asked for, and answers with the file that is named like the question; with nothing if there is none.
const KUBECTL: &str = r#"#!/bin/sh
folder=${0%/*}
shift 2
printf '%s\n' "$*" >>"$folder/asked"
answer=$folder/answers/$(printf '%s' "$*" | tr ' /' '__')
if [ -e "$answer" ]; then cat "$answer"; fi
"#;
const SERVED: &str = "api-resources --api-group";
const NAMES: &str = "--no-headers -o name";
const VPAS: &str = "-n blackfriday get verticalpodautoscalers.autoscaling.k8s.io -o json";

struct Fixture(tempfile::TempDir);

impl Fixture {
    /// A cluster with a node and a gateway.
    fn new() -> Result<Self> {
        let fixture = Self(tempfile::tempdir()?);
        fs::create_dir(fixture.0.path().join("answers"))?;
        let kubectl = fixture.0.path().join("kubectl");
        fs::write(&kubectl, KUBECTL)?;
        fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755))?;
        let info = json!({"architecture": "amd64", "kernelVersion": "6.1"});
        let node = json!({"status": {"capacity": {"cpu": "2", "memory": "8Gi"}, "nodeInfo": info}});
        fixture.answer("get nodes -o json", &json!({"items": [node]}))?;
        let pod = json!({"status": {"containerStatuses": [{"imageID": "r/gateway@sha256:1"}]}});
        fixture.answer("-n blackfriday get pods -o json", &json!({"items": [pod]}))?;
        fixture.answer("version -o json", &json!({"serverVersion": {"gitVersion": "v1.36.0"}}))?;
        let requests =
            json!({"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}, "name": "gateway"});
        let deployment = json!({"spec": {"template": {"spec": {"containers": [requests]}}}});
        fixture.answer("-n blackfriday get deployment/gateway -o json", &deployment)?;
        Ok(fixture)
    }

    fn answer(&self, question: &str, answer: &Value) -> Result<()> {
        self.say(question, &answer.to_string())
    }

    fn say(&self, question: &str, answer: &str) -> Result<()> {
        let name = question.replace([' ', '/'], "_");
        Ok(fs::write(self.0.path().join("answers").join(name), answer)?)
    }

    fn serve(&self, group: &str, resource: &str) -> Result<()> {
        self.say(&format!("{SERVED} {group} {NAMES}"), &format!("{resource}.{group}\n"))
    }

    async fn lab(&self, words: &[&str]) -> Result<Output> {
        let path = std::env::var("PATH").context("PATH")?;
        let mut command = tokio::process::Command::new(program("blackfriday")?);
        command.arg("lab").args(words).arg("--out").arg(self.0.path().join("out"));
        command.env("PATH", format!("{}:{path}", self.0.path().display()));
        command.stdin(Stdio::null()).kill_on_drop(true).output().await.context("run blackfriday")
    }

    /// It ends with 69, and names this.
    async fn lacks(&self, experiment: &str, told: &str) -> Result<()> {
        let output = self.lab(&[experiment, "--kubeconfig", "/nowhere"]).await?;
        let said = said(&output);
        ensure!(output.status.code() == Some(69) && said.contains(told), "{}: {said}", output.status);
        let asked = fs::read_to_string(self.0.path().join("asked"))?;
        ensure!(!["patch", "delete", "create"].iter().any(|word| asked.contains(word)), "{asked}");
        ensure!(!self.0.path().join(format!("out/{experiment}.json")).exists(), "{experiment} has a result");
        Ok(())
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn what_a_cluster_lacks_is_named_before_anything_is_changed() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.lacks("recommendations", "serves no verticalpodautoscalers.autoscaling.k8s.io").await?;
    fixture.lacks("autoscaler", "serves no pods.metrics.k8s.io").await?;
    fixture.lacks("machine", "no cronjob smoke").await?;
    fixture.serve("metrics.k8s.io", "pods")?;
    fixture.lacks("autoscaler", "no horizontalpodautoscaler gateway").await?;
    fixture.say("-n blackfriday get cronjob smoke --ignore-not-found -o name", "cronjob.batch/smoke\n")?;
    fixture.lacks("machine", "neither a StatefulSet valkey nor a VirtualMachine valkey-1").await?;
    fixture.serve("autoscaling.k8s.io", "verticalpodautoscalers")?;
    fixture.answer(VPAS, &json!({"items": []}))?;
    fixture
        .lacks("recommendations", "no VerticalPodAutoscaler: deploy an overlay with components/vpa")
        .await?;
    fixture.answer(VPAS, &json!({"items": [{"spec": {"targetRef": {"name": "gateway"}}}]}))?;
    fixture.lacks("recommendations", "the VPA of gateway recommends nothing yet").await
}

/// A load of which the job prints this.
fn load_prints(fixture: &Fixture, printed: &str) -> Result<()> {
    fixture.serve("metrics.k8s.io", "pods")?;
    fixture.say(
        "-n blackfriday get horizontalpodautoscaler gateway --ignore-not-found -o name",
        "hpa/gateway\n",
    )?;
    fixture.say("-n blackfriday get cronjob smoke --ignore-not-found -o name", "cronjob.batch/smoke\n")?;
    fixture.answer(
        "-n blackfriday get hpa/gateway -o json",
        &json!({"spec": {"minReplicas": 1, "maxReplicas": 3}}),
    )?;
    let alone = json!({"status": {"replicas": 1, "readyReplicas": 1}});
    fixture.answer("-n blackfriday get deployment/gateway -o json", &alone)?;
    let pod = json!({"spec": {"containers": [{"image": "load"}]}});
    let cron_job = json!({"spec": {"jobTemplate": {"spec": {"template": pod}}}});
    fixture.answer("-n blackfriday get cronjob smoke -o json", &cron_job)?;
    let over = json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}});
    fixture.answer("-n blackfriday get job lab-load -o json", &over)?;
    fixture.say("-n blackfriday logs job/lab-load", printed)
}

/// What the HPA was told, in turn.
fn limits(fixture: &Fixture) -> Result<Vec<char>> {
    let asked = fs::read_to_string(fixture.0.path().join("asked"))?;
    let patches = asked.lines().filter(|line| line.contains(" patch "));
    Ok(patches.filter_map(|line| line.split_once("\"maxReplicas\":")?.1.chars().next()).collect())
}

#[tokio::test]
async fn an_autoscaler_is_left_as_it_was_also_after_a_load_that_failed() -> Result<()> {
    let told = json!({
        "accepted_per_second": 900.5, "refused": {}, "unknown": 0,
        "latency_ms": {"p50": 3.0, "p99": 9.5}, "run": {"workload": "sha256:w"},
    });
    let fixture = Fixture::new()?;
    load_prints(&fixture, &format!("{told}\n"))?;
    let words = ["autoscaler", "--kubeconfig", "/nowhere", "--rounds", "1"];
    let output = fixture.lab(&words).await?;
    ensure!(output.status.success(), "{}", said(&output));
    let result: Value =
        serde_json::from_str(&fs::read_to_string(fixture.0.path().join("out/autoscaler.json"))?)?;
    ensure!(result["workload"] == "sha256:w" && result["turn_s"] == 90.0, "{result:#}");
    let again = "blackfriday lab autoscaler --rounds 1 --duration 1m30s --kubeconfig \"$KUBECONFIG\"";
    ensure!(result["command"] == again, "{result:#}");
    for (at, name) in ["one", "autoscaled"].into_iter().enumerate() {
        let variant = &result["variants"][at];
        ensure!(variant["name"] == name && variant["median"]["sales_per_s"] == 900.5, "{result:#}");
    }
    ensure!(limits(&fixture)? == ['1', '3', '1', '3', '3'], "{:?}", limits(&fixture)?);

    let fixture = Fixture::new()?;
    load_prints(&fixture, "the gateway cannot be reached\n")?;
    let output = fixture.lab(&words).await?;
    ensure!(output.status.code() == Some(69), "{}: {}", output.status, said(&output));
    ensure!(said(&output).contains("the gateway cannot be reached"), "{}", said(&output));
    ensure!(limits(&fixture)? == ['1', '3'], "{:?}", limits(&fixture)?);
    Ok(())
}

#[tokio::test]
async fn without_a_cluster_the_flag_is_named() -> Result<()> {
    let output = Fixture::new()?.lab(&["autoscaler"]).await?;
    ensure!(output.status.code() == Some(64), "{}", said(&output));
    ensure!(
        said(&output).contains("autoscaler is measured in a cluster: --kubeconfig FILE"),
        "{}",
        said(&output)
    );
    Ok(())
}

#[tokio::test]
async fn recommendations_are_kept_next_to_what_is_asked_for() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.serve("autoscaling.k8s.io", "verticalpodautoscalers")?;
    let each = json!([{"containerName": "gateway", "target": {"cpu": "25m", "memory": "256Mi"}}]);
    let scaler = json!({
        "spec": {"targetRef": {"name": "gateway"}},
        "status": {"recommendation": {"containerRecommendations": each}},
    });
    fixture.answer(VPAS, &json!({"items": [scaler]}))?;
    let output = fixture.lab(&["recommendations", "--kubeconfig", "/nowhere"]).await?;
    ensure!(output.status.success(), "{}", said(&output));
    let text = fs::read_to_string(fixture.0.path().join("out/recommendations.json"))?;
    let result: Value = serde_json::from_str(&text)?;
    ensure!(result["rounds"] == 1 && result["servers"][0] == "Kubernetes v1.36.0", "{result:#}");
    ensure!(result["machine"]["processor"] == "1 node, amd64", "{result:#}");
    let median = |at: usize| &result["variants"][at]["median"];
    ensure!(median(0)["cpu_m.gateway"] == 50.0 && median(1)["cpu_m.gateway"] == 25.0, "{result:#}");
    ensure!(median(0)["mib.gateway"] == 128.0 && median(1)["mib.gateway"] == 256.0, "{result:#}");
    let asked = fs::read_to_string(fixture.0.path().join("asked"))?;
    ensure!(!asked.contains("patch"), "{asked}");
    Ok(())
}
