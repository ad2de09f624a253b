use serde_json::Value;

use super::{Fault, Patience, text, warning};
use crate::deploy::query;
use crate::deploy::target::{Kind, Operator, Target, condition, holds};

/// What an object says of itself.
pub(crate) fn of_object(target: &Target, object: &Value) -> Option<Fault> {
    let namespace = text(object, "/metadata/namespace");
    let name = text(object, "/metadata/name");
    let describe = |resource: &str| format!("type: kubectl -n {namespace} describe {resource} {name}");
    match target.kind {
        Kind::Job => {
            // As it was asked for.
            let namespace = target.namespace.unwrap_or(namespace);
            let name = target.name.as_deref().unwrap_or(name);
            let failed = condition(object, "Failed").filter(|found| found["status"] == "True")?;
            let fault = Fault::new(
                format!("job {namespace}/{name}"),
                text(failed, "/reason"),
                text(failed, "/message"),
            );
            let advice = format!("type: kubectl -n {namespace} logs job/{name} --all-containers");
            Some(fault.advise(advice).lasting(Patience::None).with_log(query::log_of_job(namespace, name)))
        }
        Kind::Deployment => {
            let failed = condition(object, "ReplicaFailure").filter(|found| found["status"] == "True")?;
            let fault = Fault::new(
                format!("deployment {namespace}/{name}"),
                text(failed, "/reason"),
                text(failed, "/message"),
            );
            Some(fault.advise(describe("deployment")))
        }
        Kind::Kafka | Kind::KafkaTopic | Kind::KafkaUser => not_ready(target.kind, object),
        Kind::RabbitmqCluster => of_rabbitmq(object),
        Kind::VirtualMachine => of_machine(object),
        Kind::KubeVirt => {
            let failed = condition(object, "Degraded").filter(|found| found["status"] == "True")?;
            let fault =
                Fault::new("kubevirt kubevirt/kubevirt", text(failed, "/reason"), text(failed, "/message"));
            Some(fault.advise("type: kubectl -n kubevirt get pods").lasting(Patience::Endless))
        }
        Kind::Definition | Kind::StatefulSet => None,
    }
}

/// Strimzi says `NotReady` while it works, too, and then with the reason `Creating`.
fn not_ready(kind: Kind, object: &Value) -> Option<Fault> {
    let found = condition(object, "NotReady").filter(|found| found["status"] == "True").or_else(|| {
        condition(object, "Ready")
            .filter(|found| found["status"] == "False" && !text(found, "/reason").is_empty())
    })?;
    let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    let resource = kind.resource();
    let patience = match text(found, "/reason") {
        "Creating" => return None,
        "InvalidResourceException" | "InvalidConfigurationException" => Patience::Short,
        // It gave up waiting for pods, whose own faults say more, and begins again in two minutes.
        "TimeoutException" | "FatalProblem" | "ForceableProblem" => Patience::Endless,
        _ => Patience::Long,
    };
    let short = resource.split_once('.').map_or(resource, |(short, _)| short).trim_end_matches('s');
    let fault =
        Fault::new(format!("{short} {namespace}/{name}"), text(found, "/reason"), text(found, "/message"));
    let advice = format!(
        "type: kubectl -n {namespace} describe {short} {name}, and kubectl -n kafka logs deployment/strimzi-cluster-operator"
    );
    Some(fault.advise(advice).lasting(patience))
}

/// What RabbitMQ's operator could not do. What its pods lack, they say themselves.
fn of_rabbitmq(object: &Value) -> Option<Fault> {
    let found = condition(object, "ReconcileSuccess").filter(|found| found["status"] == "False")?;
    let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    let fault = Fault::new(
        format!("rabbitmqcluster {namespace}/{name}"),
        text(found, "/reason"),
        text(found, "/message"),
    );
    let advice = format!(
        "type: kubectl -n {namespace} describe rabbitmqcluster {name}, and \
         kubectl -n rabbitmq-system logs deployment/rabbitmq-cluster-operator"
    );
    Some(fault.advise(advice).lasting(Patience::Long))
}

