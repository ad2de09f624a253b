//! The words after `kubectl`, where more than one place needs them.

use super::release::{LOG_ID, NAMESPACES, Release, Setup};
use crate::line::words;

/// What asks for all objects of a rendering, as they are.
pub(super) const LIVE: [&str; 6] = ["get", "--ignore-not-found", "-o", "json", "-f", "-"];

pub(super) fn apply(force: bool) -> Vec<String> {
    let force = force.then_some("--force-conflicts");
    words(["apply", "--server-side"].into_iter().chain(force).chain(["-o", "json", "-f", "-"]))
}

/// Whether the setup job could be changed into what it is to be.
pub(super) fn try_setup(setup: &Setup) -> Vec<String> {
    let label = format!("app.kubernetes.io/name={}", setup.name);
    words(["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-l", &label, "-f", "-"])
}

pub(super) fn namespaces() -> Vec<String> {
    let flags = ["--ignore-not-found", "-o", "json"];
    words(["get", "namespaces"].into_iter().chain(NAMESPACES).chain(flags))
}

pub(super) fn find_setup(setup: &Setup) -> Vec<String> {
    words(["-n", setup.namespace, "get", "job", setup.name, "--ignore-not-found", "-o", "json"])
}

pub(super) fn delete_setup(setup: &Setup) -> Vec<String> {
    words(["-n", setup.namespace, "delete", "job", setup.name, "--ignore-not-found"])
}

pub(super) fn find_log() -> Vec<String> {
    words(["-n", "kafka", "get", "kafka", "blackfriday", "--ignore-not-found", "-o", "json"])
}

pub(super) fn find_log_id() -> Vec<String> {
    words(["-n", "kafka", "get", "configmap", LOG_ID, "--ignore-not-found", "-o", "json"])
}

/// As Strimzi's documentation recovers a deleted cluster: paused until its status has the id.
pub(super) fn paused() -> Vec<String> {
    let pause = "strimzi.io/pause-reconciliation=true";
    words(["annotate", "--local", "-f", "-", pause, "-o", "json"])
}

pub(super) fn give_log_id(id: &str) -> Vec<String> {
    let patch = format!(r#"{{"status":{{"clusterId":"{id}"}}}}"#);
    words([
        "-n",
        "kafka",
        "patch",
        "kafka",
        "blackfriday",
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ])
}

pub(super) fn log_id(id: &str) -> Vec<String> {
    let id = format!("--from-literal=id={id}");
    words(["-n", "kafka", "create", "configmap", LOG_ID, &id, "--dry-run=client", "-o", "json"])
}

/// Without this, deleting a topic's object deletes the topic with all of its records.
pub(super) fn release_topics() -> Vec<String> {
    words(["-n", "kafka", "annotate", "kafkatopics", "--all", "strimzi.io/managed=false", "--overwrite"])
}

pub(super) fn uninstall(release: &Release) -> Vec<Vec<String>> {
    let label = release.label();
    let end = ["-l", &label, "--ignore-not-found"];
    let delete = |head: &[&'static str]| words(head.iter().copied().chain(end));
    let mut lines = Vec::new();
    if release.name == "kubevirt" {
        // Its operator takes down the rest, and must be there to do so.
        lines.push(words(["-n", "kubevirt", "delete", "kubevirt", "kubevirt", "--ignore-not-found"]));
    }
    lines.push(delete(&["-n", release.namespace, "delete", release.kinds()]));
    lines.push(delete(&["delete", "clusterroles,clusterrolebindings,priorityclasses"]));
    lines.push(delete(&["delete", "crd"]));
    if release.namespace != release.used_in {
        lines.push(delete(&["delete", "namespaces"]));
    }
    lines
}

/// What may be wrong with something that is not ready.
pub(super) fn pods(namespace: &str) -> Vec<String> {
    words(["-n", namespace, "get", "pods,persistentvolumeclaims", "-o", "json"])
}

pub(super) fn warnings(namespace: &str) -> Vec<String> {
    words(["-n", namespace, "get", "events", "--field-selector=type=Warning", "-o", "json"])
}

/// Where a machine's disk comes from.
pub(super) fn data_volume(name: &str) -> Vec<String> {
    words(["-n", "valkey", "get", "datavolumes.cdi.kubevirt.io", name, "--ignore-not-found", "-o", "json"])
}

/// What a container said before it was started again.
pub(super) fn log_before(namespace: &str, pod: &str, container: &str) -> Vec<String> {
    words(["-n", namespace, "logs", pod, "-c", container, "--previous", "--tail=20"])
}

pub(super) fn log_of_job(namespace: &str, name: &str) -> Vec<String> {
    words(["-n", namespace, "logs", &format!("job/{name}"), "--all-containers", "--tail=30"])
}

/// What is in a namespace and not of this deployment.
pub(super) fn foreign_in(namespace: &str) -> Vec<String> {
    let kinds = "deployments,statefulsets,daemonsets";
    words(["-n", namespace, "get", kinds, "-l", "app.kubernetes.io/part-of!=blackfriday", "-o", "json"])
}
