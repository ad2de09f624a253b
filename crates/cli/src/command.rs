use std::process::ExitCode;

use anyhow::Result;
use blackfriday_cluster::{deploy, doctor};
use blackfriday_lab::{bench, chaos, experiment, soak};
use blackfriday_telemetry::TelemetryConfig;
use blackfriday_terminal::output;
use blackfriday_terminal::process::{self, stopped_by_signals};
use blackfriday_verify::{compare, create as topics, dead_letters, resume, tail};
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::failure::LIBRARIES;
use crate::{demo, reference, registry, shell, up, workload};

/// Takes a flash sale in, counts it exactly once, and proves it.
#[derive(Parser, Debug)]
#[command(
    name = "blackfriday",
    version,
    after_help = "Examples:\n  blackfriday demo\n  blackfriday load --rate 2000 --duration 30s --receipts run.receipts\n  \
    blackfriday verify --receipts run.receipts\n\n\
    Exit codes:\n  \
    0    what was asked for is so\n  \
    1    it is not: a difference, a sale that was not accepted\n  \
    64   wrong arguments, or a file that is missing or of another kind\n  \
    65   a file, or what came from a registry, is damaged\n  \
    69   a server cannot be reached, is missing, or does not start\n  \
    70   a defect of blackfriday\n  \
    74   a file cannot be written\n  \
    77   a server refuses\n  \
    130  a signal ended it before it was done"
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
    /// Run the whole system on this machine, with data that stays, until a signal.
    Up(Box<up::Arguments>),
    /// Send sales to a gateway, at a fixed rate or as fast as it answers.
    Load(Box<blackfriday_load::Arguments>),
    /// Break everything by a seeded schedule while clients send, and prove what they were told.
    Chaos(chaos::Arguments),
    /// Measure every way from HTTP into a counted number, next to the bare parts that limit it.
    Bench(bench::Arguments),
    /// One of the bare parts.
    #[command(hide = true, subcommand)]
    BenchPart(bench::Part),
    /// Compare logs, stores, ways and numbers of services by measuring, and write the report.
    Lab(experiment::Arguments),
    /// Send at a steady rate for a long time, and say whether anything grows.
    Soak(soak::Arguments),
    /// Compare what was acknowledged with what is in the log and what is counted.
    Verify(Box<compare::Arguments>),
    /// Print records as JSON lines, or as lines for people.
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
    Image(blackfriday_image::Command),
    /// Run a registry on this machine, until Ctrl-C.
    Registry(registry::Arguments),
    /// Write the configuration of Valkey's servers and Sentinels, as the first container of their pods.
    #[command(subcommand)]
    ValkeyConfig(blackfriday_valkey_config::Command),
    /// Look at a Kubernetes cluster before anything is deployed to it, and say what to type.
    Doctor(Box<doctor::Arguments>),
    /// Bring everything into a Kubernetes cluster, wait until it works, and prove it; or take it down.
    Deploy(Box<deploy::Arguments>),
    /// Print completions for a shell.
    Completions(shell::CompletionArguments),
    /// Write the manual pages of all commands and services into a folder.
    Man(shell::ManArguments),
    /// Print the tables of environment variables, as Markdown.
    #[command(hide = true)]
    Reference,
}

/// Carries out a command and gives the exit code.
pub fn run(cli: Cli) -> ExitCode {
    process::run(cli.telemetry, &LIBRARIES, dispatch(cli.command))
}

/// The tables of environment variables of every service and of `blackfriday`, as Markdown.
pub fn reference_table() -> String {
    reference::table(Cli::command())
}

async fn dispatch(command: Command) -> Result<bool> {
    match command {
        Command::Demo(arguments) => demo::run(arguments, &stopped_by_signals()).await,
        Command::Up(arguments) => up::run(*arguments, &stopped_by_signals()).await,
        Command::Load(arguments) => blackfriday_load::run(*arguments, &stopped_by_signals()).await,
        Command::Chaos(arguments) => chaos::run(arguments, &stopped_by_signals()).await,
        Command::Bench(arguments) => bench::run(arguments, &stopped_by_signals()).await,
        Command::BenchPart(part) => bench::run_part(part).await,
        Command::Lab(arguments) => experiment::run(arguments, &stopped_by_signals()).await,
        Command::Soak(arguments) => soak::run(arguments, &stopped_by_signals()).await,
        Command::Verify(arguments) => compare::run(*arguments).await,
        Command::Tail(arguments) => tail::run(arguments).await.map(|()| true),
        Command::DeadLetters(command) => dead_letters::run(command).await,
        Command::Resume(arguments) => resume::run(*arguments).await,
        Command::Topics(command) => topics::run(command).await,
        Command::Workload(command) => workload::run(command).await.map(|()| true),
        Command::Image(command) => blackfriday_image::run(command).await.map(|()| true),
        Command::Registry(arguments) => registry::run(arguments, &stopped_by_signals()).await,
        Command::ValkeyConfig(command) => blackfriday_valkey_config::run(command).await.map(|()| true),
        Command::Doctor(arguments) => doctor::run(*arguments).await,
        Command::Deploy(arguments) => deploy::run(*arguments, &stopped_by_signals()).await,
        Command::Completions(arguments) => {
            shell::completions(&arguments, Cli::command());
            Ok(true)
        }
        Command::Man(arguments) => shell::manual(&arguments, Cli::command()).map(|()| true),
        Command::Reference => {
            output::line(reference_table());
            Ok(true)
        }
    }
}
