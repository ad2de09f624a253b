/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The OTLP endpoint is not usable.
    #[error("cannot make the OTLP exporter")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// Another subscriber was set before.
    #[error("cannot set the global log subscriber")]
    Subscriber(#[source] tracing_subscriber::util::TryInitError),
}
