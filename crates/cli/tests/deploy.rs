//! `deploy` as a user runs it, on a cluster that is a script and some files.

#[path = "deploy/fixture.rs"]
mod fixture;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use self::fixture::{Fixture, object};

fn position(asked: &[String], what: &str) -> Result<usize> {
    asked.iter().position(|line| line.contains(what)).with_context(|| format!("{what} is not in {asked:#?}"))
}

#[tokio::test]
async fn it_applies_waits_and_proves_and_the_second_run_changes_nothing() -> Result<()> {
    let fixture = Fixture::new()?;
    let first = fixture.local("plain").await?;
    first.is(
        0,
        &[
            "context  test",
            "server   https://cluster.test:6443",
            "made 1 files in k8s/generated/secrets",
            "created 2: configmap kafka/kafka-config, secret kafka/kafka-credentials",
            "accepted 1",
            "holds: every accepted event is in the log",
            "http://127.0.0.1:8080/",
            "it runs, and the count is proven",
        ],
    )?;
    let asked = fixture.asked()?;
    let order = [
        "apply --server-side --force-conflicts",
        "get statefulsets.apps kafka",
        "get statefulsets.apps clima-rabbit-server",
        "get jobs.batch rabbitmq-setup",
        "get statefulsets.apps valkey",
        "get statefulsets.apps redis",
        "get deployments.apps rabbit-writer",
        "get deployments.apps writer-a",
        "get deployments.apps gateway",
        "create job smoke-",
        "delete job smoke-",
        "create job verify-",
        "delete job verify-",
        "create job smoke-clima-",
        "create job verify-kafka-",
        "create job verify-rabbit-",
        "create job verify-logs-",
    ];
    let found = order.iter().map(|what| position(&asked, what)).collect::<Result<Vec<_>>>()?;
    ensure!(found.is_sorted(), "{found:?} {asked:#?}");
    ensure!(!asked.iter().any(|line| line.contains("kubevirt") || line.contains("strimzi")), "{asked:#?}");

    let second = fixture.local("plain").await?;
    second.is(0, &["nothing changed, 1 files are in", "the count is proven. nothing changed, 2 objects"])?;
    ensure!(
        !fixture.asked()?.iter().any(|line| line.contains("delete job kafka-setup")),
        "the job was taken away"
    );
    Ok(())
}

#[tokio::test]
async fn operators_come_before_what_they_work_on_and_those_of_others_are_left_alone() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.answer("get crd *", 0, "")?;
    fixture
        .local("minikube")
        .await?
        .is(0, &["http://dashboard.blackfriday.test/", "k8s/generated/secrets/grafana-admin"])?;
    let asked = fixture.asked()?;
    let order = [
        "bash k8s/operators/fetch.sh strimzi",
        "kustomize build k8s/operators/strimzi",
        "get customresourcedefinitions.apiextensions.k8s.io kafkas",
        "get deployments.apps strimzi-cluster-operator",
        "kustomize build k8s/operators/rabbitmq",
        "get deployments.apps rabbitmq-cluster-operator",
        "kustomize build k8s/operators/kubevirt",
        "get deployments.apps virt-operator",
        "kustomize build k8s/operators/kubevirt-cr",
        "get kubevirts.kubevirt.io",
        "kustomize build k8s/overlays/minikube",
        "get kafkas.kafka.strimzi.io",
        "get kafkatopics",
        "get rabbitmqclusters.rabbitmq.com clima-rabbit",
        "get virtualmachines.kubevirt.io valkey-1",
        "get deployments.apps grafana",
    ];
    let found = order.iter().map(|what| position(&asked, what)).collect::<Result<Vec<_>>>()?;
    ensure!(found.is_sorted(), "{found:?} {asked:#?}");

    fixture.json("get crd *", &json!({"metadata": {"name": "theirs", "labels": {}}}))?;
    fixture.local("minikube").await?.is(0, &["strimzi is there and not by this command"])?;
    let asked = fixture.asked()?;
    ensure!(!asked.iter().any(|line| line.contains("k8s/operators/")), "{asked:#?}");
    Ok(())
}

