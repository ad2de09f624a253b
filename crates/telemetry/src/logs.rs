use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::{TelemetryConfig, TelemetryError};

/// How log lines look.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

pub(crate) fn subscribe(
    config: &TelemetryConfig,
    provider: Option<&SdkTracerProvider>,
) -> Result<(), TelemetryError> {
    let filter = || EnvFilter::try_new(&config.log).map_err(TelemetryError::Filter);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.log_format {
        LogFormat::Text => lines.with_ansi(false).with_filter(filter()?).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter()?).boxed(),
    };
    // Spans are made only for sampled events, so the exporting layer takes all of ours and no library's.
    let spans = provider.map(|provider| {
        let ours =
            tracing_subscriber::filter::filter_fn(|metadata| metadata.target().starts_with("blackfriday"));
        tracing_opentelemetry::layer().with_tracer(provider.tracer("blackfriday")).with_filter(ours)
    });
    tracing_subscriber::registry().with(lines).with(spans).try_init().map_err(TelemetryError::Subscriber)
}
