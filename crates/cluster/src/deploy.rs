//! Brings the whole system into a cluster, waits until it works, and proves it; or takes it down again.
//!
//! It types what one would type by hand, `kubectl` and `kustomize`, and prints it all with `--dry-run`. What it changes is
//! found out by comparing, what is wrong by asking, so that it can be run again at any time. Secrets pass through it to
//! kubectl's standard input and are neither printed nor an argument of anything.

mod changes;
mod execute;
mod fault;
mod plan;
mod progress;
mod push;
mod query;
mod release;
mod removal;
mod step;
mod target;
mod wait;

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write as _, stderr, stdin};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use blackfriday_image::PlatformArguments;
use blackfriday_registry::AccessArguments;
use blackfriday_service::Shutdown;
use blackfriday_terminal::failure::{Interrupted, Unavailable, Usage};
use blackfriday_terminal::output;

use self::execute::Run;
use self::plan::{NodeAccess, Request};
use self::step::Step;
use self::wait::Pace;
use crate::doctor::DoctorArguments;
use crate::overlay::Overlay;
use crate::shell::{Shell, is_on_path};

const WHICH_CLUSTER: [&str; 5] = ["config", "view", "--minify", "-o", "json"];

/// Brings everything into a cluster, waits until it works, and proves it.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday deploy --overlay plain --registry registry.example:5000 --images image-*.tar --dry-run\n  \
    blackfriday deploy --overlay plain --no-push\n  \
    blackfriday deploy --overlay plain --rollback\n  \
    blackfriday deploy --overlay minikube --delete\n\n\
    `nix run .#deploy` is the same with images, disk and workload at hand. It can be run again at any\n\
    time, and says what it changed.\n\n\
    Exit code 0 if everything runs and the count is proven, 1 if the count is not or the answer was\n\
    no, 64 for wrong arguments, 69 if something does not become ready or cannot be reached, 77 if the\n\
    cluster or the registry refuses.")]
pub struct Arguments {
    /// Where to: a folder in the manifests' overlays/, such as minikube, gke, plain.
    #[arg(long, value_name = "NAME")]
    overlay: String,
    /// The registry, `host[:port]`, as this machine and the nodes reach it.
    #[arg(
        long,
        value_name = "HOST",
        required_unless_present_any = ["no_push", "rollback", "delete", "list_images"]
    )]
    registry: Option<String>,
    /// Image archives; each goes by the name inside or by the one after the sign of equality.
    #[arg(long, value_name = "FILE[=NAME:TAG]", num_args = 1..)]
    images: Vec<String>,
    /// The workload's file.
    #[arg(long, value_name = "FILE", default_value = "crates/workload/assets/black-friday.toml")]
    workload: PathBuf,
    /// Push nothing: the images are on the nodes, or were pushed before.
    #[arg(long)]
    no_push: bool,
    /// Go back to the images that were in use before the last change of them, and push nothing; once more goes forth again.
    #[arg(long, conflicts_with_all = ["images", "delete", "mirror"])]
    rollback: bool,
    /// Copy the images of others that the overlay and its operators name into the registry, and take them from there, by digest.
    #[arg(long, requires = "registry", conflicts_with = "delete")]
    mirror: bool,
    #[command(flatten)]
    platform: PlatformArguments,
    /// Host of the gateway; dashboard.NAME and grafana.NAME are the others'. Without it, blackfriday.test.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// For nodes without /dev/kvm: virtual machines by emulation, about ten times slower.
    #[arg(long)]
    emulation: bool,
    /// The folder with base, components, operators and overlays.
    #[arg(long, value_name = "DIR", default_value = "k8s")]
    manifests: PathBuf,
    /// Which of kubectl's contexts; the current one without it.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Which of kubectl's configurations.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How long each part may take until it is ready.
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Do not look at the cluster first.
    #[arg(long)]
    skip_preflight: bool,
    /// Print which images of ours are to be pushed, a line each, and do nothing else.
    #[arg(long)]
    list_images: bool,
    /// Print every command of every step, and run none. What is asked only while something is not ready comes last.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Remove it all, but the data.
    #[arg(long)]
    delete: bool,
    /// With --delete: the data, too. Claims, Secrets, namespaces, and the passwords in generated/.
    #[arg(long, requires = "delete")]
    data: bool,
    #[arg(long, value_name = "DURATION", hide = true, default_value = "2s",
          value_parser = humantime::parse_duration)]
    poll: Duration,
    #[arg(long, value_name = "DURATION", hide = true, default_value = "30s",
          value_parser = humantime::parse_duration)]
    patience: Duration,
    #[command(flatten)]
    access: AccessArguments,
}

