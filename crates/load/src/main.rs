//! The command `blackfriday-load`: `blackfriday load` by itself, for an image that holds nothing else.

use std::process::ExitCode;

use blackfriday_load::{Arguments, exit_code, run};
use blackfriday_telemetry::TelemetryConfig;
use blackfriday_terminal::process::{self, stopped_by_signals};
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sends sales or weather reports to a gateway, at a fixed rate or as fast as it answers.
#[derive(Parser, Debug)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    load: Arguments,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

fn main() -> ExitCode {
    match process::parse() {
        Ok(Cli { load, telemetry }) => {
            process::run(telemetry, &[exit_code], async { run(load, &stopped_by_signals()).await })
        }
        Err(code) => code,
    }
}
