//! What things are called in the cluster: namespaces, labels, and the operators that an overlay needs.

use crate::line::words;

/// The namespaces that the base brings.
pub(super) const NAMESPACES: [&str; 6] =
    ["blackfriday", "kafka", "monitoring", "rabbitmq", "redis", "valkey"];
/// On every object of an overlay.
pub(super) const OURS: &str = "app.kubernetes.io/part-of=blackfriday";
/// Where a deleted Strimzi cluster's id is kept for as long as its claims are: a broker refuses a log of another id.
pub(super) const LOG_ID: &str = "kafka-cluster-id";
/// The job of `kafka-plain` that makes users, permissions and topics.
pub(super) static KAFKA_SETUP: Setup = Setup { namespace: "kafka", name: "kafka-setup" };
/// The job that makes RabbitMQ's streams.
pub(super) static RABBITMQ_SETUP: Setup = Setup { namespace: "rabbitmq", name: "rabbitmq-setup" };
/// In which RabbitMQ's operator marks what it makes.
pub(super) const OF_RABBITMQ: &str = "app.kubernetes.io/part-of=rabbitmq";

/// A job that is applied with the overlay and makes what a log needs. A job cannot be changed, only made again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setup {
    pub(super) namespace: &'static str,
    pub(super) name: &'static str,
}

/// An operator that an overlay needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) name: &'static str,
    /// Below the manifests.
    pub(super) folder: &'static str,
    pub(super) namespace: &'static str,
    pub(super) deployment: &'static str,
    /// Its label says who installed it; while somebody else uses it, it is not removed.
    pub(super) definition: &'static str,
    /// The namespace of what we make by it.
    pub(super) used_in: &'static str,
}

pub(super) static STRIMZI: Release = Release {
    name: "strimzi",
    folder: "operators/strimzi",
    namespace: "kafka",
    deployment: "strimzi-cluster-operator",
    definition: "kafkas.kafka.strimzi.io",
    used_in: "kafka",
};

pub(super) static KUBEVIRT: Release = Release {
    name: "kubevirt",
    folder: "operators/kubevirt",
    namespace: "kubevirt",
    deployment: "virt-operator",
    definition: "kubevirts.kubevirt.io",
    used_in: "valkey",
};

pub(super) static RABBITMQ: Release = Release {
    name: "rabbitmq",
    folder: "operators/rabbitmq",
    namespace: "rabbitmq-system",
    deployment: "rabbitmq-cluster-operator",
    definition: "rabbitmqclusters.rabbitmq.com",
    used_in: "rabbitmq",
};

impl Release {
    /// On each of its objects, by `operators/`.
    pub(super) fn label(&self) -> String {
        format!("blackfriday/operator={}", self.name)
    }

    /// What is looked for in other namespaces before it is removed.
    pub(super) fn resource(&self) -> &'static str {
        if self.name == "kubevirt" { "virtualmachineinstances.kubevirt.io" } else { self.definition }
    }

    /// What it made in the cluster, definitions apart.
    pub(super) fn kinds(&self) -> &'static str {
        "deployments,configmaps,serviceaccounts,roles,rolebindings"
    }

    pub(super) fn find(&self) -> Vec<String> {
        words(["get", "crd", self.definition, "--ignore-not-found", "-o", "json"])
    }
}
