//! What goes wrong in a cluster, and what `deploy` says of it.

#[path = "deploy/fixture.rs"]
mod fixture;

use std::convert::Infallible;

use anyhow::{Result, ensure};
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::fixture::{Fixture, list};

/// Something whose controller has begun, and which has no pod that serves.
fn begun(kind: &str, name: &str) -> Value {
    json!({"kind": kind, "metadata": {"name": name, "namespace": "kafka", "uid": "o", "generation": 1},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": "kafka"}}},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1}})
}

fn pod(status: Value) -> Value {
    json!({"kind": "Pod", "metadata": {"name": "kafka-0", "namespace": "kafka", "uid": "p",
            "labels": {"app.kubernetes.io/name": "kafka", "strimzi.io/cluster": "blackfriday"}},
        "spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-kafka-0"}}]}, "status": status})
}

fn waiting(reason: &str, message: &str) -> Value {
    pod(
        json!({"phase": "Pending", "containerStatuses": [{"name": "kafka", "image": "r.test/blackfriday/kafka@sha256:0",
        "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}}]}),
    )
}

/// A cluster in which Kafka does not become ready, for this reason.
fn with_pod(pod: Value) -> Result<Fixture> {
    let fixture = Fixture::new()?;
    fixture.json("*get statefulsets.apps kafka*", &begun("StatefulSet", "kafka"))?;
    fixture.json("*-n kafka get pods,*", &list(&[pod]))?;
    Ok(fixture)
}

#[tokio::test]
async fn a_wrong_digest() -> Result<()> {
    let message = "failed to pull and unpack image \"r.test/blackfriday/kafka@sha256:0\": not found";
    let fixture = with_pod(waiting("ErrImagePull", message))?;
    let words = ["pod kafka/kafka-0, container kafka: ErrImagePull", message, "push it again"];
    fixture.local("plain").await?.is(69, &words)
}

#[tokio::test]
async fn a_missing_secret() -> Result<()> {
    let fixture = with_pod(waiting("CreateContainerConfigError", "secret \"kafka-credentials\" not found"))?;
    let words = ["CreateContainerConfigError", "secret \"kafka-credentials\" not found", "k8s/generate.sh"];
    fixture.local("plain").await?.is(69, &words)?;

    let fixture = with_pod(waiting("ContainerCreating", ""))?;
    let event = json!({"type": "Warning", "reason": "FailedMount", "involvedObject": {"uid": "p"},
        "message": "MountVolume.SetUp failed for volume \"credentials\" : secret \"kafka-credentials\" not found"});
    fixture.json("*get events*", &list(&[event]))?;
    fixture.local("plain").await?.is(69, &["FailedMount", "secret \"kafka-credentials\" not found"])
}

#[tokio::test]
async fn a_crash_tells_its_last_words() -> Result<()> {
    let crashing = json!({"phase": "Running", "containerStatuses": [{"name": "kafka", "image": "i", "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]});
    let fixture = with_pod(pod(crashing.clone()))?;
    fixture.answer(
        "-n kafka logs kafka-0 -c kafka --previous*",
        0,
        "Invalid cluster.id in meta.properties",
    )?;
    // It crashed before the wait began: that is said only when time is over.
    let flags = ["--no-push", "--skip-preflight", "--yes", "--timeout", "100ms"];
    let words = ["CrashLoopBackOff: started 2 times", "exit code 1", "Invalid cluster.id in meta.properties"];
    fixture.deploy("plain", &flags).await?.is(69, &words)
}

#[tokio::test]
async fn no_node_and_no_storage() -> Result<()> {
    let unscheduled =
        pod(json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient memory."}]}));
    let fixture = with_pod(unscheduled)?;
    fixture
        .local("plain")
        .await?
        .is(69, &["Unschedulable", "Insufficient memory", "kubectl describe nodes"])?;

    let claim = json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "data-kafka-0", "namespace": "kafka"},
        "spec": {}, "status": {"phase": "Pending"}});
    fixture.json("*-n kafka get pods,*", &list(&[pod(json!({"phase": "Pending"})), claim]))?;
    fixture
        .local("plain")
        .await?
        .is(69, &["claim kafka/data-kafka-0: Pending: no storage class", "is-default-class"])
}

#[tokio::test]
async fn a_dead_operator() -> Result<()> {
    let fixture = Fixture::new()?;
    let alive = begun("Deployment", "strimzi-cluster-operator");
    // It is there when it is waited for, and dies before Kafka is made.
    let dead = json!({"spec": {"replicas": 1}, "status": {"conditions": [{"type": "Available", "status": "False",
        "message": "Deployment does not have minimum availability."}]}});
    fixture.json("get crd kafkas*", &json!({"metadata": {"labels": {}}}))?;
    fixture.json("*get deployments.apps strimzi-cluster-operator*", &dead)?;
    fixture.json(
        "*get kafkas.kafka.strimzi.io blackfriday*",
        &json!({"metadata": {"name": "blackfriday", "generation": 1}}),
    )?;
    let words = [
        "operator deployment kafka/strimzi-cluster-operator: not Available",
        "minimum availability",
        "logs deployment/",
    ];
    fixture.local("minikube").await?.is(69, &words)?;

    // Ours does not even start.
    let fixture = Fixture::new()?;
    fixture.json("*get deployments.apps strimzi-cluster-operator*", &alive)?;
    fixture.json("*-n kafka get pods,*", &list(&[waiting("ImagePullBackOff", "quay.io: no such host")]))?;
    fixture.local("minikube").await?.is(69, &["ImagePullBackOff", "cannot reach the registry"])
}

#[tokio::test]
async fn what_strimzi_and_kubevirt_refuse() -> Result<()> {
    let fixture = Fixture::new()?;
    let refused = json!({"metadata": {"name": "blackfriday", "namespace": "kafka", "generation": 1}, "status": {
        "observedGeneration": 1, "conditions": [{"type": "NotReady", "status": "True",
            "reason": "InvalidResourceException", "message": "Unsupported version: 9.9.9"}]}});
    fixture.json("*get kafkas.kafka.strimzi.io blackfriday*", &refused)?;
    fixture
        .local("minikube")
        .await?
        .is(69, &["kafka kafka/blackfriday: InvalidResourceException: Unsupported version: 9.9.9"])?;

    let fixture = Fixture::new()?;
    let machine = json!({"metadata": {"name": "valkey-0", "namespace": "valkey"},
        "spec": {"template": {"spec": {"volumes": [{"dataVolume": {"name": "disk"}}]}}},
        "status": {"printableStatus": "Provisioning"}});
    let volume = json!({"metadata": {"name": "disk", "namespace": "valkey"}, "status": {"phase": "Failed", "conditions": [
        {"type": "Running", "status": "False", "reason": "Error", "message": "x509: unknown authority"}]}});
    fixture.json("*get virtualmachines.kubevirt.io valkey-0*", &machine)?;
    fixture.json("*get datavolumes.cdi.kubevirt.io disk*", &volume)?;
    fixture.local("minikube").await?.is(69, &["datavolume valkey/disk: Error: x509"])
}

#[tokio::test]
async fn a_failed_job_shows_its_log() -> Result<()> {
    let fixture = Fixture::new()?;
    let failed = |name: &str| {
        json!({"kind": "Job", "metadata": {"name": name, "namespace": "kafka"}, "status": {"conditions": [
            {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}]}})
    };
    fixture.json("*get jobs.batch kafka-setup*", &failed("kafka-setup"))?;
    fixture.answer("-n kafka logs job/kafka-setup*", 0, "SaslAuthenticationException: wrong password")?;
    fixture
        .local("plain")
        .await?
        .is(69, &["job kafka/kafka-setup: BackoffLimitExceeded", "SaslAuthenticationException"])?;

    let fixture = Fixture::new()?;
    fixture.json("*get jobs.batch verify-*", &failed("verify-1"))?;
    fixture.answer("*logs job/verify-*", 0, "differs: reportes:total Ropa")?;
    // It works, but the count is wrong: that is another answer than that it does not work.
    fixture.local("plain").await?.is(1, &["the count is not proven", "differs: reportes:total Ropa"])
}

#[tokio::test]
async fn what_kubectl_is_refused() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.answer("apply*", 1, "Error from server (Forbidden): User \"me\" cannot patch resource")?;
    fixture.local("plain").await?.is(77, &["the cluster refuses", "cannot patch"])?;
    fixture.answer("*config view*", 1, "error: current-context must exist in order to minify")?;
    fixture.local("plain").await?.is(69, &["current-context must exist"])?;
    let fixture = Fixture::new()?;
    // As while an API server is restarted; it never comes back.
    fixture.answer(
        "*get statefulsets.apps kafka*",
        1,
        "dial tcp 10.0.0.1:6443: connect: connection refused",
    )?;
    fixture.local("plain").await?.is(69, &["the cluster cannot be reached", "kubectl cluster-info"])
}

/// A registry that takes nothing, as it has no room.
async fn full(listener: TcpListener) -> Infallible {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let answer = service_fn(async |request: http::Request<hyper::body::Incoming>| {
            let status = match *request.method() {
                Method::HEAD => StatusCode::NOT_FOUND,
                Method::GET => StatusCode::OK,
                _ => StatusCode::INSUFFICIENT_STORAGE,
            };
            let mut answer = Response::new(Full::<bytes::Bytes>::from("no space left on device"));
            *answer.status_mut() = status;
            Ok::<_, Infallible>(answer)
        });
        tokio::spawn(async move {
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await
                .ok();
        });
    }
}

#[tokio::test]
async fn a_full_registry() -> Result<()> {
    let fixture = Fixture::new()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let host = listener.local_addr()?.to_string();
    let registry = tokio::spawn(full(listener));
    fixture.write(
        "w.toml",
        &std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../workload/assets/black-friday.toml"
        ))?,
    )?;
    fixture.write("image.tar", "")?;
    // Nothing but the workload is of use in this overlay.
    let image = "image.tar=blackfriday/locust:1";
    let flags = [
        "--registry",
        &host,
        "--images",
        image,
        "--workload",
        "w.toml",
        "--plain-http",
        "--skip-preflight",
        "--yes",
    ];
    let ended = fixture.deploy("plain", &flags).await?;
    ended.is(69, &[&format!("the disk of the registry {host} is full"), "run deploy again"])?;
    registry.abort();
    ensure!(!fixture.asked()?.iter().any(|line| line.contains("apply")), "it went on");
    let away = [
        "--registry",
        "127.0.0.1:1",
        "--images",
        image,
        "--workload",
        "w.toml",
        "--plain-http",
        "--skip-preflight",
        "--yes",
    ];
    fixture.deploy("plain", &away).await?.is(69, &["the registry 127.0.0.1:1 cannot be reached"])
}