fn of_machine(object: &Value) -> Option<Fault> {
    let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    let status = text(object, "/status/printableStatus");
    let said = ["Failure", "Ready"].iter().find_map(|kind| condition(object, kind));
    let message = said.map_or("", |said| text(said, "/message"));
    let look = format!("type: kubectl -n {namespace} describe vm {name}");
    let (patience, advice) = match status {
        "ErrorUnschedulable" => {
            (Patience::Long, "no node takes it; without /dev/kvm: deploy with --emulation".to_owned())
        }
        "ErrImagePull" | "ImagePullBackOff" => (Patience::Short, look),
        "ErrorPvcNotFound" | "ErrorDataVolumeNotFound" | "DataVolumeError" => (Patience::Short, look),
        "CrashLoopBackOff" => (
            Patience::Long,
            format!("its disk refuses the configuration and says so: virtctl -n {namespace} console {name}"),
        ),
        _ if holds(object, "Failure") => (Patience::Long, look),
        _ => return None,
    };
    let reason = if status.is_empty() { "Failure" } else { status };
    Some(Fault::new(format!("vm {namespace}/{name}"), reason, message).advise(advice).lasting(patience))
}

/// CDI's import of a disk.
pub(crate) fn of_data_volume(volume: &Value) -> Option<Fault> {
    let (namespace, name) = (text(volume, "/metadata/namespace"), text(volume, "/metadata/name"));
    let running = condition(volume, "Running");
    let reason = running.map_or("", |running| text(running, "/reason"));
    let patience = match (text(volume, "/status/phase"), reason) {
        ("Failed", _) => Patience::None,
        (_, "Error" | "ImagePullFailed" | "TransferFailed") => Patience::Short,
        _ => return None,
    };
    let message = running.map_or("", |running| text(running, "/message"));
    let reason = if reason.is_empty() { "Failed" } else { reason };
    let advice = format!("type: kubectl -n {namespace} describe datavolume {name}");
    Some(
        Fault::new(format!("datavolume {namespace}/{name}"), reason, message)
            .advise(advice)
            .lasting(patience),
    )
}

/// An operator that does not run: then nothing works on what is waited for. One that is not where ours would be is somebody
/// else's and not looked at.
pub(crate) fn of_operator((namespace, name): Operator, deployment: &Value) -> Option<Fault> {
    if !deployment.is_object() || holds(deployment, "Available") {
        return None;
    }
    let said =
        condition(deployment, "Available").map_or("it has no pod that runs", |said| text(said, "/message"));
    let stopped = deployment["spec"]["replicas"] == 0;
    let said = if stopped { "it is scaled to 0" } else { said };
    let advice = if stopped {
        format!("type: kubectl -n {namespace} scale deployment {name} --replicas=1")
    } else {
        format!(
            "type: kubectl -n {namespace} describe deployment {name}, and kubectl -n {namespace} logs deployment/{name}"
        )
    };
    let fault = Fault::new(format!("operator deployment {namespace}/{name}"), "not Available", said);
    Some(fault.advise(advice).lasting(Patience::Long))
}

/// Pods that may not be made at all: a quota, or Pod Security. A StatefulSet and a Job say so in events only.
pub(crate) fn of_creation(object: &Value, events: &[Value]) -> Option<Fault> {
    let count = |pointer: &str| object.pointer(pointer).and_then(Value::as_u64);
    let wanted = count("/spec/replicas").unwrap_or(1);
    if count("/status/replicas").or_else(|| count("/status/active")).unwrap_or_default() >= wanted {
        return None;
    }
    let event = warning(events, object, &["FailedCreate"])?;
    let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    let kind = text(object, "/kind").to_lowercase();
    let fault = Fault::new(format!("{kind} {namespace}/{name}"), "FailedCreate", text(event, "/message"));
    Some(fault.advise(format!("type: kubectl -n {namespace} describe {kind} {name}")))
}
