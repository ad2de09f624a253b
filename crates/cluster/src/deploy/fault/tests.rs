use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::deploy::target::{Kind, Target};

fn pod(status: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "gateway-6d5f7c9b8-x2x7k", "namespace": "blackfriday", "uid": "u-1"},
        "spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-kafka-0"}}]},
        "status": status,
    })
}

fn container(state: Value) -> Value {
    let mut status = json!({"phase": "Pending", "containerStatuses": [
        {"name": "gateway", "image": "registry.test:5000/blackfriday/gateway@sha256:beef", "ready": false,
         "restartCount": 0}]});
    status["containerStatuses"][0]["state"] = json!({"waiting": state});
    pod(status)
}

fn faults(pod: &Value, events: &[Value]) -> Vec<Fault> {
    of_pod(pod, &Trouble { events, restarts_before: &BTreeMap::new() })
}

fn only(pod: &Value, events: &[Value]) -> Fault {
    let found = faults(pod, events);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().expect("one")
}

#[test]
fn an_image_that_cannot_be_had_is_told_with_the_kubelets_word_and_what_to_do() {
    for (message, advice) in [
        (
            "rpc error: code = NotFound desc = failed to pull and unpack image \"registry.test:5000/x@sha256:beef\": not found",
            "push it again",
        ),
        ("failed to authorize: unexpected status: 401 Unauthorized", "registry-pull"),
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "does not trust",
        ),
        ("dial tcp: lookup registry.test: no such host", "cannot reach the registry"),
        ("failed to copy: httpReadSeeker: unexpected status code 507 Insufficient Storage", "a disk is full"),
        ("write /var/lib/containerd/x: no space left on device", "a disk is full"),
    ] {
        for reason in ["ErrImagePull", "ImagePullBackOff"] {
            let fault = only(&container(json!({"reason": reason, "message": message})), &[]);
            assert_eq!(fault.reason, reason);
            assert_eq!(fault.object, "pod blackfriday/gateway-6d5f7c9b8-x2x7k, container gateway");
            assert!(fault.message.contains(message) && fault.message.contains("sha256:beef"), "{fault}");
            assert!(fault.advice.contains(advice), "{fault}");
            assert_eq!(fault.patience, Patience::Short);
        }
    }
    let never = json!({"reason": "ErrImageNeverPull", "message": "Container image \"a\" is not present with pull policy of Never"});
    assert_eq!(only(&container(never), &[]).patience, Patience::None);
}

#[test]
fn a_missing_secret_is_told_whether_it_is_a_variable_or_a_volume() {
    let variable =
        json!({"reason": "CreateContainerConfigError", "message": "secret \"kafka-credentials\" not found"});
    let fault = only(&container(variable), &[]);
    assert!(fault.to_string().contains("secret \"kafka-credentials\" not found"), "{fault}");
    assert!(fault.advice.contains("k8s/generate.sh"), "{fault}");

    let creating = container(json!({"reason": "ContainerCreating"}));
    assert!(faults(&creating, &[]).is_empty());
    let event = |uid: &str, message: &str| {
        json!({"type": "Warning", "reason": "FailedMount", "message": message, "lastTimestamp": "2026-01-01T00:00:00Z",
            "involvedObject": {"kind": "Pod", "name": "gateway-6d5f7c9b8-x2x7k", "uid": uid}})
    };
    let text = "MountVolume.SetUp failed for volume \"credentials\" : secret \"relay-credentials\" not found";
    let fault = only(&creating, &[event("u-1", text)]);
    assert_eq!((fault.reason.as_str(), fault.patience), ("FailedMount", Patience::Short));
    assert!(fault.message.contains("relay-credentials") && fault.advice.contains("get secrets"), "{fault}");
    // Another pod of the same name, that was there before.
    assert!(faults(&creating, &[event("u-0", text)]).is_empty());
    // It has begun since.
    assert!(faults(&container(json!({})), &[event("u-1", text)]).is_empty());
}

#[test]
fn a_crash_loop_is_a_fault_of_now_only_if_it_crashed_since_the_wait_began() {
    let crashing = json!({"phase": "Running", "initContainerStatuses": [
        {"name": "config", "restartCount": 4, "image": "i", "state": {"waiting": {"reason": "CrashLoopBackOff",
            "message": "back-off 1m20s restarting failed container=config pod=valkey-0_valkey(u)"}},
         "lastState": {"terminated": {"exitCode": 64, "reason": "Error"}}}]});
    let pod = pod(crashing);
    let fault = only(&pod, &[]);
    assert_eq!(fault.message, "started 5 times, ended with exit code 64 (Error)");
    assert_eq!(
        fault.log.as_deref().expect("a log").join(" "),
        "-n blackfriday logs gateway-6d5f7c9b8-x2x7k -c config --previous --tail=20"
    );
    assert_eq!(fault.patience, Patience::Short);
    let before = restarts(&pod);
    let found = of_pod(&pod, &Trouble { events: &[], restarts_before: &before });
    assert_eq!(found[0].patience, Patience::Endless);
}

