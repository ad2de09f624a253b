//! What a process says about itself: logs, traces over OTLP, metrics for Prometheus, and the trace context that ties
//! HTTP, gRPC and the records of the event log into one story.
//!
//! Invariant: an event that is not sampled costs no span and no allocation. Whether it is sampled is decided once, at
//! the head: by [`context::sample_root`]. Hops of ours follow that by the `traceparent` of the one before; a client's can
//! only say no.

pub mod access;
pub mod context;
mod error;
mod limits;
mod logs;
pub mod metrics;
pub mod planted;
mod process;
mod reading;
pub mod sampled;
mod traces;

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;

pub use error::TelemetryError;
pub use logs::{LogFilter, LogFormat};

/// How long the last spans may take to leave.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Logs and traces.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryConfig {
    /// What is logged, as a filter of tracing-subscriber: `debug`, `info,blackfriday_writer=debug`. Without it services log
    /// `info`, and commands `warn`.
    #[arg(long, value_name = "FILTER", env = "BLACKFRIDAY_LOG_FILTER", global = true)]
    pub log_filter: Option<LogFilter>,
    /// How log lines look, on standard error.
    #[arg(long, value_name = "FORMAT", env = "BLACKFRIDAY_LOG_FORMAT", value_enum,
          default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Where spans go, an OTLP gRPC endpoint such as `http://127.0.0.1:4317`; without it there are none.
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = traces::endpoint)]
    pub otlp_endpoint: Option<String>,
    /// Share of the clients' requests that is traced, 0 to 1; a client's trace context is continued, but cannot raise it.
    #[arg(long, value_name = "SHARE", env = "BLACKFRIDAY_TRACE_SAMPLE_RATIO", default_value_t = 0.01,
          value_parser = ratio)]
    pub trace_sample_ratio: f64,
}

/// Keeps telemetry alive; [`TelemetryGuard::shutdown`] sends what is left.
#[derive(Debug)]
#[must_use]
pub struct TelemetryGuard(Option<SdkTracerProvider>);

static INITIALIZED: OnceLock<()> = OnceLock::new();

/// Sets up logs and traces for this process. Only the first call does; later ones give a guard that does nothing, so
/// that several services may run in one process.
///
/// Must run inside of a tokio runtime when an OTLP endpoint is set.
///
/// # Errors
/// The exporter cannot be made, or another library logs already.
pub fn init(service_name: &'static str, config: &TelemetryConfig) -> Result<TelemetryGuard, TelemetryError> {
    if INITIALIZED.set(()).is_err() {
        return Ok(TelemetryGuard(None));
    }
    let provider = traces::provider(service_name, config)?;
    logs::subscribe(config, provider.as_ref())?;
    context::set_sampling(provider.is_some(), config.trace_sample_ratio);
    Ok(TelemetryGuard(provider))
}

impl TelemetryGuard {
    /// Sends the spans that are left, in 5 s at the most.
    pub fn shutdown(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(FLUSH_LIMIT)
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio: f64 = text.parse().map_err(|_| "must be a number".to_owned())?;
    if (0.0..=1.0).contains(&ratio) { Ok(ratio) } else { Err("must be from 0 to 1".to_owned()) }
}
