//! Questions that only a Kubernetes cluster answers, asked by typing `kubectl` against one in which the system is deployed.
//!
//! What the cluster lacks is named before anything is changed, and what was changed for a turn is changed back, also when the
//! turn fails. Sales are sent from inside, by a job made of the CronJob `smoke`: through the Service, as an Ingress sends them,
//! and not through one forwarded port, which would be one pod.
//!
//! Invariant: a number comes from the cluster, or there is none.

mod autoscaler;
mod kubectl;
mod load;
mod machine;
mod recommendations;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blackfriday_cluster::quantity::thousandths;
use blackfriday_terminal::failure::Unavailable;
use serde_json::Value;

use self::kubectl::Kubectl;
use super::Length;
use super::origin::{Machine, Origin, digest};

pub(super) use self::machine::Kind;

const NAMESPACE: &str = "blackfriday";
const STORES: &str = "valkey";
/// Bytes of one.
const MIB: f64 = 1_048_576.0;

/// The shortest turns: an HPA looks each quarter of a minute, and gives a pod that has to start.
const SCALED_LASTS: Duration = Duration::from_secs(90);
const STORE_LASTS: Duration = Duration::from_secs(20);

/// Numbers, each by its metric.
pub(super) type Metrics = BTreeMap<String, f64>;

/// What is asked of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Autoscaler,
    Recommendations,
    Machine,
}

/// What a turn has shown.
pub(super) struct Turn {
    pub(super) metrics: Metrics,
    /// SHA-256 of the workload's file, where sales were sent.
    pub(super) workload: Option<String>,
}

/// A cluster, as one file says how it is reached.
pub(super) struct Cluster {
    kubectl: Kubectl,
}

/// Something that a cluster may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    MetricsServer,
    VerticalPodAutoscaler,
    KubeVirt,
}

impl Need {
    /// API group, resource, and what one has to do to have it.
    const fn told(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::MetricsServer => {
                ("metrics.k8s.io", "pods", "an HPA sees no CPU without the metrics-server: install it")
            }
            Self::VerticalPodAutoscaler => (
                "autoscaling.k8s.io",
                "verticalpodautoscalers",
                "install the Vertical Pod Autoscaler, and deploy an overlay with components/vpa",
            ),
            Self::KubeVirt => (
                "kubevirt.io",
                "virtualmachineinstances",
                "install KubeVirt, and deploy an overlay with components/valkey-kubevirt",
            ),
        }
    }
}

impl Question {
    /// What is compared; the first is what the other is held against.
    pub(super) const fn names(self) -> [&'static str; 2] {
        match self {
            Self::Autoscaler => ["one", autoscaler::AUTOSCALED],
            Self::Recommendations => ["requested", recommendations::RECOMMENDED],
            Self::Machine => [Kind::Pod.name(), Kind::VirtualMachine.name()],
        }
    }

    /// What was asked for, as far as it says something here.
    pub(super) fn length(self, length: Length) -> Length {
        match self {
            Self::Autoscaler => Length { duration: length.duration.max(SCALED_LASTS), ..length },
            Self::Machine => Length { duration: length.duration.max(STORE_LASTS), ..length },
            // It is read, and the same in every round.
            Self::Recommendations => Length { rounds: 1, duration: Duration::ZERO, ..length },
        }
    }
}

impl Cluster {
    pub(super) fn at(kubeconfig: &std::path::Path) -> Self {
        Self { kubectl: Kubectl::new(kubeconfig) }
    }

    /// Whether what a question needs is there.
    ///
    /// # Errors
    /// It is not: the error names it.
    pub(super) async fn has_all_for(&self, question: Question) -> Result<()> {
        match question {
            Question::Autoscaler => {
                self.needs(Need::MetricsServer).await?;
                self.is_there(NAMESPACE, "horizontalpodautoscaler", "gateway").await?;
                self.is_there(NAMESPACE, "cronjob", "smoke").await
            }
            Question::Recommendations => self.needs(Need::VerticalPodAutoscaler).await,
            Question::Machine => self.is_there(NAMESPACE, "cronjob", "smoke").await,
        }
    }

    /// One turn of a variant.
    pub(super) async fn measure(&self, question: Question, variant: &str, length: Length) -> Result<Turn> {
        match question {
            Question::Autoscaler => self.scaled(variant == autoscaler::AUTOSCALED, length.duration).await,
            Question::Recommendations => {
                let metrics = self.resources(variant == recommendations::RECOMMENDED).await?;
                Ok(Turn { metrics, workload: None })
            }
            Question::Machine => self.store_again(Kind::of(variant)?, length.duration).await,
        }
    }

