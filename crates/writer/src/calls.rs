use std::time::{Duration, Instant as StdInstant};

use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::metrics::types::family::Family;
use blackfriday_telemetry::metrics::types::histogram::Histogram;
use http::HeaderMap;
use prometheus_client::encoding::EncodeLabelSet;
use tokio::time::Instant;
use tonic::Code;

/// At most this much of a call's time is left for the answer's way back, and at most a twentieth of it.
const MAX_ANSWER_RESERVE: Duration = Duration::from_millis(50);

/// With less left, a record would be written only to miss its own answer.
const MIN_LEFT: Duration = Duration::from_millis(5);

/// `rpc.server.*` metrics of OpenTelemetry's semantic conventions.
#[derive(Clone)]
pub(crate) struct CallMetrics(Family<Labels, Histogram>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    rpc_service: &'static str,
    rpc_method: &'static str,
    rpc_grpc_status_code: i64,
}

/// A call that is being answered. Without an end, because its client gave it up, it counts as cancelled.
pub(crate) struct Call {
    metrics: CallMetrics,
    service: &'static str,
    method: &'static str,
    started: StdInstant,
    code: Code,
}

/// When a call must be answered, so that the answer arrives while the client still waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerBy(pub(crate) Instant);

impl CallMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self(registry.durations("rpc_server_duration_seconds", "Duration of gRPC calls"))
    }

    pub(crate) fn begin(&self, service: &'static str, method: &'static str) -> Call {
        let (metrics, started) = (self.clone(), StdInstant::now());
        Call { metrics, service, method, started, code: Code::Cancelled }
    }
}

impl Call {
    pub(crate) fn end(mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let labels = Labels {
            rpc_service: self.service,
            rpc_method: self.method,
            rpc_grpc_status_code: i64::from(i32::from(self.code)),
        };
        self.metrics.0.get_or_create(&labels).observe(self.started.elapsed().as_secs_f64());
    }
}

impl AnswerBy {
    /// For a request whose head arrived just now: its `grpc-timeout`, or `ours` if that is shorter.
    pub(crate) fn of(headers: &HeaderMap, ours: Duration) -> Self {
        let theirs = headers.get("grpc-timeout").and_then(|value| parse_timeout(value.to_str().ok()?));
        let limit = theirs.map_or(ours, |theirs| theirs.min(ours));
        Self(Instant::now() + limit - (limit / 20).min(MAX_ANSWER_RESERVE))
    }

    /// Whether it is too late to write anything: a client may ask for any time, also for none.
    pub(crate) fn is_over(self) -> bool {
        self.0.saturating_duration_since(Instant::now()) < MIN_LEFT
    }
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

    #[tokio::test]
    async fn a_short_deadline_keeps_most_of_its_time() {
        let by = |timeout: &str| {
            let headers = HeaderMap::from_iter([(
                http::header::HeaderName::from_static("grpc-timeout"),
                http::HeaderValue::from_str(timeout).expect("ASCII"),
            )]);
            let before = Instant::now();
            AnswerBy::of(&headers, Duration::from_secs(5)).0 - before
        };
        for (timeout, least_ms, most_ms) in [("40m", 38, 40), ("2S", 1_950, 2_000), ("1H", 4_950, 5_000)] {
            let left = by(timeout);
            assert!(left >= Duration::from_millis(least_ms), "{left:?} of {timeout}");
            assert!(left < Duration::from_millis(most_ms), "{left:?} of {timeout}");
        }
    }
}
