//! Log lines on standard error.

use std::str::FromStr;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, ParseError, dynamic_filter_fn};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::TelemetryConfig;
use crate::error::TelemetryError;

/// What a service logs that was not told.
const INFO: &str = "info";

/// What is logged: a filter of tracing-subscriber that was read without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl FromStr for LogFilter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        EnvFilter::try_new(text).map(|_| Self(text.to_owned()))
    }
}

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
    let filter = config.log_filter.as_ref().map_or(INFO, |filter| &filter.0);
    let filter = Asked(EnvFilter::new(filter));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.log_format {
        LogFormat::Text => lines.with_ansi(false).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    // Spans are made only for sampled events, so the exporting layer takes all of ours and no library's, whatever is logged.
    let spans = provider.map(|provider| {
        let is_ours = |metadata: &Metadata<'_>| metadata.target().starts_with("blackfriday");
        // A library's lines are never asked about again: h2 alone passes one for each frame.
        let ours =
            dynamic_filter_fn(move |metadata, _| is_ours(metadata)).with_callsite_filter(move |metadata| {
                if is_ours(metadata) { Interest::sometimes() } else { Interest::never() }
            });
        tracing_opentelemetry::layer().with_tracer(provider.tracer("blackfriday")).with_filter(ours)
    });
    tracing_subscriber::registry().with(lines).with(spans).try_init().map_err(TelemetryError::Subscriber)
}

/// A filter that is asked for every event.
///
/// A filter of a layer leaves its answer in its thread for the event that follows. `log::log_enabled!`, which rdkafka asks
/// for each new client, leaves one without an event, and the next line of ours went by that if the answer to it was known
/// to be always yes and therefore not asked for.
struct Asked(EnvFilter);

impl<S> Filter<S> for Asked
where
    S: Subscriber,
    EnvFilter: Filter<S>,
{
    fn enabled(&self, metadata: &Metadata<'_>, ctx: &Context<'_, S>) -> bool {
        Filter::<S>::enabled(&self.0, metadata, ctx)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let interest = Filter::<S>::callsite_enabled(&self.0, metadata);
        if interest.is_never() { interest } else { Interest::sometimes() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.0)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        Filter::<S>::on_new_span(&self.0, attributes, id, ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        Filter::<S>::on_record(&self.0, id, values, ctx);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        Filter::<S>::on_enter(&self.0, id, ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        Filter::<S>::on_exit(&self.0, id, ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        Filter::<S>::on_close(&self.0, id, ctx);
    }
}
