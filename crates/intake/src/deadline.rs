use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

/// Milliseconds that the caller still waits; set between our own hops, where gRPC has `grpc-timeout`.
pub const DEADLINE_HEADER: &str = "x-deadline-ms";

/// When the caller stops waiting: by its header, or by our own limit, whichever comes first.
pub(crate) fn deadline(headers: &HeaderMap, ours: Duration) -> Instant {
    let theirs = headers.get(DEADLINE_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    Instant::now() + theirs.map_or(ours, |theirs| Duration::from_millis(theirs).min(ours))
}
