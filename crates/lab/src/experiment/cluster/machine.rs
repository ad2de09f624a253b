//! The store in a pod against the store in a virtual machine. A cluster has one of the two: what it has is measured and kept, and
//! the other is missing until the same nodes have an overlay of the other kind.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use blackfriday_terminal::failure::Unavailable;
use serde_json::Value;

use super::kubectl::until;
use super::{Cluster, MIB, NAMESPACE, Need, STORES, Turn};
use crate::client::get_text;
use crate::durations::{buckets, within};

/// The server that is started again; the other one counts meanwhile.
const SERVER: &str = "valkey-1";
/// A machine under emulation boots for minutes.
const BOOT_LIMIT: Duration = Duration::from_secs(900);
/// The kubelet looks at memory every 10 s.
const MEMORY_LIMIT: Duration = Duration::from_secs(120);
/// Sales a second, which every cluster carries.
const RATE: u32 = 200;
const ADMIN: u16 = 9083;

/// Where a store runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Pod,
    VirtualMachine,
}

impl Kind {
    pub(in super::super) const ALL: [Self; 2] = [Self::Pod, Self::VirtualMachine];

    pub(in super::super) const fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::VirtualMachine => "virtual-machine",
        }
    }

    pub(super) fn of(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).with_context(|| format!("no kind {name}"))
    }

    const fn object(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::VirtualMachine => "virtualmachineinstance.kubevirt.io",
        }
    }

    /// Which pod holds it.
    const fn selector(self) -> &'static str {
        match self {
            Self::Pod => "app.kubernetes.io/name=valkey,statefulset.kubernetes.io/pod-name=valkey-1",
            Self::VirtualMachine => "kubevirt.io=virt-launcher,app.kubernetes.io/instance=valkey-1",
        }
    }
}

impl Cluster {
    /// Which of the two the cluster has.
    ///
    /// # Errors
    /// It has neither.
    pub(in super::super) async fn kind(&self) -> Result<Kind> {
        let exists = async |object: &str| {
            let words = ["-n", STORES, "get", object, "--ignore-not-found", "-o", "name"];
            Ok::<_, anyhow::Error>(!self.kubectl.run(&words, None).await?.trim().is_empty())
        };
        if exists("statefulset/valkey").await? {
            return Ok(Kind::Pod);
        }
        if self.has(Need::KubeVirt).await? && exists(&format!("virtualmachine.kubevirt.io/{SERVER}")).await? {
            return Ok(Kind::VirtualMachine);
        }
        bail!(Unavailable(format!(
            "the namespace {STORES} has neither a StatefulSet valkey nor a VirtualMachine {SERVER}: deploy an overlay of k8s/ to the cluster first"
        )))
    }

    /// Why the other kind is missing, and how it comes.
    pub(in super::super) async fn why_without(&self, missing: Kind) -> Result<String> {
        let lacks_it = missing == Kind::VirtualMachine && !self.has(Need::KubeVirt).await?;
        let (group, resource, remedy) = Need::KubeVirt.told();
        Ok(match missing {
            Kind::VirtualMachine if lacks_it => format!("the cluster serves no {resource}.{group}: {remedy}"),
            Kind::VirtualMachine => {
                "deploy an overlay with components/valkey-kubevirt to the same nodes".to_owned()
            }
            Kind::Pod => "deploy an overlay with components/valkey-plain to the same nodes".to_owned(),
        })
    }

    /// Starts a server of the store again, and measures how long that takes, what it then holds, and how long batches take.
    pub(super) async fn store_again(&self, kind: Kind, lasts: Duration) -> Result<Turn> {
        let boot_s = self.boot(kind).await?;
        let mib = self.memory_mib(kind).await?;
        let before = self.durations().await?;
        let mut turn = self.load(lasts, Some(RATE)).await?.result().await?;
        let metrics = &mut turn.metrics;
        let after = self.durations().await?;
        metrics.insert("boot_s".to_owned(), boot_s);
        metrics.insert("mib.store".to_owned(), mib);
        for (name, quantile) in [("apply_p50_ms", 0.5), ("apply_p99_ms", 0.99)] {
            let seconds = within(&before, &after, quantile).context("no consumer applied a batch")?;
            metrics.insert(name.to_owned(), seconds * 1000.0);
        }
        Ok(turn)
    }