/// Deploys or removes; true if everything was done and the count is proven.
///
/// # Errors
/// The arguments are wrong, something does not become ready, or the cluster or the registry refuses.
pub async fn run(arguments: Arguments, shutdown: &Shutdown) -> Result<bool> {
    if arguments.list_images {
        return list_images(&arguments);
    }
    let Arguments { context, kubeconfig, timeout, poll, patience, .. } = &arguments;
    // Some of what kubectl does waits itself.
    let limit = *timeout + Duration::from_secs(60);
    let shell = Shell::new(context.as_deref(), kubeconfig.as_deref(), limit).with_what_is_there();
    let request = request(&arguments)?;
    let steps = if arguments.delete { removal::delete(&request) } else { plan::deploy(&request) };
    if arguments.dry_run {
        output::line("# show which cluster it is");
        output::line(shell.line(WHICH_CLUSTER));
        print(&steps, &shell);
        return Ok(true);
    }
    prerequisites(&arguments)?;
    let pushes =
        |step: &Step| matches!(step, Step::Push { .. } | Step::PushWorkload { .. } | Step::Mirror { .. });
    let registry = steps.iter().any(pushes).then(|| arguments.access.client()).transpose()?;
    let pace = Pace { poll: *poll, patience: *patience, timeout: *timeout };
    let done = async {
        let which = shell.only(vec![shell.line(WHICH_CLUSTER)]);
        if !agreed(&arguments, &request, &which).await? {
            return Ok(false);
        }
        let mut run = Run::new(&request, &shell, pace, registry, doctor(&arguments));
        let done = run.all(&steps).await?;
        if done && !arguments.delete {
            output::note(format_args!(
                "{}: it runs, and the count is proven. {}",
                request.overlay.name,
                run.changes()
            ));
        }
        Ok(done)
    };
    tokio::select! {
        done = done => done,
        () = shutdown.begun() => Err(Interrupted.into()),
    }
}

/// For whoever builds what is pushed, and nothing else.
fn list_images(arguments: &Arguments) -> Result<bool> {
    let overlay = Overlay::read(&arguments.manifests, &arguments.overlay)?;
    overlay.images().filter(|_| pushes(arguments)).for_each(output::line);
    Ok(true)
}

fn pushes(arguments: &Arguments) -> bool {
    !arguments.no_push && !arguments.rollback && !arguments.delete
}

fn request(arguments: &Arguments) -> Result<Request> {
    let overlay = Overlay::read(&arguments.manifests, &arguments.overlay)?;
    let pushes = pushes(arguments);
    ensure!(
        !pushes || !arguments.images.is_empty(),
        Usage(
            "--images FILE... are wanted, or --no-push; `nix run .#deploy` brings the images along"
                .to_owned()
        )
    );
    let named = |images: &Vec<String>| images.iter().map(|text| push::named(text)).collect::<Result<_>>();
    let (username, password_file, ca) = arguments.access.parts();
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(Request {
        overlay,
        registry: arguments.registry.clone(),
        domain: arguments.domain.clone(),
        emulation: arguments.emulation,
        preflight: !arguments.skip_preflight,
        images: if pushes { named(&arguments.images)? } else { Vec::new() },
        workload: pushes.then(|| arguments.workload.clone()),
        access: NodeAccess {
            username: username.map(str::to_owned),
            password_file: password_file.map(PathBuf::from),
            ca: ca.map(PathBuf::from),
        },
        run: since.as_secs().to_string(),
        data: arguments.data,
        rollback: arguments.rollback,
        mirror: arguments.mirror.then(|| arguments.platform.platform.clone()),
    })
}

fn doctor(arguments: &Arguments) -> DoctorArguments {
    DoctorArguments {
        overlay: arguments.overlay.clone(),
        registry: arguments.registry.clone(),
        emulation: arguments.emulation,
        probe: false,
        manifests: arguments.manifests.clone(),
        context: arguments.context.clone(),
        kubeconfig: arguments.kubeconfig.clone(),
        access: arguments.access.clone(),
    }
}

fn print(steps: &[Step], shell: &Shell) {
    for step in steps {
        output::line(format_args!("# {}", step.title()));
        step.commands(shell).into_iter().for_each(output::line);
    }
    let questions: BTreeSet<_> =
        steps.iter().flat_map(|step| step.questions(shell)).map(|line| line.to_string()).collect();
    if !questions.is_empty() {
        output::line("# while something is not ready, and about what is wrong with it");
        questions.iter().for_each(output::line);
    }
}

fn prerequisites(arguments: &Arguments) -> Result<()> {
    let for_secrets = if arguments.delete { &[][..] } else { &["bash", "openssl"] };
    let missing: Vec<_> =
        ["kubectl"].iter().chain(for_secrets).filter(|program| !is_on_path(program)).copied().collect();
    ensure!(
        missing.is_empty(),
        Unavailable(format!("missing: {}; `nix develop` has all that deploy needs", missing.join(", ")))
    );
    Ok(())
}

/// Shows what would be changed where, and asks.
async fn agreed(arguments: &Arguments, request: &Request, shell: &Shell) -> Result<bool> {
    let view = shell.json(&WHICH_CLUSTER, None).await?;
    let text = |pointer: &str| view.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or("?");
    output::note(format_args!("context  {}", text("/current-context")));
    output::note(format_args!("server   {}", text("/clusters/0/cluster/server")));
    output::note(format_args!("overlay  {}", request.overlay.own_folder()));
    if arguments.delete {
        output::note(removal::losses(request));
    }
    if arguments.yes {
        return Ok(true);
    }
    ensure!(
        stdin().is_terminal() && stderr().is_terminal(),
        Usage("stdin is not a terminal: pass --yes to go on without a question".to_owned())
    );
    let wanted = if arguments.data { request.overlay.name.as_str() } else { "yes" };
    write!(stderr(), "type {wanted} to go on: ").ok();
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        stdin().read_line(&mut answer).map(|_| answer)
    });
    let answer = answer.await.context("the question died")?.context("read the answer")?;
    Ok(answer.trim() == wanted)
}
