//! The command `blackfriday-valkey-config`: `blackfriday valkey-config` by itself, for an image that holds nothing else.

use std::process::ExitCode;

use blackfriday_telemetry::TelemetryConfig;
use blackfriday_terminal::process;
use blackfriday_valkey_config::{Command, run};
use clap::Parser;

/// Writes the configuration of Valkey's servers and Sentinels, as the first container of their pods.
#[derive(Parser, Debug)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

fn main() -> ExitCode {
    match process::parse() {
        Ok(Cli { command, telemetry }) => {
            process::run(telemetry, &[], async { run(command).await.map(|()| true) })
        }
        Err(code) => code,
    }
}