    /// Whole seconds, as the cluster's own clock tells them.
    async fn boot(&self, kind: Kind) -> Result<f64> {
        let words = ["-n", STORES, "get", kind.object(), SERVER, "--ignore-not-found", "-o", "json"];
        let uid = |object: &Value| object["metadata"]["uid"].as_str().map(str::to_owned);
        let old = uid(&self.kubectl.json(&words).await?);
        self.kubectl
            .run(&["-n", STORES, "delete", kind.object(), SERVER, "--wait", "--timeout=300s"], None)
            .await?;
        let mut took = None;
        let is_up = async || {
            let printed = self.kubectl.run(&words, None).await?;
            let object: Value =
                if printed.trim().is_empty() { Value::Null } else { serde_json::from_str(&printed)? };
            took = if uid(&object) == old { None } else { boot_s(&object) };
            Ok::<_, anyhow::Error>(took.is_some())
        };
        until(BOOT_LIMIT, &format!("{SERVER} is ready again"), is_up).await?;
        took.context("it is ready")
    }

    /// What the pod holds, that of the machine with what is around the machine.
    async fn memory_mib(&self, kind: Kind) -> Result<f64> {
        let words = ["-n", STORES, "get", "pods", "-l", kind.selector(), "-o", "json"];
        let pods = self.kubectl.json(&words).await?;
        let is_running = |pod: &&Value| {
            pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null()
        };
        let pod = pods["items"].as_array().into_iter().flatten().find(is_running).cloned();
        let pod = pod.with_context(|| format!("no pod runs {SERVER}"))?;
        let name = pod["metadata"]["name"].as_str().context("a pod has a name")?;
        let node = pod["spec"]["nodeName"].as_str().context("a pod that runs has a node")?;
        let path = format!("/api/v1/nodes/{node}/proxy/stats/summary");
        let mut bytes = None;
        let is_known = async || {
            bytes = working_set(&self.kubectl.json(&["get", "--raw", &path]).await?, name);
            Ok::<_, anyhow::Error>(bytes.is_some())
        };
        until(MEMORY_LIMIT, "the kubelet knows the store's memory", is_known).await?;
        Ok(bytes.context("it is known")? / MIB)
    }

    /// Of all consumers together: round trips that took at most so many seconds.
    async fn durations(&self) -> Result<Vec<(f64, f64)>> {
        let words = ["-n", NAMESPACE, "get", "pods", "-l", "app.kubernetes.io/name=consumer", "-o", "name"];
        let pods = self.kubectl.run(&words, None).await?;
        ensure!(
            !pods.trim().is_empty(),
            Unavailable(format!("no consumer runs in the namespace {NAMESPACE}"))
        );
        let mut all = Vec::<(f64, f64)>::new();
        for pod in pods.lines() {
            let forward = self.kubectl.forward(NAMESPACE, pod, ADMIN).await?;
            let of_one = buckets(&get_text(forward.address, "/metrics").await?);
            if all.is_empty() {
                all = of_one;
            } else {
                all.iter_mut().zip(of_one).for_each(|(sum, (_, count))| sum.1 += count);
            }
        }
        Ok(all)
    }
}

/// From the creation of what is ready until it was.
fn boot_s(object: &Value) -> Option<f64> {
    let at = |text: &Value| humantime::parse_rfc3339(text.as_str()?).ok();
    let conditions = object["status"]["conditions"].as_array()?;
    let ready = conditions.iter().find(|one| one["type"] == "Ready" && one["status"] == "True")?;
    let created = at(&object["metadata"]["creationTimestamp"])?;
    Some(at(&ready["lastTransitionTime"])?.duration_since(created).ok()?.as_secs_f64())
}

fn working_set(summary: &Value, pod: &str) -> Option<f64> {
    let pods = summary["pods"].as_array()?;
    let found =
        pods.iter().find(|one| one["podRef"]["name"] == pod && one["podRef"]["namespace"] == STORES)?;
    found["memory"]["workingSetBytes"].as_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_boot_lasts_from_the_creation_until_it_is_ready_and_memory_is_that_pods() {
        let object = |status: &str| {
            let ready =
                json!({"type": "Ready", "status": status, "lastTransitionTime": "2026-11-30T10:00:47Z"});
            json!({"metadata": {"creationTimestamp": "2026-11-30T10:00:05Z"}, "status": {"conditions": [ready]}})
        };
        assert_eq!(boot_s(&object("True")), Some(42.0));
        assert_eq!(boot_s(&object("False")), None);
        assert_eq!(boot_s(&Value::Null), None);
        let pod = |namespace: &str, bytes: u64| json!({"podRef": {"name": "a", "namespace": namespace}, "memory": {"workingSetBytes": bytes}});
        let summary = json!({"pods": [pod("other", 1), pod("valkey", 7)]});
        assert_eq!((working_set(&summary, "a"), working_set(&summary, "b")), (Some(7.0), None));
    }
}
