use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blackfriday_terminal::failure::Unavailable;
use serde_json::{Value, json};

use super::kubectl::{Undo, until};
use super::{Cluster, Metrics, NAMESPACE, Turn};

const JOB: &str = "lab-load";
/// After its time, for its pod to start and for what is on the way.
const MORE: Duration = Duration::from_secs(180);
const CONNECTIONS: &str = "32";

/// Sales that a job in the cluster sends.
pub(super) struct Load<'a> {
    cluster: &'a Cluster,
    lasts: Duration,
    /// No job goes on sending that nobody waits for.
    _gone: Undo,
}

impl Cluster {
    /// Starts a load from inside the cluster, at a rate or as fast as it is answered.
    pub(super) async fn load(&self, lasts: Duration, rate: Option<u32>) -> Result<Load<'_>> {
        self.kubectl
            .run(&["-n", NAMESPACE, "delete", "job", JOB, "--ignore-not-found", "--wait"], None)
            .await?;
        let cron_job = self.kubectl.json(&["-n", NAMESPACE, "get", "cronjob", "smoke", "-o", "json"]).await?;
        let job = job(&cron_job, lasts, rate)?;
        let words = ["-n", NAMESPACE, "delete", "job", JOB, "--ignore-not-found", "--wait=false"];
        let gone = self.kubectl.at_the_end(&words);
        self.kubectl.run(&["-n", NAMESPACE, "create", "-f", "-"], Some(&job.to_string())).await?;
        Ok(Load { cluster: self, lasts, _gone: gone })
    }
}

impl Load<'_> {
    /// Whether all was sent.
    pub(super) async fn is_over(&self) -> Result<bool> {
        let job = self.cluster.kubectl.json(&["-n", NAMESPACE, "get", "job", JOB, "-o", "json"]).await?;
        let conditions = job["status"]["conditions"].as_array();
        let is_end = |condition: &Value| {
            ["Complete", "Failed"].iter().any(|kind| condition["type"] == *kind)
                && condition["status"] == "True"
        };
        Ok(conditions.is_some_and(|conditions| conditions.iter().any(is_end)))
    }

    /// Waits for its end; what was answered.
    pub(super) async fn result(self) -> Result<Turn> {
        until(self.lasts + MORE, "the load is over", async || self.is_over().await).await?;
        let log = self.cluster.kubectl.run(&["-n", NAMESPACE, "logs", &format!("job/{JOB}")], None).await?;
        turn(&log)
    }
}

/// The job of the CronJob with other arguments.
fn job(cron_job: &Value, lasts: Duration, rate: Option<u32>) -> Result<Value> {
    let mut spec = cron_job["spec"]["jobTemplate"]["spec"].clone();
    let (seconds, deadline) = (lasts.as_secs(), (lasts + MORE).as_secs());
    spec["activeDeadlineSeconds"] = json!(deadline);
    // What was sent once must not be sent again: a second pod's result would be another one.
    spec["backoffLimit"] = json!(0);
    let mut arguments =
        ["--url", "http://gateway:8080", "--json", "--connections", CONNECTIONS].map(str::to_owned).to_vec();
    arguments.extend(["--duration".to_owned(), format!("{seconds}s")]);
    arguments.extend(rate.into_iter().flat_map(|rate| ["--rate".to_owned(), rate.to_string()]));
    let container =
        spec.pointer_mut("/template/spec/containers/0").context("the CronJob smoke has no container")?;
    container["args"] = json!(arguments);
    let labels = cron_job["spec"]["jobTemplate"]["metadata"]["labels"].clone();
    let metadata = json!({"name": JOB, "namespace": NAMESPACE, "labels": labels});
    Ok(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}))
}

/// Out of the JSON that `load` prints last.
fn turn(log: &str) -> Result<Turn> {
    let last = || {
        Unavailable(format!("the load printed no result: {}", log.lines().next_back().unwrap_or("nothing")))
    };
    // Lines of its log may be JSON, too.
    let is_result = |told: &Value| told["accepted_per_second"].is_number();
    let result = |line: &str| serde_json::from_str(line).ok().filter(is_result);
    let told: Value = log.lines().rev().find_map(result).with_context(last)?;
    let of = |pointer: &str| {
        let number = told.pointer(pointer).and_then(Value::as_f64);
        number.with_context(|| format!("the load printed no {pointer}"))
    };
    ensure!(
        of("/unknown")? == 0.0 && told["refused"].as_object().is_some_and(serde_json::Map::is_empty),
        "not every sale was accepted: {told}"
    );
    let metrics = Metrics::from([
        ("sales_per_s".to_owned(), of("/accepted_per_second")?),
        ("p50_ms".to_owned(), of("/latency_ms/p50")?),
        ("p99_ms".to_owned(), of("/latency_ms/p99")?),
    ]);
    Ok(Turn { metrics, workload: told["run"]["workload"].as_str().map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_sends_what_it_is_told_with_the_images_and_rights_of_the_smoke_test() {
        let cron_job = json!({"spec": {"jobTemplate": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"template": {"spec": {"containers": [{"image": "i", "args": ["--sales", "1"]}]}}},
        }}});
        let job = job(&cron_job, Duration::from_secs(90), Some(200)).expect("a job");
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "i");
        let arguments = container["args"].to_string();
        assert!(arguments.contains("\"90s\"") && arguments.contains("\"200\""), "{arguments}");
        assert!(!arguments.contains("--sales"), "{arguments}");
        assert_eq!(
            (&job["spec"]["activeDeadlineSeconds"], &job["metadata"]["labels"]["a"]),
            (&json!(270), &json!("b"))
        );
        assert!(super::job(&json!({}), Duration::from_secs(1), None).is_err());
    }

    #[test]
    fn what_was_not_accepted_or_not_told_is_an_error() {
        let told = r#"{"accepted_per_second": 900.5, "refused": {}, "unknown": 0, "latency_ms": {"p50": 3.0, "p99": 9.5}, "run": {"workload": "w"}}"#;
        let turn = turn(&format!("starting\n{told}\n{{\"level\":\"WARN\"}}\n")).expect("metrics");
        assert_eq!((turn.metrics["sales_per_s"], turn.metrics["p99_ms"]), (900.5, 9.5));
        assert_eq!(turn.workload.as_deref(), Some("w"));
        let refused = told.replace("{},", "{\"503\": 2},");
        assert!(super::turn(&refused).err().expect("refused").to_string().contains("not every sale"));
        assert!(super::turn("no such image").err().expect("nothing").to_string().contains("no such image"));
    }
}