#[tokio::test]
async fn the_images_that_are_to_be_pushed_are_listed_for_whoever_builds_them() -> Result<()> {
    let fixture = Fixture::new()?;
    let listed = fixture.deploy("plain", &["--list-images"]).await?;
    let names: Vec<_> = listed.said.lines().collect();
    ensure!(listed.code == Some(0) && names.contains(&"blackfriday/kafka"), "{}", listed.said);
    ensure!(names.iter().all(|name| name.starts_with("blackfriday/")), "{names:?}");
    ensure!(
        !names.contains(&"blackfriday/valkey-disk") && !names.contains(&"blackfriday/locust"),
        "{names:?}"
    );
    for nothing in ["--delete", "--rollback", "--no-push"] {
        let listed = fixture.deploy("plain", &[nothing, "--list-images"]).await?;
        ensure!(listed.code == Some(0) && listed.said.is_empty(), "{nothing}: {}", listed.said);
    }
    ensure!(fixture.asked()?.is_empty(), "the cluster was asked");
    Ok(())
}

#[tokio::test]
async fn a_dry_run_asks_nobody_and_needs_nothing() -> Result<()> {
    let fixture = Fixture::new()?;
    let ended = fixture
        .deploy("plain", &["--registry", "r.test:5000", "--images", "a=blackfriday/gateway:1", "--dry-run"])
        .await?;
    ended.is(
        0,
        &[
            "blackfriday image push a r.test:5000/blackfriday/gateway:1 --kustomize k8s/generated/images",
            "bash k8s/generate.sh",
            "kustomize build k8s/overlays/plain | kubectl apply --server-side --force-conflicts -o json -f -",
        ],
    )?;
    ensure!(fixture.asked()?.is_empty() && !fixture.path("k8s/generated").exists());
    Ok(())
}

const DEPLOY: &[&str] = &["--no-push", "--skip-preflight", "--yes"];
const DELETE: &[&str] = &["--delete", "--data", "--yes"];

/// Whatever a run asks kubectl, kustomize and our scripts for, the dry run has printed. Gives what was asked.
async fn printed_before(
    fixture: &Fixture,
    overlay: &str,
    arguments: &[&str],
    code: i32,
) -> Result<Vec<String>> {
    let dry = fixture.deploy(overlay, &[arguments, &["--dry-run"]].concat()).await?;
    let printed: BTreeSet<_> = dry.said.lines().flat_map(|line| line.split(" | ")).map(bare).collect();
    ensure!(fixture.asked()?.is_empty(), "a dry run asks");
    fixture.deploy(overlay, arguments).await?.is(code, &[])?;
    let asked = fixture.asked()?;
    ensure!(asked.len() > 5, "{asked:#?}");
    let hidden: Vec<_> = asked.iter().filter(|line| !printed.contains(&bare(line))).collect();
    ensure!(hidden.is_empty(), "{overlay} {arguments:?}: {hidden:#?} are not in\n{}", dry.said);
    Ok(asked)
}

#[tokio::test]
async fn what_is_asked_was_printed() -> Result<()> {
    for (overlay, arguments) in
        [("plain", DEPLOY), ("minikube", DEPLOY), ("plain", DELETE), ("minikube", DELETE)]
    {
        let fixture = Fixture::new()?;
        // As the printed commands call it.
        fixture.json("-n kafka get kafka blackfriday*", &json!({"status": {"clusterId": "ID"}}))?;
        printed_before(&fixture, overlay, arguments, 0).await?;
    }
    Ok(())
}

/// Namespaces are missing, Kafka's passwords are new, Kafka is made over an old log.
#[tokio::test]
async fn what_is_asked_only_at_times_was_printed_too() -> Result<()> {
    let fixture = Fixture::new()?;
    let secret = object("Secret", "kafka", "kafka-credentials");
    let setup = object("Job", "kafka", "kafka-setup");
    fixture.render(&[secret.clone(), setup.clone()])?;
    fixture.local("plain").await?.is(0, &[])?;
    fixture.asked()?;
    let mut changed = secret;
    changed["data"] = json!({"writer": "bmV3"});
    fixture.render(&[changed, setup])?;
    let asked = printed_before(&fixture, "plain", DEPLOY, 0).await?;
    position(&asked, "delete job kafka-setup")?;

    let fixture = Fixture::new()?;
    fixture.json("get namespaces*", &json!({"kind": "List", "items": []}))?;
    fixture.answer("-n kafka get kafka blackfriday*", 0, "")?;
    fixture.json("-n kafka get configmap kafka-cluster-id*", &json!({"data": {"id": "ID"}}))?;
    fixture.json("annotate --local*", &object("Kafka", "kafka", "blackfriday"))?;
    let asked = printed_before(&fixture, "minikube", DEPLOY, 0).await?;
    position(&asked, "kustomize build k8s/base/namespaces")?;
    position(&asked, "--subresource=status")?;
    Ok(())
}

