//! What is waited for, and whether it is so: read from what the API server says of an object.

use std::fmt;

use serde_json::Value;

/// Something that must become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: Kind,
    /// None for what belongs to no namespace.
    pub(super) namespace: Option<&'static str>,
    /// None for all of the kind in the namespace.
    pub(super) name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Deployment,
    StatefulSet,
    Job,
    Definition,
    Kafka,
    KafkaTopic,
    KafkaUser,
    RabbitmqCluster,
    VirtualMachine,
    KubeVirt,
}

/// How far an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    Ready,
    /// Not yet, and what is missing.
    Waiting(String),
}

/// An operator's Deployment: namespace and name.
pub(super) type Operator = (&'static str, &'static str);

const STRIMZI: &[Operator] = &[("kafka", "strimzi-cluster-operator")];
const RABBITMQ: &[Operator] = &[("rabbitmq-system", "rabbitmq-cluster-operator")];
const KUBEVIRT: &[Operator] = &[("kubevirt", "virt-operator"), ("kubevirt", "virt-controller")];

impl Target {
    pub(super) fn new(kind: Kind, namespace: &'static str, name: impl Into<String>) -> Self {
        Self { kind, namespace: Some(namespace), name: Some(name.into()) }
    }

    pub(super) fn all(kind: Kind, namespace: &'static str) -> Self {
        Self { kind, namespace: Some(namespace), name: None }
    }

    pub(super) fn definition(name: &str) -> Self {
        Self { kind: Kind::Definition, namespace: None, name: Some(name.to_owned()) }
    }

    /// The words after `kubectl` that ask for it.
    pub(super) fn query(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(namespace) = self.namespace {
            words.extend(["-n".to_owned(), namespace.to_owned()]);
        }
        words.extend(["get".to_owned(), self.kind.resource().to_owned()]);
        words.extend(self.name.clone());
        words.extend(["--ignore-not-found", "-o", "json"].map(str::to_owned));
        words
    }

    pub(super) fn standing(&self, answer: &Value) -> Standing {
        let waiting = |what: &str| Standing::Waiting(what.to_owned());
        match (answer["items"].as_array(), answer.is_object()) {
            // One that failed is taken away before it is applied again: what has gone since by its time to live had ended well.
            (_, false) if self.kind == Kind::Job => Standing::Ready,
            (_, false) => waiting("not there yet"),
            (None, true) => self.kind.standing(answer),
            (Some(items), true) if items.is_empty() => waiting("none there yet"),
            (Some(items), true) => {
                let missing = items.iter().filter_map(|item| match self.kind.standing(item) {
                    Standing::Ready => None,
                    Standing::Waiting(why) => {
                        Some(format!("{}: {why}", item["metadata"]["name"].as_str().unwrap_or("?")))
                    }
                });
                let missing: Vec<_> = missing.collect();
                if missing.is_empty() { Standing::Ready } else { Standing::Waiting(missing.join("; ")) }
            }
        }
    }

    /// Who makes it ready, if that is not Kubernetes itself.
    pub(super) fn operators(&self) -> &'static [Operator] {
        match self.kind {
            Kind::Kafka | Kind::KafkaTopic | Kind::KafkaUser => STRIMZI,
            Kind::RabbitmqCluster => RABBITMQ,
            Kind::VirtualMachine => KUBEVIRT,
            Kind::KubeVirt => &KUBEVIRT[..1],
            Kind::Deployment | Kind::StatefulSet | Kind::Job | Kind::Definition => &[],
        }
    }
}

impl Kind {
    pub(super) fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments.apps",
            Self::StatefulSet => "statefulsets.apps",
            Self::Job => "jobs.batch",
            Self::Definition => "customresourcedefinitions.apiextensions.k8s.io",
            Self::Kafka => "kafkas.kafka.strimzi.io",
            Self::KafkaTopic => "kafkatopics.kafka.strimzi.io",
            Self::KafkaUser => "kafkausers.kafka.strimzi.io",
            Self::RabbitmqCluster => "rabbitmqclusters.rabbitmq.com",
            Self::VirtualMachine => "virtualmachines.kubevirt.io",
            Self::KubeVirt => "kubevirts.kubevirt.io",
        }
    }

    /// As one says it.
    fn word(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::Job => "job",
            Self::Definition => "crd",
            Self::Kafka => "kafka",
            Self::KafkaTopic => "kafkatopic",
            Self::KafkaUser => "kafkauser",
            Self::RabbitmqCluster => "rabbitmqcluster",
            Self::VirtualMachine => "vm",
            Self::KubeVirt => "kubevirt",
        }
    }

    fn standing(self, object: &Value) -> Standing {
        match self {
            Self::Deployment => rollout(object, "availableReplicas"),
            Self::StatefulSet => rollout(object, "readyReplicas"),
            Self::Job => when(object, "Complete"),
            Self::Definition => when(object, "Established"),
            Self::Kafka | Self::KafkaTopic | Self::KafkaUser => seen(object, || when(object, "Ready")),
            Self::RabbitmqCluster => seen(object, || when(object, "AllReplicasReady")),
            Self::VirtualMachine => {
                let status = object["status"]["printableStatus"].as_str();
                match (when(object, "Ready"), status) {
                    (Standing::Waiting(_), Some(status)) => Standing::Waiting(status.to_owned()),
                    (standing, _) => standing,
                }
            }
            Self::KubeVirt => when(object, "Available"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.kind.word();
        match (self.namespace, &self.name) {
            (Some(namespace), Some(name)) => write!(f, "{namespace}: {word}/{name}"),
            (Some(namespace), None) => write!(f, "{namespace}: every {word}"),
            (None, name) => write!(f, "{word}/{}", name.as_deref().unwrap_or("all")),
        }
    }
}

/// The condition of a type, if there is one.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

pub(super) fn holds(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == "True")
}

fn when(object: &Value, kind: &str) -> Standing {
    if holds(object, kind) {
        return Standing::Ready;
    }
    let said = condition(object, kind).or_else(|| object["status"]["conditions"].as_array()?.last());
    let text = |name: &str| said.and_then(|said| said[name].as_str()).filter(|text| !text.is_empty());
    let why = text("message").or_else(|| text("reason"));
    Standing::Waiting(why.map_or_else(|| format!("not {kind} yet"), str::to_owned))
}

/// What a status says counts only once it is about the object as it now is.
fn seen(object: &Value, then: impl FnOnce() -> Standing) -> Standing {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    if number(&object["status"]["observedGeneration"]) < number(&object["metadata"]["generation"]) {
        return Standing::Waiting("its controller has not seen the change yet".to_owned());
    }
    then()
}

/// As `kubectl rollout status` has it.
fn rollout(object: &Value, serving: &str) -> Standing {
    seen(object, || {
        let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1);
        let count = |name: &str| object["status"][name].as_u64().unwrap_or_default();
        let (updated, all, ready) = (count("updatedReplicas"), count("replicas"), count(serving));
        if updated >= wanted && all <= updated && ready >= wanted {
            return Standing::Ready;
        }
        let old = all.saturating_sub(updated);
        let old = if old > 0 { format!(", {old} of the old ones still there") } else { String::new() };
        Standing::Waiting(format!("{} of {wanted} ready{old}", ready.min(updated)))
    })
}

#[cfg(test)]
mod tests;