#[test]
fn a_pod_without_a_node_and_its_claim_are_told() {
    let unscheduled = |message: &str| {
        pod(json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}))
    };
    for (message, advice) in [
        ("0/1 nodes are available: 1 Insufficient cpu.", "describe nodes"),
        ("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", "storageclass"),
        ("0/1 nodes are available: 1 Insufficient devices.kubevirt.io/kvm.", "--emulation"),
        ("0/1 nodes are available: 1 Insufficient devices.kubevirt.io/vhost-net.", "vhost_net"),
    ] {
        let fault = only(&unscheduled(message), &[]);
        assert_eq!((fault.reason.as_str(), fault.patience), ("Unschedulable", Patience::Long));
        assert!(fault.message == message && fault.advice.contains(advice), "{fault}");
    }
    let claim = |phase: &str, class: Value| {
        json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "data-kafka-0", "namespace": "blackfriday", "uid": "c"},
            "spec": {"storageClassName": class}, "status": {"phase": phase}})
    };
    let pod = unscheduled("");
    let of = |claim: Value, events: &[Value]| of_claims(&pod, &[claim], events);
    let found = of(claim("Pending", Value::Null), &[]);
    assert!(
        found[0].message.contains("no storage class") && found[0].advice.contains("is-default-class"),
        "{}",
        found[0]
    );
    // A class that waits for the pod.
    assert!(of(claim("Pending", json!("standard")), &[]).is_empty());
    let event = json!({"type": "Warning", "reason": "ProvisioningFailed", "message": "storageclass.storage.k8s.io \"ssd\" not found",
        "involvedObject": {"name": "data-kafka-0", "uid": "c"}});
    let found = of(claim("Pending", json!("ssd")), &[event]);
    assert_eq!(found[0].object, "claim blackfriday/data-kafka-0");
    assert!(found[0].message.contains("\"ssd\" not found"), "{}", found[0]);
    assert_eq!(of(claim("Lost", json!("ssd")), &[])[0].patience, Patience::None);
    assert!(of(claim("Bound", json!("ssd")), &[]).is_empty());
}

#[test]
fn what_runs_or_goes_is_no_fault() {
    let running =
        pod(json!({"phase": "Running", "containerStatuses": [{"name": "a", "state": {"running": {}}}]}));
    assert!(faults(&running, &[]).is_empty());
    let mut going = container(json!({"reason": "ErrImagePull"}));
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert!(faults(&going, &[]).is_empty());
}

#[test]
fn strimzi_tells_what_is_wrong_with_its_resources() {
    let target = Target::new(Kind::Kafka, "kafka", "blackfriday");
    let kafka = |reason: &str, message: &str| {
        json!({"kind": "Kafka", "metadata": {"name": "blackfriday", "namespace": "kafka"}, "status": {"conditions": [
            {"type": "NotReady", "status": "True", "reason": reason, "message": message}]}})
    };
    let wrong = kafka("InvalidResourceException", "Unsupported Kafka.spec.kafka.version: 9.9.9");
    let fault = of_object(&target, &wrong).expect("a fault");
    assert_eq!(
        fault.to_string(),
        "kafka kafka/blackfriday: InvalidResourceException: Unsupported Kafka.spec.kafka.version: 9.9.9\n  type: kubectl -n \
         kafka describe kafka blackfriday, and kubectl -n kafka logs deployment/strimzi-cluster-operator"
    );
    assert_eq!(of_object(&target, &kafka("Creating", "Kafka cluster is being deployed")), None);
    let late =
        of_object(&target, &kafka("TimeoutException", "Exceeded timeout of 300000ms")).expect("a fault");
    assert_eq!(late.patience, Patience::Endless);
}

#[test]
fn an_operator_that_does_not_run_is_told_and_somebody_elses_is_not_missed() {
    let operator = ("kafka", "strimzi-cluster-operator");
    let deployment = |replicas: u64, status: &str| {
        json!({"spec": {"replicas": replicas}, "status": {"conditions": [{"type": "Available", "status": status,
            "reason": "MinimumReplicasUnavailable", "message": "Deployment does not have minimum availability."}]}})
    };
    let fault = of_operator(operator, &deployment(1, "False")).expect("a fault");
    assert!(
        fault.to_string().contains("operator deployment kafka/strimzi-cluster-operator: not Available"),
        "{fault}"
    );
    let stopped = of_operator(operator, &deployment(0, "False")).expect("a fault");
    assert!(stopped.advice.contains("--replicas=1"), "{stopped}");
    assert_eq!(of_operator(operator, &deployment(1, "True")), None);
    assert_eq!(of_operator(operator, &Value::Null), None);
}

