//! Which steps take an overlay down, and in which order: first who uses, then who is used, and operators only when what they
//! clean up after is gone.

use super::plan::{Request, releases};
use super::release::{NAMESPACES, OF_RABBITMQ, OURS};
use super::step::Step;
use crate::line::words;
use crate::overlay::Overlay;

/// Kinds that every cluster has. Neither claims nor Secrets: these are data.
const KINDS: &str = "cronjobs,jobs,deployments,statefulsets,horizontalpodautoscalers,poddisruptionbudgets,ingresses,services,\
                     networkpolicies,configmaps,serviceaccounts";

pub(super) fn delete(request: &Request) -> Vec<Step> {
    let overlay = &request.overlay;
    let mut steps = vec![];
    steps.extend(optional(overlay));
    steps.extend(["blackfriday", "monitoring"].map(labelled));
    if overlay.is_kafka_strimzi() {
        steps.extend(strimzi(request.data));
    }
    if overlay.is_rabbitmq_operator() {
        steps.extend(rabbitmq(request.data));
    }
    if overlay.is_valkey_kubevirt() {
        steps.push(every("valkey", "virtualmachines.kubevirt.io"));
    }
    steps.extend(["kafka", "rabbitmq", "redis", "valkey"].map(labelled));
    for release in releases(overlay).into_iter().rev() {
        steps.push(Step::Uninstall(release));
    }
    if request.data {
        for namespace in ["kafka", "rabbitmq", "redis", "valkey"] {
            if overlay.is_valkey_kubevirt() && namespace == "valkey" {
                steps.push(every(namespace, "datavolumes.cdi.kubevirt.io"));
            }
            steps.push(every(namespace, "persistentvolumeclaims"));
        }
        steps.extend(NAMESPACES.map(Step::RemoveNamespace));
        // The second has the registry's password.
        steps.extend(
            ["secrets", "operators"]
                .map(|folder| Step::RemoveSecrets(overlay.manifests.join("generated").join(folder))),
        );
    }
    steps
}

/// What the components bring of kinds that not every cluster knows.
fn optional(overlay: &Overlay) -> Vec<Step> {
    let kinds = [
        ("keda", "blackfriday", "scaledobjects.keda.sh"),
        ("vpa", "blackfriday", "verticalpodautoscalers.autoscaling.k8s.io"),
        ("pod-monitors", "blackfriday", "podmonitors.monitoring.coreos.com"),
        ("pod-monitors", "kafka", "podmonitors.monitoring.coreos.com"),
        ("pod-monitors", "rabbitmq", "podmonitors.monitoring.coreos.com"),
        ("pod-monitors", "monitoring", "prometheusrules.monitoring.coreos.com"),
        ("gateway-api", "blackfriday", "httproutes.gateway.networking.k8s.io"),
        ("gateway-api", "monitoring", "httproutes.gateway.networking.k8s.io"),
        ("gateway-api", "nginx-gateway", "gateways.gateway.networking.k8s.io"),
        ("gateway-gke", "blackfriday", "gcpbackendpolicies.networking.gke.io"),
        ("gateway-gke", "blackfriday", "healthcheckpolicies.networking.gke.io"),
        ("gateway-gke", "monitoring", "healthcheckpolicies.networking.gke.io"),
        ("tls", "blackfriday", "certificates.cert-manager.io"),
        ("tls", "monitoring", "certificates.cert-manager.io"),
        // Of no namespace: which one is said makes no difference.
        ("tls", "blackfriday", "clusterissuers.cert-manager.io"),
    ];
    let present = kinds.into_iter().filter(|(component, _, _)| overlay.has(component));
    let step = |(_, namespace, kind): (_, &str, &str)| Step::Delete {
        title: format!("delete our {kind} in {namespace}"),
        words: words(["-n", namespace, "delete", kind, "-l", OURS, "--ignore-not-found"]),
    };
    present.map(step).collect()
}

fn labelled(namespace: &str) -> Step {
    Step::Delete {
        title: format!("delete what runs in {namespace}"),
        words: words(["-n", namespace, "delete", KINDS, "-l", OURS, "--ignore-not-found"]),
    }
}

fn every(namespace: &str, kind: &str) -> Step {
    Step::Delete {
        title: format!("delete the {kind} in {namespace}"),
        words: words(["-n", namespace, "delete", kind, "--all", "--ignore-not-found"]),
    }
}

/// Topics and users first: it is the cluster's own operators that let go of them.
fn strimzi(data: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    if !data {
        steps.extend([Step::SaveLogId, Step::ReleaseTopics]);
    }
    let kinds = ["kafkatopics", "kafkausers", "kafkas", "kafkanodepools"];
    steps.extend(kinds.map(|kind| every("kafka", &format!("{kind}.kafka.strimzi.io"))));
    steps
}

/// The operator's claims belong to its object and go with it, unless it has to leave everything: then what it made is
/// ours to remove, except claims and Secrets.
fn rabbitmq(data: bool) -> Vec<Step> {
    let delete = |what: &str, ending: &[&'static str]| Step::Delete {
        title: format!("delete {what} in rabbitmq"),
        words: words(
            ["-n", "rabbitmq", "delete"].iter().chain(ending).copied().chain(["--ignore-not-found"]),
        ),
    };
    // Both wait until nothing is left of what goes with it.
    let cascade = if data { "--cascade=foreground" } else { "--cascade=orphan" };
    let kinds = "statefulsets,services,configmaps,serviceaccounts,roles,rolebindings";
    let object = "rabbitmqclusters.rabbitmq.com";
    let mut steps = vec![delete("the rabbitmqclusters.rabbitmq.com", &[object, "--all", cascade])];
    if !data {
        steps.push(delete("what their operator made", &[kinds, "-l", OF_RABBITMQ]));
    }
    steps
}

/// What is lost, for the question.
pub(super) fn losses(request: &Request) -> String {
    let overlay = &request.overlay.name;
    if !request.data {
        return format!(
            "all of {overlay} will be removed, and the operators that deploy installed. Kept: claims (the logs, the counters), \
             Secrets, namespaces"
        );
    }
    let secrets = request.overlay.manifests.join("generated/secrets");
    format!(
        "all of {overlay} will be removed WITH ITS DATA: every accepted event in the logs of Kafka and RabbitMQ, every counter in \
         Valkey and Redis, all claims there, the namespaces {}, and the passwords and keys in {}. There is no way back",
        NAMESPACES.join(", "),
        secrets.display()
    )
}

#[cfg(test)]
mod tests;
