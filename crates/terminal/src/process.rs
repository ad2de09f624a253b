//! The process that a command runs in.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use blackfriday_service::{Shutdown, raise_fd_limit, signals};
use blackfriday_telemetry::TelemetryConfig;
use clap::Parser;

use crate::failure::{self, Classify, EX_USAGE};
use crate::output;

/// How long tasks that are left over may hold the end up.
const LEFTOVER_LIMIT: Duration = Duration::from_secs(1);

/// Reads the command line; without a command to carry out, the exit code that is left.
///
/// # Errors
/// The arguments are wrong, or only help or version were asked for: it is printed.
pub fn parse<C: Parser>() -> Result<C, ExitCode> {
    C::try_parse().map_err(|error| {
        let code = if error.use_stderr() { EX_USAGE } else { 0 };
        // A closed standard error cannot be reported anywhere.
        error.print().ok();
        ExitCode::from(code)
    })
}

/// Does a command's work, and gives the exit code: 0 if the work says true, 1 if it says false, else what `classify` and this
/// crate say of the error.
pub fn run(
    mut telemetry: TelemetryConfig,
    classify: &[Classify],
    work: impl Future<Output = Result<bool>>,
) -> ExitCode {
    let failed = |error: &anyhow::Error| {
        output::note(format_args!("blackfriday: {}", failure::told(error)));
        ExitCode::from(failure::exit_code(error, classify))
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    raise_fd_limit();
    // Progress and results are shown by the commands themselves, and what Kafka's client says about its connections comes back
    // as the command's own error.
    telemetry.log_filter.get_or_insert("warn,librdkafka=off".parse().expect("it is a filter"));
    let ended = runtime.block_on(async {
        let guard = blackfriday_telemetry::init("blackfriday", &telemetry)?;
        let ended = work.await;
        guard.shutdown();
        ended
    });
    runtime.shutdown_timeout(LEFTOVER_LIMIT);
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}

/// Begins at Ctrl-C or SIGTERM; a second one ends the process at once. Must be called inside of the runtime.
pub fn stopped_by_signals() -> Shutdown {
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        if let Err(error) = signals(stop).await {
            tracing::warn!(%error, "signals cannot be caught: they end the process at once");
        }
    });
    shutdown
}