#[test]
fn machines_and_their_disks_tell_why_they_do_not_start() {
    let target = Target::new(Kind::VirtualMachine, "valkey", "valkey-0");
    let machine = |status: &str| {
        let object = json!({"kind": "VirtualMachine", "metadata": {"name": "valkey-0", "namespace": "valkey"},
            "status": {"printableStatus": status, "conditions": [{"type": "Ready", "status": "False",
                "reason": "PodNotExists", "message": "virt-launcher pod has not yet been scheduled"}]}});
        of_object(&target, &object)
    };
    assert_eq!(machine("Starting"), None);
    assert!(machine("ErrorUnschedulable").expect("a fault").advice.contains("--emulation"));
    assert!(machine("CrashLoopBackOff").expect("a fault").advice.contains("virtctl"));
    assert_eq!(machine("DataVolumeError").expect("a fault").reason, "DataVolumeError");

    let volume = |phase: &str, reason: &str| {
        of_data_volume(
            &json!({"metadata": {"name": "valkey-0", "namespace": "valkey"}, "status": {"phase": phase,
            "conditions": [{"type": "Running", "status": "False", "reason": reason,
                "message": "Unable to connect to registry: x509: unknown authority"}]}}),
        )
    };
    assert_eq!(volume("ImportInProgress", "Pod"), None);
    let fault = volume("ImportInProgress", "ImagePullFailed").expect("a fault");
    assert!(fault.to_string().starts_with("datavolume valkey/valkey-0: ImagePullFailed: Unable"), "{fault}");
    assert_eq!(volume("Failed", "").expect("a fault").patience, Patience::None);
}

#[test]
fn what_rabbitmqs_operator_could_not_do_is_told() {
    let target = Target::new(Kind::RabbitmqCluster, "rabbitmq", "clima-rabbit");
    let cluster = |status: &str| {
        let object = json!({"kind": "RabbitmqCluster", "metadata": {"name": "clima-rabbit", "namespace": "rabbitmq"},
            "status": {"conditions": [
                {"type": "AllReplicasReady", "status": "False", "reason": "NotAllPodsReady"},
                {"type": "ReconcileSuccess", "status": status, "reason": "TLSError",
                 "message": "TLS secret rabbitmq-credentials does not exist"}]}});
        of_object(&target, &object)
    };
    assert_eq!(cluster("True"), None);
    assert_eq!(cluster("Unknown"), None);
    let fault = cluster("False").expect("a fault");
    assert!(
        fault.to_string().starts_with("rabbitmqcluster rabbitmq/clima-rabbit: TLSError: TLS secret"),
        "{fault}"
    );
    assert!(
        fault.advice.contains("-n rabbitmq-system logs") && fault.patience == Patience::Long,
        "{fault:?}"
    );
}

#[test]
fn a_failed_job_is_final_and_has_a_log() {
    let target = Target::new(Kind::Job, "kafka", "kafka-setup");
    let job = json!({"kind": "Job", "metadata": {"name": "kafka-setup", "namespace": "kafka"}, "status": {"conditions": [
        {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
         "message": "Job has reached the specified backoff limit"}]}});
    let fault = of_object(&target, &job).expect("a fault");
    assert_eq!(fault.patience, Patience::None);
    assert_eq!(
        fault.log.expect("a log").join(" "),
        "-n kafka logs job/kafka-setup --all-containers --tail=30"
    );
}

#[test]
fn pods_that_may_not_be_made_are_told() {
    let set = |replicas: u64| {
        json!({"kind": "StatefulSet", "metadata": {"name": "kafka", "namespace": "kafka", "uid": "s"},
            "spec": {"replicas": 1}, "status": {"replicas": replicas}})
    };
    let event = json!({"type": "Warning", "reason": "FailedCreate", "involvedObject": {"name": "kafka", "uid": "s"},
        "message": "create Pod kafka-0 in StatefulSet kafka failed error: pods \"kafka-0\" is forbidden: exceeded quota"});
    let fault = of_creation(&set(0), std::slice::from_ref(&event)).expect("a fault");
    assert!(fault.to_string().contains("exceeded quota"), "{fault}");
    assert_eq!(of_creation(&set(1), &[event]), None);

    let target = Target::new(Kind::Deployment, "blackfriday", "relay");
    let deployment = json!({"metadata": {"name": "relay", "namespace": "blackfriday"}, "status": {"conditions": [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "violates PodSecurity"}]}});
    assert!(of_object(&target, &deployment).expect("a fault").message.contains("PodSecurity"));
}
