use std::process::ExitCode;

use blackfriday_service::{Shutdown, signals};
use blackfriday_telemetry::TelemetryConfig;
use clap::{Parser, Subcommand};

use crate::{
    dead_letters, demo, deploy, doctor, failure, image, load, output, reference, registry, resume, tail,
    topics, valkey_config, verify, workload,
};

/// Takes a flash sale in, counts it exactly once, and proves it.
#[derive(Parser, Debug)]
#[command(
    name = "blackfriday",
    version,
    after_help = "Examples:\n  blackfriday demo\n  blackfriday load --rate 2000 --duration 30s --receipts run.receipts\n  \
    blackfriday verify --receipts run.receipts"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Start everything on this machine, send a flash sale, prove the count, clean up.
    Demo(demo::Arguments),
    /// Send sales to a gateway, at a fixed rate or as fast as it answers.
    Load(load::Arguments),
    /// Compare what was acknowledged with what is in the broker and what is counted.
    Verify(Box<verify::Arguments>),
    /// Print records as JSON lines.
    Tail(tail::Arguments),
    /// Look at records that could not be counted, or send them again.
    #[command(
        subcommand,
        after_help = "Examples:\n  blackfriday dead-letters list\n  blackfriday dead-letters redrive --dry-run"
    )]
    DeadLetters(dead_letters::Command),
    /// Let a partition be counted again that its consumer stopped.
    Resume(Box<resume::Arguments>),
    /// Make the topics.
    #[command(subcommand, after_help = "Example:\n  blackfriday topics create --partitions 6")]
    Topics(topics::Command),
    /// Make workloads, and bring them into registries and back.
    #[command(subcommand, after_help = "Example:\n  blackfriday workload make friday.toml")]
    Workload(workload::Command),
    /// Bring container images into a registry.
    #[command(
        subcommand,
        after_help = "Example:\n  blackfriday image push result registry.example:5000/gateway:1"
    )]
    Image(image::Command),
    /// Run a registry on this machine, until Ctrl-C.
    Registry(registry::Arguments),
    /// Write the configuration of Valkey's servers and Sentinels, as the first container of their pods.
    #[command(subcommand)]
    ValkeyConfig(valkey_config::Command),
    /// Look at a Kubernetes cluster before anything is deployed to it, and say what to type.
    Doctor(Box<doctor::Arguments>),
    /// Bring everything into a Kubernetes cluster, wait until it works, and prove it; or take it down.
    Deploy(Box<deploy::Arguments>),
    /// Print the table of environment variables, as Markdown.
    #[command(hide = true)]
    Reference,
}

/// Carries out a command and gives the exit code.
pub fn run(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    blackfriday_service::raise_fd_limit();
    let ended = runtime.block_on(async {
        let mut telemetry = cli.telemetry;
        if telemetry.log == "info" {
            // Progress and results are shown by the commands themselves.
            // And what Kafka's client says about its connections comes back as the command's own error.
            "warn,librdkafka=off".clone_into(&mut telemetry.log);
        }
        let guard = blackfriday_telemetry::init("blackfriday", &telemetry)?;
        let ended = dispatch(cli.command).await;
        guard.shutdown();
        ended
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}

async fn dispatch(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Demo(arguments) => demo::run(arguments, &stopped_by_signals()).await,
        Command::Load(arguments) => load::run(arguments, &stopped_by_signals()).await,
        Command::Verify(arguments) => verify::run(*arguments).await,
        Command::Tail(arguments) => tail::run(arguments).await.map(|()| true),
        Command::DeadLetters(command) => dead_letters::run(command).await,
        Command::Resume(arguments) => resume::run(*arguments).await,
        Command::Topics(command) => topics::run(command).await.map(|()| true),
        Command::Workload(command) => workload::run(command).await.map(|()| true),
        Command::Image(command) => image::run(command).await.map(|()| true),
        Command::Registry(arguments) => registry::run(arguments, &stopped_by_signals()).await,
        Command::ValkeyConfig(command) => valkey_config::run(command).await.map(|()| true),
        Command::Doctor(arguments) => doctor::run(*arguments).await,
        Command::Deploy(arguments) => deploy::run(*arguments, &stopped_by_signals()).await,
        Command::Reference => {
            output::line(reference::table());
            Ok(true)
        }
    }
}

/// Begins at Ctrl-C or SIGTERM; a second one ends the process at once.
fn stopped_by_signals() -> Shutdown {
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        if let Err(error) = signals(stop).await {
            tracing::warn!(%error, "signals cannot be caught: they end the process at once");
        }
    });
    shutdown
}

fn failed(error: &anyhow::Error) -> ExitCode {
    output::note(format_args!("blackfriday: {error:#}"));
    ExitCode::from(failure::exit_code(error))
}
