//! Which steps bring an overlay up, and in which order.

use std::path::PathBuf;

use super::release::{KAFKA_SETUP, KUBEVIRT, RABBITMQ, RABBITMQ_SETUP, Release, STRIMZI};
use super::step::{Source, Step};
use super::target::{Kind, Target};
use crate::line::Line;
use crate::line::words;
use crate::overlay::Overlay;

/// All that the steps depend on.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) overlay: Overlay,
    pub(super) registry: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) emulation: bool,
    pub(super) preflight: bool,
    /// Archives and what the registry calls them; none where the nodes have the images already.
    pub(super) images: Vec<(PathBuf, String)>,
    pub(super) workload: Option<PathBuf>,
    pub(super) access: NodeAccess,
    /// What makes the names of this run's jobs unlike those of others.
    pub(super) run: String,
    /// Claims, secrets and namespaces go, too.
    pub(super) data: bool,
    /// The images that were in use before come back.
    pub(super) rollback: bool,
    /// For which nodes the images of others are copied into the registry, if they are.
    pub(super) mirror: Option<String>,
}

/// By what the nodes pull.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NodeAccess {
    pub(super) username: Option<String>,
    /// Without it the password is in the environment.
    pub(super) password_file: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
}

/// The variable that a password without a file comes in.
pub(super) const PASSWORD: &str = "BLACKFRIDAY_REGISTRY_PASSWORD";

pub(super) fn deploy(request: &Request) -> Vec<Step> {
    let overlay = &request.overlay;
    let mut steps = Vec::new();
    if request.preflight {
        steps.push(preflight(request));
    }
    steps.extend(pushes(request));
    steps.push(generate(request));
    steps.extend(mirror(request));
    steps.push(Step::Namespaces { folder: overlay.folder("base/namespaces") });
    if overlay.is_kafka_strimzi() {
        steps.extend(install(overlay, &STRIMZI));
    }
    if overlay.is_rabbitmq_operator() {
        steps.extend(install(overlay, &RABBITMQ));
    }
    if overlay.is_valkey_kubevirt() {
        steps.extend(install(overlay, &KUBEVIRT));
        let cr = if request.emulation { "kubevirt-cr-emulation" } else { "kubevirt-cr" };
        let folder = overlay.folder(&format!("operators/{cr}"));
        let ours = |step| Step::Of(&KUBEVIRT, Box::new(step));
        steps.push(ours(Step::Apply { folder, force: false, setup: None }));
        steps.push(ours(Step::Await(Target::new(Kind::KubeVirt, "kubevirt", "kubevirt"))));
        steps.push(Step::Await(Target::definition("virtualmachines.kubevirt.io")));
    }
    let folder = overlay.own_folder();
    steps.push(if overlay.is_kafka_strimzi() {
        Step::RestoreLog { overlay: folder.clone() }
    } else {
        Step::RenewSetup { setup: &KAFKA_SETUP, overlay: folder.clone() }
    });
    if overlay.has_rabbitmq() {
        steps.push(Step::RenewSetup { setup: &RABBITMQ_SETUP, overlay: folder.clone() });
    }
    let setup = (!overlay.is_kafka_strimzi()).then_some(&KAFKA_SETUP);
    steps.push(Step::Apply { folder, force: true, setup });
    steps.extend(targets(overlay).into_iter().map(Step::Await));
    let weather = ["smoke-clima", "verify-kafka", "verify-rabbit", "verify-logs"];
    let weather = weather.into_iter().filter(|_| overlay.has_weather());
    for cron_job in ["smoke", "verify"].into_iter().chain(weather) {
        steps.push(Step::Try { cron_job, job: format!("{cron_job}-{}", request.run) });
    }
    steps.push(Step::Addresses);
    steps
}

fn preflight(request: &Request) -> Step {
    let manifests = request.overlay.manifests.display().to_string();
    let mut arguments = words(["--overlay", &request.overlay.name, "--manifests", &manifests]);
    arguments.extend(request.registry.iter().flat_map(|host| words(["--registry", host])));
    arguments.extend(request.emulation.then(|| "--emulation".to_owned()));
    Step::Preflight { arguments }
}

fn pushes(request: &Request) -> Vec<Step> {
    let Some(registry) = &request.registry else { return Vec::new() };
    let component = request.overlay.manifests.join("generated/images");
    let used = |(_, name): &&(PathBuf, String)| {
        request.overlay.uses(name.split_once(':').map_or(name.as_str(), |(name, _)| name))
    };
    let push = |(archive, name): &(PathBuf, String)| Step::Push {
        archive: archive.clone(),
        to: format!("{registry}/{name}"),
        component: component.clone(),
    };
    let mut steps: Vec<_> = request.images.iter().filter(used).map(push).collect();
    if let Some(file) = &request.workload {
        let to = format!("{registry}/blackfriday/workload:{}", env!("CARGO_PKG_VERSION"));
        steps.push(Step::PushWorkload { file: file.clone(), to, reference: component.join("workload") });
    }
    steps
}