/// What is wrong is asked for: pods, events, operators, and the log of the container that crashed.
#[tokio::test]
async fn questions_about_faults_were_printed_too() -> Result<()> {
    let crashing = |name: &str, label: &str| {
        json!({"kind": "Pod", "metadata": {"name": "POD", "namespace": name, "uid": "p", "labels": {label: "blackfriday"}},
            "spec": {}, "status": {"phase": "Running", "containerStatuses": [{"name": "CONTAINER", "image": "i",
                "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}})
    };
    let late = &[DEPLOY, &["--timeout", "100ms"]].concat();
    let fixture = Fixture::new()?;
    fixture.json("*get kafkas.kafka.strimzi.io*", &object("Kafka", "kafka", "blackfriday"))?;
    let pods = fixture::list(&[crashing("kafka", "strimzi.io/cluster")]);
    fixture.json("*-n kafka get pods,*", &pods)?;
    let asked = printed_before(&fixture, "minikube", late, 69).await?;
    for question in ["get deployments.apps strimzi-cluster-operator", "get events", "logs POD -c CONTAINER"] {
        position(&asked, question)?;
    }

    let fixture = Fixture::new()?;
    let mut machine = object("VirtualMachine", "valkey", "valkey-0");
    machine["spec"]["template"]["spec"]["volumes"] = json!([{"dataVolume": {"name": "NAME"}}]);
    fixture.json("*get virtualmachines.kubevirt.io valkey-0*", &machine)?;
    let asked = printed_before(&fixture, "minikube", late, 69).await?;
    position(&asked, "get datavolumes.cdi.kubevirt.io NAME")?;

    let fixture = Fixture::new()?;
    let mut job = object("Job", "blackfriday", "smoke");
    job["status"] =
        json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]});
    fixture.json("*get jobs.batch smoke-*", &job)?;
    let asked = printed_before(&fixture, "plain", DEPLOY, 1).await?;
    position(&asked, "--all-containers --tail=30")?;
    Ok(())
}

#[tokio::test]
async fn a_release_that_cannot_be_had_is_not_applied() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.answer("get crd *", 0, "")?;
    fixture.write("k8s/operators/fetch.sh", "echo 'fetch: another hash' >&2; exit 69\n")?;
    fixture.local("minikube").await?.is(69, &["bash k8s/operators/fetch.sh strimzi", "another hash"])?;
    let asked = fixture.asked()?;
    ensure!(!asked.iter().any(|line| line.contains("operators/")), "{asked:#?}");
    Ok(())
}

/// A command without quotes, without the name of kubectl, and without the numbers of jobs, which are times.
fn bare(command: &str) -> String {
    let is_time = |text: &str| text.len() > 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let words = command.trim_start_matches("kubectl ").split(' ').map(|word| match word.rsplit_once('-') {
        Some((name, time)) if is_time(time) => name.to_owned(),
        _ => word.replace('\'', ""),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn nobody_is_surprised() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.deploy("plain", &["--no-push"]).await?.is(64, &["--yes"])?;
    fixture.deploy("plain", &["--delete"]).await?.is(64, &["Kept: claims", "--yes"])?;
    let asked = fixture.asked()?;
    ensure!(asked.iter().all(|line| line.contains("config view")), "{asked:#?}");
    fixture.deploy("plain", &["--yes"]).await?.is(64, &["--registry"])?;
    fixture.deploy("plain", &["--yes", "--registry", "r.test"]).await?.is(64, &["--images", "--no-push"])?;
    fixture.deploy("mars", &["--no-push", "--yes"]).await?.is(64, &["overlays there: minikube, plain"])?;
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_is_not_fit_is_left_alone() -> Result<()> {
    let fixture = Fixture::new()?;
    // There is nothing at all in it.
    fixture.answer("get *", 0, "")?;
    fixture
        .deploy("plain", &["--no-push", "--yes"])
        .await?
        .is(1, &["nothing was changed", "--skip-preflight"])?;
    let asked = fixture.asked()?;
    ensure!(!asked.iter().any(|line| line.contains("apply")), "{asked:#?}");
    Ok(())
}

#[tokio::test]
async fn context_and_kubeconfig_go_to_every_kubectl() -> Result<()> {
    let fixture = Fixture::new()?;
    let flags = ["--no-push", "--skip-preflight", "--yes", "--context", "there", "--kubeconfig", "config"];
    fixture.deploy("plain", &flags).await?.is(0, &[])?;
    let asked = fixture.asked()?;
    let is_with = |line: &String| {
        line.starts_with("--kubeconfig config --context there ") || line.starts_with("kustomize")
    };
    ensure!(asked.iter().all(is_with), "{asked:#?}");
    Ok(())
}

#[tokio::test]
async fn the_setup_job_is_made_anew_if_it_failed_or_would_change_or_passwords_did() -> Result<()> {
    let fixture = Fixture::new()?;
    let gone =
        |asked: Vec<String>| asked.iter().filter(|line| line.contains("delete job kafka-setup")).count();
    let job = |kind: &str| json!({"metadata": {"name": "kafka-setup"}, "status": {"conditions": [{"type": kind, "status": "True"}]}});
    fixture.json("-n kafka get job kafka-setup*", &job("Complete"))?;
    fixture.local("plain").await?.is(0, &[])?;
    ensure!(gone(fixture.asked()?) == 0);
    fixture.answer(
        "apply*--dry-run=server*",
        1,
        "The Job \"kafka-setup\" is invalid: spec.template: field is immutable",
    )?;
    fixture.local("plain").await?.is(0, &["deleted, as it cannot be changed"])?;
    ensure!(gone(fixture.asked()?) == 1);
    fixture.json("-n kafka get job kafka-setup*", &job("Failed"))?;
    fixture.local("plain").await?.is(0, &["deleted, as it failed"])?;
    ensure!(gone(fixture.asked()?) == 1);

    let mut secret = object("Secret", "kafka", "kafka-credentials");
    let setup = object("Job", "kafka", "kafka-setup");
    fixture.answer("-n kafka get job kafka-setup*", 0, "")?;
    fixture.render(&[secret.clone(), setup.clone()])?;
    fixture.local("plain").await?.is(0, &[])?;
    fixture.asked()?;
    secret["data"] = json!({"writer": "bmV3"});
    fixture.render(&[secret, setup])?;
    fixture.local("plain").await?.is(0, &["changed 1: secret kafka/kafka-credentials", "runs again"])?;
    ensure!(gone(fixture.asked()?) == 1);
    Ok(())
}

#[tokio::test]
async fn the_job_that_makes_streams_is_made_anew_too() -> Result<()> {
    let fixture = Fixture::new()?;
    let failed = json!({"metadata": {"name": "rabbitmq-setup"}, "status": {"conditions": [{"type": "Failed", "status": "True"}]}});
    fixture.json("-n rabbitmq get job rabbitmq-setup*", &failed)?;
    fixture.local("minikube").await?.is(0, &["deleted, as it failed"])?;
    let asked = fixture.asked()?;
    let (deleted, applied) = (
        position(&asked, "-n rabbitmq delete job rabbitmq-setup")?,
        "apply --server-side --force-conflicts -o",
    );
    ensure!(deleted < position(&asked, applied)?, "{asked:#?}");
    position(&asked, "get crd rabbitmqclusters.rabbitmq.com")?;
    position(&asked, "get rabbitmqclusters.rabbitmq.com clima-rabbit")?;
    ensure!(!asked.iter().any(|line| line.contains("kafka-setup")), "{asked:#?}");
    Ok(())
}

#[tokio::test]
async fn a_kafka_made_anew_over_its_old_log_gets_that_logs_id() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.answer("-n kafka get kafka blackfriday*", 0, "")?;
    fixture.json(
        "-n kafka get configmap kafka-cluster-id*",
        &json!({"data": {"id": "MkU3OEVBNTcwNTJENDM2Qg"}}),
    )?;
    let kafka = object("Kafka", "kafka", "blackfriday");
    // One after the other, not as a list.
    fixture.answer("annotate --local*", 0, &format!("{}\n{kafka}", object("Secret", "kafka", "a")))?;
    fixture.local("minikube").await?.is(0, &["Kafka gets its old log, MkU3OEVBNTcwNTJENDM2Qg"])?;
    let asked = fixture.asked()?;
    let patched = position(
        &asked,
        r#"--subresource=status --type=merge -p {"status":{"clusterId":"MkU3OEVBNTcwNTJENDM2Qg"}}"#,
    )?;
    ensure!(position(&asked, "annotate --local")? < patched, "{asked:#?}");
    ensure!(patched < position(&asked, "get kafkas.kafka.strimzi.io blackfriday")?, "{asked:#?}");
    Ok(())
}

#[tokio::test]
async fn delete_keeps_the_data_unless_it_is_told_otherwise() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.write("k8s/generated/secrets/kafka-admin", "hunter2")?;
    fixture.json("-n kafka get kafka blackfriday*", &json!({"status": {"clusterId": "ID-1"}}))?;
    fixture.answer(
        "-n valkey delete datavolumes*",
        1,
        "error: the server doesn't have a resource type \"datavolumes\"",
    )?;
    fixture
        .deploy("minikube", &["--delete", "--yes"])
        .await?
        .is(0, &["Kept: claims", "ID-1, in configmap"])?;
    let asked = fixture.asked()?;
    for kept in ["persistentvolumeclaims", "datavolumes", "secret", "delete namespace "] {
        ensure!(!asked.iter().any(|line| line.contains(kept)), "{kept}: {asked:#?}");
    }
    position(&asked, "annotate kafkatopics --all strimzi.io/managed=false")?;
    position(&asked, "delete crd -l blackfriday/operator=strimzi")?;
    position(&asked, "-n rabbitmq delete rabbitmqclusters.rabbitmq.com --all --cascade=orphan")?;
    position(&asked, "delete crd -l blackfriday/operator=rabbitmq")?;
    ensure!(fixture.path("k8s/generated/secrets/kafka-admin").exists());

    let elsewhere = json!({"kind": "Kafka", "metadata": {"namespace": "shop", "name": "theirs"}});
    fixture.json("get kafkas*--all-namespaces*", &fixture::list(&[elsewhere]))?;
    fixture.json(
        "-n monitoring get*part-of!=*",
        &fixture::list(&[object("Deployment", "monitoring", "alertmanager")]),
    )?;
    let ended = fixture.deploy("minikube", &["--delete", "--data", "--yes"]).await?;
    ended.is(
        0,
        &[
            "WITH ITS DATA",
            "shop/theirs needs strimzi",
            "not ours, and in it: alertmanager",
            "knows no such kind",
        ],
    )?;
    let asked = fixture.asked()?;
    ensure!(!asked.iter().any(|line| line.contains("operator=strimzi")), "{asked:#?}");
    ensure!(!asked.iter().any(|line| line.contains("delete namespace monitoring")), "{asked:#?}");
    for gone in
        ["-n kafka delete persistentvolumeclaims --all", "delete namespace kafka", "operator=kubevirt"]
    {
        position(&asked, gone)?;
    }
    ensure!(fs::read_dir(fixture.path("k8s/generated/secrets")).is_err(), "the passwords are still there");
    Ok(())
}

#[tokio::test]
async fn somebody_elses_operator_is_not_deleted() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.json("get crd *", &json!({"metadata": {"name": "theirs", "labels": {}}}))?;
    fixture
        .deploy("minikube", &["--delete", "--yes"])
        .await?
        .is(0, &["was not installed by this command"])?;
    let asked = fixture.asked()?;
    ensure!(
        !asked.iter().any(|line| line.contains("delete crd") || line.contains("delete kubevirt ")),
        "{asked:#?}"
    );
    Ok(())
}
