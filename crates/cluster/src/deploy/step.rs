//! What a deployment consists of: a list of steps, each with the commands that it runs.
//!
//! Invariant: a step runs what it says here, and nothing else. `Shell::only` holds that, so that a dry run prints all of it.

use std::path::{Path, PathBuf};

use super::query;
use super::release::{Release, Setup};
use super::target::{Kind, Target};
use crate::line::{Line, hole, words};
use crate::shell::Shell;

/// One thing that deploy does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// `blackfriday doctor`.
    Preflight { arguments: Vec<String> },
    /// An image archive, to this reference; its digest goes into the component in the folder.
    Push { archive: PathBuf, to: String, component: PathBuf },
    /// The workload's file, to this reference; the one by digest goes into a file, for whoever pulls it in the cluster.
    PushWorkload { file: PathBuf, to: String, reference: PathBuf },
    /// `generate.sh`.
    Generate { line: Line, secrets: PathBuf },
    /// The images of others that a folder names, into the registry; their digests go into the component.
    Mirror { source: Source, host: String, platform: String, component: PathBuf },
    /// The namespaces, if one is missing.
    Namespaces { folder: String },
    /// An operator, unless somebody else's is there.
    Install { release: &'static Release, folder: String, fetch: Line },
    /// Only where the operator is ours.
    Of(&'static Release, Box<Step>),
    /// Takes a setup job away if it failed or could not be changed into what it is to be.
    RenewSetup { setup: &'static Setup, overlay: String },
    /// Gives a Kafka that is made again over an old log that log's id.
    RestoreLog { overlay: String },
    /// A folder. `force` takes over fields that somebody changed by hand. If the passwords changed that a setup job makes known,
    /// that runs again.
    Apply { folder: String, force: bool, setup: Option<&'static Setup> },
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

/// What images are copied of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// In a title.
    pub(super) whose: &'static str,
    /// Renders.
    pub(super) folder: String,
    /// What brings a release to where its folder takes it from.
    pub(super) fetch: Option<Line>,
}

impl Step {
    /// What it does, in one line.
    pub(super) fn title(&self) -> String {
        match self {
            Self::Preflight { .. } => "check the cluster".to_owned(),
            Self::Push { to, .. } | Self::PushWorkload { to, .. } => format!("push {to}"),
            Self::Generate { .. } => "make the secrets that are missing".to_owned(),
            Self::Mirror { source, host, .. } => format!("copy the images of {} to {host}", source.whose),
            Self::Namespaces { .. } => "make the namespaces".to_owned(),
            Self::Install { release, .. } => format!("install {}", release.name),
            Self::Of(_, step) => step.title(),
            Self::RenewSetup { setup, .. } => format!("see whether job {} is in the way", setup.name),
            Self::RestoreLog { .. } => "see whether Kafka has an old log".to_owned(),
            Self::Apply { folder, .. } => format!("apply {folder}"),
            Self::Await(target) => format!("wait for {target}"),
            Self::Try { cron_job, .. } => tried(cron_job).to_owned(),
            Self::Addresses => "addresses".to_owned(),
            Self::SaveLogId => "keep the id of Kafka's log".to_owned(),
            Self::ReleaseTopics => "keep the topics".to_owned(),
            Self::Delete { title, .. } => title.clone(),
            Self::Uninstall(release) => format!("remove {}, if it is ours", release.name),
            Self::RemoveNamespace(name) => format!("remove the namespace {name}"),
            Self::RemoveSecrets(folder) => format!("remove {}", folder.display()),
        }
    }

    /// What else it may ask: while something is not ready, and about what is wrong with it.
    pub(super) fn questions(&self, shell: &Shell) -> Vec<Line> {
        match self {
            Self::Of(_, step) => step.questions(shell),
            Self::Await(target) => about(shell, target),
            Self::Try { job, .. } => about(shell, &Target::new(Kind::Job, "blackfriday", job)),
            _ => Vec::new(),
        }
    }

    /// What it runs. Where an answer decides what follows, all that may follow.
    pub(super) fn commands(&self, shell: &Shell) -> Vec<Line> {
        let piped =
            |folder: &str, words: &[String]| shell.build_line(folder).pipe(shell.line(words.iter().cloned()));
        let kubectl = |line: &[&str]| shell.line(line.iter().copied());
        match self {
            Self::Preflight { arguments } => vec![preflight(shell, arguments)],
            Self::Push { archive, to, component } => vec![push(archive, to, component)],
            Self::PushWorkload { file, to, reference } => vec![push_workload(file, to, reference)],
            Self::Generate { line, .. } => vec![line.clone()],
            Self::Mirror { source, host, platform, component } => {
                let copy = shell.build_line(&source.folder).pipe(mirror(host, platform, component));
                source.fetch.iter().cloned().chain([copy]).collect()
            }
            Self::Namespaces { folder } => {
                vec![
                    shell.line(query::namespaces()),
                    piped(folder, &words(query::LIVE)),
                    piped(folder, &query::apply(false)),
                ]
            }
            Self::Install { release, folder, fetch } => {
                vec![
                    shell.line(release.find()),
                    fetch.clone(),
                    piped(folder, &words(query::LIVE)),
                    piped(folder, &query::apply(false)),
                ]
            }
            Self::Of(_, step) => step.commands(shell),
            Self::RenewSetup { setup, overlay } => {
                vec![
                    shell.line(query::find_setup(setup)),
                    piped(overlay, &query::try_setup(setup)),
                    shell.line(query::delete_setup(setup)),
                ]
            }
            Self::RestoreLog { overlay } => restore(shell, overlay),
            Self::Apply { folder, force, setup } => {
                let again = setup.map(|setup| shell.line(query::delete_setup(setup)));
                let lines = [piped(folder, &words(query::LIVE)), piped(folder, &query::apply(*force))];
                lines.into_iter().chain(again).collect()
            }
            Self::Await(target) => vec![shell.line(target.query())],
            Self::Try { cron_job, job } => trial(shell, cron_job, job),
            Self::Addresses => vec![kubectl(&["-n", "blackfriday", "get", "ingress", "-o", "json"])],
            Self::SaveLogId => {
                vec![
                    shell.line(query::find_log()),
                    shell.line(query::log_id(&hole("ID"))).pipe(shell.line(query::apply(true))),
                ]
            }
            Self::ReleaseTopics => vec![shell.line(query::release_topics())],
            Self::Delete { words, .. } => vec![shell.line(words.iter().cloned())],
            Self::Uninstall(release) => removal(shell, release),
            Self::RemoveNamespace(name) => {
                vec![
                    shell.line(query::foreign_in(name)),
                    kubectl(&["delete", "namespace", name, "--ignore-not-found"]),
                ]
            }
            Self::RemoveSecrets(folder) => vec![Line::new(["rm", "-r", &folder.display().to_string()])],
        }
    }
}

fn preflight(shell: &Shell, arguments: &[String]) -> Line {
    let words = words(["blackfriday", "doctor"]).into_iter().chain(arguments.iter().cloned());
    Line::new(words.chain(shell.flags().iter().cloned()))
}

fn push(archive: &Path, to: &str, component: &Path) -> Line {
    let (archive, component) = (archive.display().to_string(), component.display().to_string());
    Line::new(["blackfriday", "image", "push", &archive, to, "--kustomize", &component])
}

fn push_workload(file: &Path, to: &str, reference: &Path) -> Line {
    let (file, reference) = (file.display().to_string(), reference.display().to_string());
    Line::new(["blackfriday", "workload", "push", to, &file, "--reference-file", &reference])
}

fn mirror(host: &str, platform: &str, component: &Path) -> Line {
    let component = component.display().to_string();
    let copy = ["blackfriday", "image", "mirror", host, "--kustomize", &component];
    Line::new(copy.into_iter().chain(["--mirror-platform", platform]))
}

/// What a job of this name does.
fn tried(cron_job: &str) -> &'static str {
    match cron_job {
        "smoke" => "sell one thing",
        "smoke-clima" => "report the weather once",
        "verify-kafka" => "prove the weather that came by Kafka",
        "verify-rabbit" => "prove the weather that came by RabbitMQ",
        "verify-logs" => "compare the weather in both logs",
        _ => "prove the count",
    }
}

fn restore(shell: &Shell, overlay: &str) -> Vec<Line> {
    let kafka = Line::new(["jq", "select(.kind == \"Kafka\")"]);
    vec![
        shell.line(query::find_log()),
        shell.line(query::find_log_id()),
        shell
            .build_line(overlay)
            .pipe(shell.line(query::paused()))
            .pipe(kafka)
            .pipe(shell.line(query::apply(true))),
        shell.line(query::give_log_id(&hole("ID"))),
    ]
}

/// What is asked while it is not ready.
fn about(shell: &Shell, target: &Target) -> Vec<Line> {
    let operators = target.operators().iter();
    let mut asked: Vec<_> =
        operators.map(|&(namespace, name)| Target::new(Kind::Deployment, namespace, name).query()).collect();
    if let Some(namespace) = target.namespace {
        asked.extend([query::pods(namespace), query::warnings(namespace)]);
        asked.push(query::log_before(namespace, &hole("POD"), &hole("CONTAINER")));
        if let (Kind::Job, Some(name)) = (target.kind, &target.name) {
            asked.push(query::log_of_job(namespace, name));
        }
    }
    if target.kind == Kind::VirtualMachine {
        asked.push(query::data_volume(&hole("NAME")));
    }
    asked.into_iter().map(|words| shell.line(words)).collect()
}

fn trial(shell: &Shell, cron_job: &str, job: &str) -> Vec<Line> {
    let kubectl = |line: &[&str]| shell.line(["-n", "blackfriday"].iter().chain(line).copied());
    vec![
        kubectl(&["create", "job", job, &format!("--from=cronjob/{cron_job}")]),
        shell.line(Target::new(Kind::Job, "blackfriday", job).query()),
        kubectl(&["logs", &format!("job/{job}")]),
        kubectl(&["delete", "job", job]),
    ]
}

fn removal(shell: &Shell, release: &Release) -> Vec<Line> {
    let find = words(["get", release.resource(), "--all-namespaces", "-o", "json"]);
    let all = [release.find(), find].into_iter().chain(query::uninstall(release));
    all.map(|words| shell.line(words)).collect()
}
