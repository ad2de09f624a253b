use std::time::{Duration, Instant as StdInstant};

use blackfriday_telemetry::context::TRACEPARENT;
use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::metrics::types::family::Family;
use blackfriday_telemetry::metrics::types::histogram::Histogram;
use prometheus_client::encoding::EncodeLabelSet;
use tokio::time::Instant;
use tonic::{Request, Status};

/// `rpc.server.*` metrics of OpenTelemetry's semantic conventions.
#[derive(Clone)]
pub(crate) struct CallMetrics(Family<Labels, Histogram>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    rpc_service: &'static str,
    rpc_method: &'static str,
    rpc_grpc_status_code: i64,
}

pub(crate) struct Call<'a> {
    metrics: &'a CallMetrics,
    service: &'static str,
    method: &'static str,
    started: StdInstant,
}

impl CallMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self(registry.durations("rpc_server_duration_seconds", "Duration of gRPC calls"))
    }

    pub(crate) fn begin(&self, service: &'static str, method: &'static str) -> Call<'_> {
        Call { metrics: self, service, method, started: StdInstant::now() }
    }
}

impl Call<'_> {
    pub(crate) fn end(self, error: Option<&Status>) {
        let code = error.map_or(tonic::Code::Ok, Status::code);
        let labels = Labels {
            rpc_service: self.service,
            rpc_method: self.method,
            rpc_grpc_status_code: i64::from(i32::from(code)),
        };
        self.metrics.0.get_or_create(&labels).observe(self.started.elapsed().as_secs_f64());
    }
}

/// When the client stops waiting: its `grpc-timeout`, or ours.
pub(crate) fn deadline<T>(request: &Request<T>, ours: Duration) -> Instant {
    let header = request.metadata().get("grpc-timeout").and_then(|value| value.to_str().ok());
    Instant::now() + header.and_then(parse_timeout).map_or(ours, |theirs| theirs.min(ours))
}

/// The trace context of a single call.
pub(crate) fn traceparent<T>(request: &Request<T>) -> Option<String> {
    request.metadata().get(TRACEPARENT)?.to_str().ok().map(str::to_owned)
}

/// At most eight digits and a unit (gRPC over HTTP/2, "Requests").
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_timeout_is_digits_and_a_unit() {
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_timeout("2S"), Some(Duration::from_secs(2)));
        assert_eq!(parse_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for text in ["", "m", "1", "1x", "-1m", "123456789m", "1é"] {
            assert_eq!(parse_timeout(text), None, "{text}");
        }
    }
}
