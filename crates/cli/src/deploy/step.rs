//! What a deployment consists of: a list of steps, each with the commands that it runs.

use std::path::PathBuf;

use super::line::Line;
use super::shell::Shell;
use super::target::Target;

/// The namespaces that the base brings.
pub(super) const NAMESPACES: [&str; 4] = ["blackfriday", "kafka", "monitoring", "valkey"];
/// On every object of an overlay.
pub(super) const OURS: &str = "app.kubernetes.io/part-of=blackfriday";
/// Where a deleted Strimzi cluster's id is kept for as long as its claims are: a broker refuses a log of another id.
pub(super) const LOG_ID: &str = "kafka-cluster-id";
/// The job of `kafka-plain` that makes users, permissions and topics.
pub(super) const SETUP: &str = "kafka-setup";

/// One thing that deploy does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// `blackfriday doctor`.
    Preflight { overlay: String, registry: Option<String> },
    /// An image archive, to this reference; its digest goes into the component in the folder.
    Push { archive: PathBuf, to: String, component: PathBuf },
    /// The workload's file, to this reference.
    PushWorkload { file: PathBuf, to: String },
    /// `generate.sh`.
    Generate { line: Line, secrets: PathBuf },
    /// The namespaces, if one is missing.
    Namespaces { folder: String },
    /// An operator, unless somebody else's is there.
    Install { release: &'static Release, folder: String },
    /// Only where the operator is ours.
    Of(&'static Release, Box<Step>),
    /// Takes the setup job away if it failed or could not be changed into what it is to be.
    RenewSetup { overlay: String },
    /// Gives a Kafka that is made anew over an old log that log's id.
    RestoreLog { overlay: String },
    /// A folder. `force` takes over fields that somebody changed by hand.
    Apply { folder: String, force: bool },
    /// Until it is ready.
    Await(Target),
    /// A job from a CronJob that never runs by itself.
    Try { cron_job: &'static str, job: String },
    /// Where everything is.
    Addresses,
    /// Keeps the id of Strimzi's log.
    SaveLogId,
    /// Lets the topics' objects go without the topics.
    ReleaseTopics,
    /// `kubectl delete`; a kind that the cluster does not know has no objects.
    Delete { title: String, words: Vec<String> },
    /// An operator, if it is ours and nobody else uses it.
    Uninstall(&'static Release),
    /// A namespace, unless something is in it that is not ours.
    RemoveNamespace(&'static str),
    /// Passwords and keys in `generated/`.
    RemoveSecrets(PathBuf),
}

/// An operator that an overlay needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) name: &'static str,
    /// Below the manifests.
    pub(super) folder: &'static str,
    pub(super) namespace: &'static str,
    pub(super) deployment: &'static str,
    /// By whose label it is known who installed it, and of which nobody else's may exist when it is removed.
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

pub(super) fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

/// What asks for all objects of a rendering, as they are.
pub(super) const LIVE: [&str; 6] = ["get", "--ignore-not-found", "-o", "json", "-f", "-"];

pub(super) fn apply(force: bool) -> Vec<String> {
    let force = force.then_some("--force-conflicts");
    words(["apply", "--server-side"].into_iter().chain(force).chain(["-o", "json", "-f", "-"]))
}

/// Whether the setup job could be changed into what it is to be.
pub(super) fn try_setup() -> Vec<String> {
    let label = format!("app.kubernetes.io/name={SETUP}");
    words(["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-l", &label, "-f", "-"])
}

impl Step {
    /// What it does, in one line.
    pub(super) fn title(&self) -> String {
        match self {
            Self::Preflight { .. } => "check the cluster".to_owned(),
            Self::Push { to, .. } | Self::PushWorkload { to, .. } => format!("push {to}"),
            Self::Generate { .. } => "make the secrets that are missing".to_owned(),
            Self::Namespaces { .. } => "make the namespaces".to_owned(),
            Self::Install { release, .. } => format!("install {}", release.name),
            Self::Of(_, step) => step.title(),
            Self::RenewSetup { .. } => format!("see whether job {SETUP} is in the way"),
            Self::RestoreLog { .. } => "see whether Kafka has an old log".to_owned(),
            Self::Apply { folder, .. } => format!("apply {folder}"),
            Self::Await(target) => format!("wait for {target}"),
            Self::Try { cron_job: "smoke", .. } => "sell one thing".to_owned(),
            Self::Try { .. } => "prove the count".to_owned(),
            Self::Addresses => "addresses".to_owned(),
            Self::SaveLogId => "keep the id of Kafka's log".to_owned(),
            Self::ReleaseTopics => "keep the topics".to_owned(),
            Self::Delete { title, .. } => title.clone(),
            Self::Uninstall(release) => format!("remove {}, if it is ours", release.name),
            Self::RemoveNamespace(name) => format!("remove the namespace {name}"),
            Self::RemoveSecrets(folder) => format!("remove {}", folder.display()),
        }
    }

    /// What it runs. Where an answer decides what follows, all that may follow.
    pub(super) fn commands(&self, shell: &Shell) -> Vec<Line> {
        let piped =
            |folder: &str, words: &[String]| shell.build_line(folder).pipe(shell.line(words.iter().cloned()));
        let kubectl = |line: &[&str]| shell.line(line.iter().copied());
        match self {
            Self::Preflight { overlay, registry } => {
                let registry = registry.iter().flat_map(|host| ["--registry".to_owned(), host.clone()]);
                let doctor = words(["blackfriday", "doctor", "--overlay", overlay]);
                vec![Line::new(doctor.into_iter().chain(registry))]
            }
            Self::Push { archive, to, component } => {
                let (archive, component) = (archive.display().to_string(), component.display().to_string());
                vec![Line::new(["blackfriday", "image", "push", &archive, to, "--kustomize", &component])]
            }
            Self::PushWorkload { file, to } => {
                vec![Line::new(["blackfriday", "workload", "push", to, &file.display().to_string()])]
            }
            Self::Generate { line, .. } => vec![line.clone()],
            Self::Namespaces { folder } => vec![shell.line(namespaces()), piped(folder, &apply(false))],
            Self::Install { release, folder } => {
                vec![shell.line(release.find()), piped(folder, &words(LIVE)), piped(folder, &apply(false))]
            }
            Self::Of(_, step) => step.commands(shell),
            Self::RenewSetup { overlay } => {
                vec![shell.line(find_setup()), piped(overlay, &try_setup()), shell.line(delete_setup())]
            }
            Self::RestoreLog { overlay } => vec![
                shell.line(find_log()),
                shell.line(find_log_id()),
                shell
                    .build_line(overlay)
                    .pipe(shell.line(paused()))
                    .pipe(Line::new(["jq", ".items[] | select(.kind == \"Kafka\")"]))
                    .pipe(shell.line(apply(true))),
                shell.line(give_log_id("ID")),
            ],
            Self::Apply { folder, force } => vec![piped(folder, &words(LIVE)), piped(folder, &apply(*force))],
            Self::Await(target) => vec![shell.line(target.query())],
            Self::Try { cron_job, job } => {
                let from = format!("--from=cronjob/{cron_job}");
                let target = Target::new(super::target::Kind::Job, "blackfriday", job.clone());
                vec![
                    kubectl(&["-n", "blackfriday", "create", "job", job, &from]),
                    shell.line(target.query()),
                    kubectl(&["-n", "blackfriday", "logs", &format!("job/{job}")]),
                    kubectl(&["-n", "blackfriday", "delete", "job", job]),
                ]
            }
            Self::Addresses => vec![kubectl(&["-n", "blackfriday", "get", "ingress", "-o", "json"])],
            Self::SaveLogId => {
                vec![shell.line(find_log()), shell.line(log_id("ID")).pipe(shell.line(apply(true)))]
            }
            Self::ReleaseTopics => vec![shell.line(release_topics())],
            Self::Delete { words, .. } => vec![shell.line(words.iter().cloned())],
            Self::Uninstall(release) => {
                let find = words(["get", release.resource(), "--all-namespaces", "-o", "json"]);
                let removal = uninstall(release);
                [release.find(), find].into_iter().chain(removal).map(|words| shell.line(words)).collect()
            }
            Self::RemoveNamespace(name) => {
                vec![
                    shell.line(foreign_in(name)),
                    kubectl(&["delete", "namespace", name, "--ignore-not-found"]),
                ]
            }
            Self::RemoveSecrets(folder) => vec![Line::new(["rm", "-r", &folder.display().to_string()])],
        }
    }
}

pub(super) fn namespaces() -> Vec<String> {
    let flags = ["--ignore-not-found", "-o", "json"];
    words(["get", "namespaces"].into_iter().chain(NAMESPACES).chain(flags))
}

pub(super) fn find_setup() -> Vec<String> {
    words(["-n", "kafka", "get", "job", SETUP, "--ignore-not-found", "-o", "json"])
}

pub(super) fn delete_setup() -> Vec<String> {
    words(["-n", "kafka", "delete", "job", SETUP, "--ignore-not-found"])
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

/// What is in a namespace and not of this deployment.
pub(super) fn foreign_in(namespace: &str) -> Vec<String> {
    let kinds = "deployments,statefulsets,daemonsets";
    words(["-n", namespace, "get", kinds, "-l", "app.kubernetes.io/part-of!=blackfriday", "-o", "json"])
}
