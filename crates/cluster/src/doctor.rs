//! Looks at a cluster before anything is deployed to it, and says what to type where something is missing.
//!
//! It asks by `kubectl` and changes nothing, unless told to let the nodes pull something (`--probe`). What is asked is in
//! `cluster`; each check is a function of the answers and of the rendered overlay. Nothing of a Secret is printed.

mod addons;
mod capacity;
mod clock;
mod cluster;
mod dns;
mod durability;
mod images;
mod nodes;
mod object;
mod probe;
mod quota;
mod registry;
mod render;
mod report;
mod scaling;
mod versions;
mod weather;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use blackfriday_registry::AccessArguments;
use blackfriday_terminal::output;

use self::cluster::Cluster;
use self::object::Object;
pub(crate) use self::report::{Check, Report};
use crate::overlay::Overlay;
use crate::shell::{Shell, is_on_path};

/// For one command.
const LIMIT: Duration = Duration::from_secs(60);

/// Looks at a cluster before anything is deployed to it.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday doctor --overlay plain\n  \
    blackfriday doctor --overlay gke --registry registry.example:5000 --registry-ca ca.crt\n\n\
    A line for each check: ok, warning or problem, what was seen, and what to type.\n\n\
    Exit code 0 if a deployment could work, 1 if it could not, 64 for wrong arguments, 69 if no\n\
    cluster answers, 77 if it refuses.")]
pub struct Arguments {
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    doctor: DoctorArguments,
}

/// What is looked at.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct DoctorArguments {
    /// What would be deployed: a folder in the manifests' overlays/, such as minikube, gke, plain.
    #[arg(long, value_name = "NAME", default_value = "minikube")]
    pub(crate) overlay: String,
    /// The registry, `host[:port]`, as this machine and the nodes reach it; without it, that of the overlay's images.
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: Option<String>,
    /// Virtual machines may be emulated.
    #[arg(long)]
    pub(crate) emulation: bool,
    /// Let each node pull an image that is not there, to see whether it trusts the registry: makes a pod, and removes it.
    #[arg(long)]
    pub(crate) probe: bool,
    /// The folder with base, components, operators and overlays.
    #[arg(long, value_name = "DIR", default_value = "k8s")]
    pub(crate) manifests: PathBuf,
    /// Which of kubectl's contexts; the current one without it.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Which of kubectl's configurations.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) access: AccessArguments,
}

/// Prints what was seen; true if a deployment could work.
///
/// # Errors
/// The arguments are wrong, or no cluster answers.
pub async fn run(arguments: Arguments) -> Result<bool> {
    let report = examine(&arguments.doctor).await?;
    if arguments.json {
        output::line(serde_json::to_string_pretty(&report)?);
    } else {
        output::line(&report);
    }
    Ok(report.works())
}

/// Looks at everything.
///
/// # Errors
/// The arguments are wrong, or no cluster answers.
pub(crate) async fn examine(arguments: &DoctorArguments) -> Result<Report> {
    let overlay = Overlay::read(&arguments.manifests, &arguments.overlay)?;
    let registry = arguments.access.client()?;
    let mut report = Report::default();
    if !is_on_path("kubectl") {
        let remedy = "nix develop     # or https://kubernetes.io/docs/tasks/tools/";
        report.add([Check::problem("kubectl", "not on PATH", remedy)]);
        return Ok(report);
    }
    let (context, kubeconfig) = (arguments.context.as_deref(), arguments.kubeconfig.as_deref());
    let shell = Shell::new(context, kubeconfig, LIMIT).with_what_is_there();
    let cluster = Cluster::look(&shell).await?;
    report.add([versions::check(&cluster.versions), versions::server(&cluster.versions)]);
    let objects = match render::render(&shell, &overlay).await {
        Ok(objects) => objects,
        Err(error) => {
            let remedy = format!("kubectl kustomize {} >/dev/null", overlay.own_folder());
            report.add([Check::problem("overlay", format!("{error:#}"), remedy)]);
            return Ok(report);
        }
    };
    report.add([Check::ok("overlay", format!("{}: {} objects", overlay.name, objects.len()))]);
    report.add(of_cluster(&cluster, &objects, arguments));
    report.add(scaling::autoscalers(&objects));
    report.add(scaling::partitions(&objects));
    report.add(durability::copies(&objects));
    report.add(durability::times(&objects));
    report.add(durability::eviction(&objects));
    report.add(weather::look(&shell, &objects, &cluster.pods).await?);
    for host in registries(&objects, arguments.registry.as_deref()) {
        report.add([registry::from_here(&registry, &host, &images::images(&objects)).await]);
        report.add([if arguments.probe {
            probe::probe(&shell, &host, &cluster.nodes).await?
        } else {
            images::by_nodes(&host, &cluster.pods)
        }]);
    }
    if registries(&objects, arguments.registry.as_deref()).is_empty() {
        let remedy = "blackfriday doctor --registry HOST";
        report.add([Check::warning("registry", "none: the nodes must have the images already", remedy)]);
    }
    report.add(images::by_cdi(&objects, &cluster.cdi));
    report.add([clock::server(&cluster.heard)]);
    report.add(clock::nodes(&cluster.leases, SystemTime::now()));
    Ok(report)
}

fn of_cluster(cluster: &Cluster, objects: &[Object], arguments: &DoctorArguments) -> Vec<Check> {
    let has = |kind: &str| objects.iter().any(|object| object.kind == kind);
    let ours = objects.iter().filter(|object| object.kind == "Namespace").map(Object::place);
    let (ours, needs) = (ours.collect::<BTreeSet<_>>(), capacity::needs(objects));
    let mut checks = vec![nodes::ready(&cluster.nodes)];
    checks.extend(capacity::checks(&needs, &cluster.nodes, &cluster.pods, &ours));
    checks.extend(quota::checks(&needs, &ours, &cluster.quotas));
    checks.extend(dns::check(objects, &cluster.dns, &cluster.pods));
    if has("VirtualMachine") {
        checks.push(nodes::kvm(&cluster.nodes, &cluster.kubevirt, arguments.emulation, &arguments.overlay));
        checks.extend(versions::image_volumes(&cluster.versions, &cluster.nodes, &cluster.kubevirt));
    }
    checks.extend(addons::definitions(objects, &cluster.groups));
    if has("HorizontalPodAutoscaler") {
        checks.push(addons::metrics(&cluster.metrics));
    }
    checks.extend(addons::ingress(objects, &cluster.ingress_classes, &cluster.pods));
    checks.extend(addons::gateway(objects, &cluster.gateway_classes));
    checks.extend(addons::storage(objects, &cluster.storage_classes, &cluster.nodes));
    checks
}

/// The one that is named, or those of our own images.
fn registries(objects: &[Object], named: Option<&str>) -> BTreeSet<String> {
    if let Some(named) = named {
        return BTreeSet::from([named.to_owned()]);
    }
    let images = images::images(objects);
    let ours = images.iter().filter(|image| image.contains("blackfriday/"));
    ours.filter_map(|image| images::host(image)).map(str::to_owned).collect()
}