/// The password goes by a file or by standard input, never by an argument.
fn generate(request: &Request) -> Step {
    let NodeAccess { username, password_file, ca } = &request.access;
    let mut command = words(["env"]);
    let mut arguments = words(["bash", &request.overlay.folder("generate.sh")]);
    let mut password = None;
    // Who needs no password needs no pull secret.
    if let (Some(registry), Some(username)) = (&request.registry, username) {
        arguments.extend(words(["--registry", registry]));
        command.push(format!("BLACKFRIDAY_REGISTRY_USERNAME={username}"));
        if let Some(file) = password_file {
            command.push(format!("BLACKFRIDAY_REGISTRY_PASSWORD_FILE={}", file.display()));
        } else {
            command.push("BLACKFRIDAY_REGISTRY_PASSWORD_FILE=/dev/stdin".to_owned());
            password = Some(Line::new(["printenv", PASSWORD]));
        }
        command.extend(ca.iter().map(|file| format!("BLACKFRIDAY_REGISTRY_CA={}", file.display())));
    }
    if let Some(domain) = &request.domain {
        arguments.extend(words(["--domain", domain]));
    }
    arguments.extend(request.rollback.then(|| "--rollback".to_owned()));
    if command.len() == 1 {
        command.clear();
    }
    let command = Line::new(command.into_iter().chain(arguments));
    let line = match password {
        Some(password) => password.pipe(command),
        None => command,
    };
    Step::Generate { line, secrets: request.overlay.manifests.join("generated/secrets") }
}

/// What an overlay and its operators name is known once they render, and what was copied counts once it is taken in.
fn mirror(request: &Request) -> Vec<Step> {
    let (Some(host), Some(platform)) = (&request.registry, &request.mirror) else {
        return Vec::new();
    };
    let overlay = &request.overlay;
    let of_operator = |release: &Release| Source {
        whose: release.name,
        folder: overlay.folder(release.folder),
        fetch: Some(fetch(overlay, release)),
    };
    let of_overlay = Source { whose: "others", folder: overlay.own_folder(), fetch: None };
    let operators = releases(overlay).into_iter().map(of_operator);
    let copy = |source| Step::Mirror {
        source,
        host: host.clone(),
        platform: platform.clone(),
        component: overlay.manifests.join("generated/images"),
    };
    [of_overlay].into_iter().chain(operators).map(copy).chain([generate(request)]).collect()
}

fn fetch(overlay: &Overlay, release: &Release) -> Line {
    Line::new(["bash", &overlay.folder("operators/fetch.sh"), release.name])
}

fn install(overlay: &Overlay, release: &'static Release) -> [Step; 3] {
    let deployment = Target::new(Kind::Deployment, release.namespace, release.deployment);
    [
        Step::Install { release, folder: overlay.folder(release.folder), fetch: fetch(overlay, release) },
        Step::Await(Target::definition(release.definition)),
        Step::Of(release, Box::new(Step::Await(deployment))),
    ]
}

/// What must be ready, in the order in which an event needs it from its far end.
fn targets(overlay: &Overlay) -> Vec<Target> {
    let mut targets = logs(overlay);
    if overlay.is_valkey_kubevirt() {
        targets
            .extend(["valkey-0", "valkey-1"].map(|name| Target::new(Kind::VirtualMachine, "valkey", name)));
    } else {
        targets.push(Target::new(Kind::StatefulSet, "valkey", "valkey"));
    }
    targets.push(Target::new(Kind::StatefulSet, "valkey", "sentinel"));
    if overlay.has("redis") {
        targets.push(Target::new(Kind::StatefulSet, "redis", "redis"));
    }
    let weather = ["kafka-writer", "rabbit-writer", "kafka-consumer", "rabbit-consumer"];
    let weather = weather.into_iter().filter(|_| overlay.has_weather());
    let sales = ["writer-a", "writer-b", "relay", "gateway", "consumer", "dashboard"];
    // The relay is ready when all of its writers are there.
    let services = weather.chain(sales);
    targets.extend(services.map(|name| Target::new(Kind::Deployment, "blackfriday", name)));
    for (component, kind, namespace, names) in [
        ("prometheus", Kind::StatefulSet, "monitoring", &["prometheus"][..]),
        ("otel-collector", Kind::Deployment, "monitoring", &["otel-collector"]),
        ("grafana", Kind::Deployment, "monitoring", &["grafana"]),
        ("locust", Kind::Deployment, "blackfriday", &["locust-master", "locust-workers"]),
    ] {
        if overlay.has(component) {
            targets.extend(names.iter().map(|&name| Target::new(kind, namespace, name)));
        }
    }
    targets
}

fn logs(overlay: &Overlay) -> Vec<Target> {
    let mut targets = Vec::new();
    if overlay.is_kafka_strimzi() {
        targets.push(Target::new(Kind::Kafka, "kafka", "blackfriday"));
        targets.push(Target::all(Kind::KafkaTopic, "kafka"));
        targets.push(Target::all(Kind::KafkaUser, "kafka"));
    } else {
        targets.push(Target::new(Kind::StatefulSet, "kafka", "kafka"));
        targets.push(Target::new(Kind::Job, KAFKA_SETUP.namespace, KAFKA_SETUP.name));
    }
    if overlay.has_rabbitmq() {
        targets.push(if overlay.is_rabbitmq_operator() {
            Target::new(Kind::RabbitmqCluster, "rabbitmq", "clima-rabbit")
        } else {
            Target::new(Kind::StatefulSet, "rabbitmq", "clima-rabbit-server")
        });
        targets.push(Target::new(Kind::Job, RABBITMQ_SETUP.namespace, RABBITMQ_SETUP.name));
    }
    targets
}

/// Which operators an overlay needs.
pub(super) fn releases(overlay: &Overlay) -> Vec<&'static Release> {
    let wanted = [
        (overlay.is_kafka_strimzi(), &STRIMZI),
        (overlay.is_rabbitmq_operator(), &RABBITMQ),
        (overlay.is_valkey_kubevirt(), &KUBEVIRT),
    ];
    wanted.into_iter().filter_map(|(is_wanted, release)| is_wanted.then_some(release)).collect()
}

#[cfg(test)]
pub(super) mod tests;
