/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter is not one.
    #[error("read the log filter")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// The OTLP endpoint is not usable.
    #[error("make the OTLP exporter")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// Another subscriber was set before.
    #[error("set the global log subscriber")]
    Subscriber(#[source] tracing_subscriber::util::TryInitError),
}