    /// Which nodes there are, and what runs on them.
    pub(super) async fn origin(&self) -> Result<Origin> {
        let nodes = self.kubectl.json(&["get", "nodes", "-o", "json"]).await?;
        let pods = self.kubectl.json(&["-n", NAMESPACE, "get", "pods", "-o", "json"]).await?;
        let images = images(&pods);
        ensure!(
            !images.is_empty(),
            Unavailable(format!("no pod runs in the namespace {NAMESPACE}: deploy to the cluster first"))
        );
        Ok(Origin { programs: digest(images.iter()), workload: String::new(), machine: machine(&nodes)? })
    }

    /// What a report calls the versions of the servers.
    pub(super) async fn versions(&self) -> Result<Vec<String>> {
        let version = self.kubectl.json(&["version", "-o", "json"]).await?;
        let server =
            version["serverVersion"]["gitVersion"].as_str().context("the cluster tells no version")?;
        Ok(vec![format!("Kubernetes {server}")])
    }

    async fn has(&self, need: Need) -> Result<bool> {
        let (group, resource, _) = need.told();
        let words = ["api-resources", "--api-group", group, "--no-headers", "-o", "name"];
        let served = self.kubectl.run(&words, None).await?;
        Ok(served.lines().any(|line| line.trim() == format!("{resource}.{group}")))
    }

    async fn needs(&self, need: Need) -> Result<()> {
        let (group, resource, remedy) = need.told();
        ensure!(
            self.has(need).await?,
            Unavailable(format!("the cluster serves no {resource}.{group}: {remedy}"))
        );
        Ok(())
    }

    async fn is_there(&self, namespace: &str, kind: &str, name: &str) -> Result<()> {
        let words = ["-n", namespace, "get", kind, name, "--ignore-not-found", "-o", "name"];
        let found = self.kubectl.run(&words, None).await?;
        ensure!(
            !found.trim().is_empty(),
            Unavailable(format!(
                "the namespace {namespace} has no {kind} {name}: deploy an overlay of k8s/ to the cluster first"
            ))
        );
        Ok(())
    }
}

/// The images that run, by digest; a job's that has ended are no part of what is measured.
fn images(pods: &Value) -> BTreeSet<String> {
    let has_ended = |pod: &&Value| ["Succeeded", "Failed"].iter().any(|end| pod["status"]["phase"] == *end);
    let pods = pods["items"].as_array().into_iter().flatten().filter(|pod| !has_ended(pod));
    let containers = pods.filter_map(|pod| pod["status"]["containerStatuses"].as_array()).flatten();
    containers.filter_map(|container| Some(container["imageID"].as_str()?.to_owned())).collect()
}

/// All nodes as one machine: what they are, and how much they have together.
fn machine(nodes: &Value) -> Result<Machine> {
    let nodes =
        nodes["items"].as_array().filter(|nodes| !nodes.is_empty()).context("the cluster has no node")?;
    let (mut cores, mut memory) = (0.0, 0.0);
    for node in nodes {
        let capacity = &node["status"]["capacity"];
        cores += amount(&capacity["cpu"]).context("the CPUs of a node")?;
        memory += amount(&capacity["memory"]).context("the memory of a node")?;
    }
    let info = &nodes[0]["status"]["nodeInfo"];
    let of = |name: &str| info[name].as_str().unwrap_or("?").to_owned();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what nodes have is above 0 and below 2^53"
    )]
    let (cores, memory_mib) = (cores as usize, (memory / MIB) as u64);
    let more = if nodes.len() == 1 { "" } else { "s" };
    let processor = format!("{} node{more}, {}", nodes.len(), of("architecture"));
    Ok(Machine { processor, cores, memory_mib, kernel: of("kernelVersion") })
}

/// Cores, or bytes, of a quantity as Kubernetes writes it.
fn amount(quantity: &Value) -> Result<f64> {
    let text = quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned);
    let thousandths = thousandths(&text).with_context(|| format!("{text} is not a quantity"))?;
    #[expect(clippy::cast_precision_loss, reason = "a measurement")]
    Ok(thousandths as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nodes_are_one_machine_and_images_are_named_once() {
        let node = json!({"status": {
            "capacity": {"cpu": "2", "memory": "8Gi"},
            "nodeInfo": {"architecture": "amd64", "kernelVersion": "6.1"},
        }});
        let machine = machine(&json!({"items": [node, node]})).expect("a machine");
        let told = (machine.processor.as_str(), machine.cores, machine.memory_mib, machine.kernel.as_str());
        assert_eq!(told, ("2 nodes, amd64", 4, 16_384, "6.1"));
        assert!(super::machine(&json!({"items": []})).is_err());
        let pod = json!({"status": {"containerStatuses": [{"imageID": "r/a@sha256:1"}]}});
        let mut job = json!({"status": {"phase": "Succeeded"}});
        job["status"]["containerStatuses"] = json!([{"imageID": "r/load@sha256:2"}]);
        assert_eq!(images(&json!({"items": [pod, pod, job, {"status": {}}]})).len(), 1);
    }
}
