//! The command `blackfriday-verify`: those commands of `blackfriday` that look into the log or make its topics, for an image
//! that holds nothing else.

use std::process::ExitCode;

use anyhow::Result;
use blackfriday_telemetry::TelemetryConfig;
use blackfriday_terminal::process;
use blackfriday_verify::{compare, create, dead_letters, exit_code, resume, tail};
use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Compares what was acknowledged with the log and the counters, looks into the log, and makes its topics.
#[derive(Parser, Debug)]
#[command(version)]
struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

/// What to do.
#[derive(Subcommand, Debug)]
enum Command {
    /// Compare what was acknowledged with what is in the log and what is counted.
    Verify(Box<compare::Arguments>),
    /// Print records as JSON lines, or as lines for people.
    Tail(tail::Arguments),
    /// Look at records that could not be counted, or send them again.
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Let a partition be counted again that its consumer stopped.
    Resume(Box<resume::Arguments>),
    /// Make the topics.
    #[command(subcommand)]
    Topics(create::Command),
}

fn main() -> ExitCode {
    match process::parse() {
        Ok(Cli { command, telemetry }) => process::run(telemetry, &[exit_code], dispatch(command)),
        Err(code) => code,
    }
}

async fn dispatch(command: Command) -> Result<bool> {
    match command {
        Command::Verify(arguments) => compare::run(*arguments).await,
        Command::Tail(arguments) => tail::run(arguments).await.map(|()| true),
        Command::DeadLetters(command) => dead_letters::run(command).await,
        Command::Resume(arguments) => resume::run(*arguments).await,
        Command::Topics(command) => create::run(command).await,
    }
}
