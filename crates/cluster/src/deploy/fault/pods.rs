use std::collections::BTreeMap;

use serde_json::Value;

use super::{Fault, Patience, images, items, text, warning};
use crate::deploy::query;
use crate::deploy::target::condition;

const MOUNT: &[&str] = &["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"];

/// What is known around a pod.
pub(crate) struct Trouble<'a> {
    /// Warnings in its namespace.
    pub(crate) events: &'a [Value],
    /// How often each container had been started again when the wait began: an old crash is no fault of now.
    pub(crate) restarts_before: &'a BTreeMap<String, u64>,
}

/// How often each container was started again, by pod and container.
pub(crate) fn restarts(pod: &Value) -> BTreeMap<String, u64> {
    let count = |status: &Value| status["restartCount"].as_u64().unwrap_or_default();
    containers(pod).map(|status| (key(pod, status), count(status))).collect()
}

/// All that is wrong with a pod.
pub(crate) fn of_pod(pod: &Value, around: &Trouble<'_>) -> Vec<Fault> {
    if !text(pod, "/metadata/deletionTimestamp").is_empty() || text(pod, "/status/phase") == "Succeeded" {
        return Vec::new();
    }
    let mut faults: Vec<_> = unscheduled(pod).into_iter().collect();
    faults.extend(containers(pod).filter_map(|status| of_container(pod, status, around)));
    if faults.is_empty() {
        faults.extend(not_begun(pod, around.events));
    }
    faults
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    items(&pod["status"]["initContainerStatuses"]).chain(items(&pod["status"]["containerStatuses"]))
}

fn key(pod: &Value, status: &Value) -> String {
    format!("{} {}", text(pod, "/metadata/uid"), text(status, "/name"))
}

fn name(pod: &Value) -> String {
    format!("pod {}/{}", text(pod, "/metadata/namespace"), text(pod, "/metadata/name"))
}

fn unscheduled(pod: &Value) -> Option<Fault> {
    let scheduled = condition(pod, "PodScheduled").filter(|found| found["status"] == "False")?;
    let message = text(scheduled, "/message");
    let advice = if message.contains("PersistentVolumeClaim") || message.contains("persistentvolumeclaim") {
        "type: kubectl get storageclass (one must be the default), and kubectl get pvc --all-namespaces"
    } else if message.contains("devices.kubevirt.io/") {
        "no node has the device that machines want, /dev/kvm or /dev/vhost-net: give nodes nested virtualization and the \
         module vhost_net, or type: kubectl -n valkey delete vmi --all, and deploy with --emulation"
    } else if message.contains("Insufficient") {
        "the nodes are too small or too full: docs/ says how much the overlay needs; type: kubectl describe nodes"
    } else {
        "type: kubectl describe nodes"
    };
    let fault = Fault::new(name(pod), text(scheduled, "/reason"), message);
    Some(fault.advise(advice).lasting(Patience::Long))
}

fn of_container(pod: &Value, status: &Value, around: &Trouble<'_>) -> Option<Fault> {
    let reason = text(status, "/state/waiting/reason");
    let (namespace, pod_name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
    let container = text(status, "/name");
    let fault = |message: &str| Fault::new(format!("{}, container {container}", name(pod)), reason, message);
    let message = text(status, "/state/waiting/message");
    match reason {
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "ImageInspectError" => {
            let image = text(status, "/image");
            let whole =
                if message.contains(image) { message.to_owned() } else { format!("{image}: {message}") };
            Some(fault(&whole).advise(images::advice(message)))
        }
        "InvalidImageName" | "ErrImageNeverPull" => {
            let advice = images::advice(&format!("{reason} {message}"));
            Some(fault(message).advise(advice).lasting(Patience::None))
        }
        "CreateContainerConfigError" | "CreateContainerError" => {
            Some(fault(message).advise(missing(namespace, message)))
        }
        "RunContainerError" | "StartError" => {
            Some(fault(message).advise(format!("type: kubectl -n {namespace} describe pod {pod_name}")))
        }
        "CrashLoopBackOff" => {
            let count = status["restartCount"].as_u64().unwrap_or_default();
            let before = around.restarts_before.get(&key(pod, status)).copied().unwrap_or_default();
            let ended = text(status, "/lastState/terminated/reason");
            let code = status["lastState"]["terminated"]["exitCode"].as_u64().unwrap_or_default();
            let said = format!("started {} times, ended with exit code {code} ({ended})", count + 1);
            let log = query::log_before(namespace, pod_name, container);
            let patience = if count > before { Patience::Short } else { Patience::Endless };
            let advice = format!("type: kubectl {}", log[..7].join(" "));
            Some(fault(&said).advise(advice).lasting(patience).with_log(log))
        }
        _ => None,
    }
}

/// A volume that cannot be mounted shows in no status, only in an event.
fn not_begun(pod: &Value, events: &[Value]) -> Option<Fault> {
    let waits = |status: &Value| text(status, "/state/waiting/reason") == "ContainerCreating";
    let begins = |status: &Value| text(status, "/state/waiting/reason") == "PodInitializing";
    let is_waiting = if pod["status"]["initContainerStatuses"].is_array() {
        items(&pod["status"]["initContainerStatuses"]).all(|status| waits(status) || begins(status))
    } else {
        items(&pod["status"]["containerStatuses"]).any(waits)
    };
    if !is_waiting {
        return None;
    }
    let event = warning(events, pod, MOUNT)?;
    let message = text(event, "/message");
    let patience = if message.contains("not found") { Patience::Short } else { Patience::Long };
    let advice = missing(text(pod, "/metadata/namespace"), message);
    Some(Fault::new(name(pod), text(event, "/reason"), message).advise(advice).lasting(patience))
}

/// What to do about a Secret or a ConfigMap that a pod names.
fn missing(namespace: &str, message: &str) -> String {
    let Some(what) = ["secret", "configmap"].into_iter().find(|what| message.to_lowercase().contains(what))
    else {
        return format!("type: kubectl -n {namespace} get events");
    };
    if what == "secret" {
        format!(
            "k8s/generate.sh makes the Secrets and deploy applies them: run deploy again; type: kubectl -n {namespace} get secrets"
        )
    } else {
        format!("the overlay brings it: run deploy again; type: kubectl -n {namespace} get configmaps")
    }
}
