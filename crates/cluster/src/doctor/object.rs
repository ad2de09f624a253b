//! What kubectl prints, as far as it is looked at.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::report::Check;
use crate::quantity::Amount;

/// What the cluster says when it is asked for something.
#[derive(Debug, Clone)]
pub(super) enum Answer<T> {
    Is(T),
    Absent,
    Denied,
    /// kubectl did not end in time.
    Late(String),
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// Any object.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object {
    pub(super) api_version: String,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) spec: Value,
    /// Of a `StorageClass`.
    #[serde(default)]
    pub(super) volume_binding_mode: String,
    /// Of a ConfigMap.
    #[serde(default)]
    pub(super) data: Value,
    #[serde(default)]
    pub(super) status: Value,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Node {
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) spec: NodeSpec,
    pub(super) status: NodeStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeSpec {
    pub(super) unschedulable: bool,
    pub(super) taints: Vec<Taint>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Taint {
    pub(super) key: String,
    pub(super) effect: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NodeStatus {
    pub(super) allocatable: BTreeMap<String, String>,
    pub(super) conditions: Vec<Condition>,
    pub(super) node_info: NodeInfo,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NodeInfo {
    pub(super) container_runtime_version: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    pub(super) spec: PodSpec,
    #[serde(default)]
    pub(super) status: PodStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodSpec {
    pub(super) node_name: String,
    pub(super) containers: Vec<Container>,
    pub(super) init_containers: Vec<Container>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) args: Vec<String>,
    pub(super) resources: Resources,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resources {
    pub(super) requests: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodStatus {
    pub(super) phase: String,
    pub(super) container_statuses: Vec<ContainerStatus>,
    pub(super) init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ContainerStatus {
    pub(super) image: String,
    #[serde(rename = "imageID")]
    pub(super) image_id: String,
    pub(super) state: ContainerState,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerState {
    pub(super) waiting: Option<Waiting>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Waiting {
    pub(super) reason: String,
    pub(super) message: String,
}

impl<T> Answer<T> {
    /// What is there, if anything.
    ///
    /// # Errors
    /// The user may not see it, or it took too long, which is a finding of its own.
    pub(super) fn seen(&self, name: &'static str) -> Result<Option<&T>, Check> {
        match self {
            Self::Is(found) => Ok(Some(found)),
            Self::Absent => Ok(None),
            Self::Denied => Err(Check::warning(
                name,
                "not allowed to look",
                "kubectl auth whoami     # and ask for the ClusterRole view, with nodes",
            )),
            Self::Late(told) => Err(Check::warning(name, told.clone(), "kubectl get --raw /readyz?verbose")),
        }
    }
}

impl Object {
    /// `namespace/name`.
    pub(super) fn place(&self) -> String {
        let Metadata { name, namespace, .. } = &self.metadata;
        if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") }
    }

    /// Part of it, or its default if that is not there.
    pub(super) fn part<T: DeserializeOwned + Default>(&self, pointer: &str) -> T {
        self.spec.pointer(pointer).and_then(|part| T::deserialize(part).ok()).unwrap_or_default()
    }

    /// The pods that it makes.
    pub(super) fn pods(&self) -> PodSpec {
        self.part(if self.kind == "CronJob" { "/jobTemplate/spec/template/spec" } else { "/template/spec" })
    }
}

impl PodSpec {
    /// As the scheduler counts: init containers run one after the other, before the others.
    pub(super) fn requests(&self) -> Amount {
        let of = |container: &Container| Amount::of(&container.resources.requests);
        let together = self.containers.iter().map(of).sum::<Amount>();
        self.init_containers.iter().map(of).fold(together, Amount::max)
    }
}

impl Node {
    pub(super) fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|condition| condition.status == "True")
    }

    /// Whether pods without tolerations run here.
    pub(super) fn takes_pods(&self) -> bool {
        let keeps_away = |taint: &Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
        self.is_ready() && !self.spec.unschedulable && !self.spec.taints.iter().any(keeps_away)
    }
}
