use std::sync::Arc;
use std::time::Duration;

use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::metrics::types::{family::Family, gauge::Gauge, histogram::Histogram};
use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use tokio::sync::Semaphore;

/// `http.server.*` metrics of OpenTelemetry's semantic conventions.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    routes: Arc<[&'static str]>,
    durations: Family<Labels, Histogram>,
    active: Gauge,
    registry: Registry,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    http_request_method: &'static str,
    http_route: &'static str,
    http_response_status_code: u16,
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Observed<'a> {
    metrics: &'a HttpMetrics,
    method: &'static str,
    route: &'static str,
}

impl HttpMetrics {
    /// Registers them. A path that is not among `routes` counts as route `other`, so that clients cannot make labels.
    pub fn new(registry: &Registry, routes: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            routes: routes.into_iter().collect(),
            durations: registry
                .durations("http_server_request_duration_seconds", "Duration of HTTP requests"),
            active: registry.gauge("http_server_active_requests", "HTTP requests in flight"),
            registry: registry.clone(),
        }
    }

    /// Tells a limit, and how many of its places are taken.
    pub(super) fn limit(&self, flag: &'static str, most: usize, places: &Arc<Semaphore>) {
        let places = Arc::clone(places);
        self.registry.limit(flag, most, move || most.saturating_sub(places.available_permits()));
    }

    pub(super) fn begin(&self, method: &Method, path: &str) -> Observed<'_> {
        self.active.inc();
        let route = self.routes.iter().copied().find(|route| *route == path).unwrap_or("other");
        let method = match *method {
            Method::GET => "GET",
            Method::POST => "POST",
            Method::HEAD => "HEAD",
            _ => "_OTHER",
        };
        Observed { metrics: self, method, route }
    }
}

impl Observed<'_> {
    pub(super) fn end(&self, status: StatusCode, elapsed: Duration) {
        let labels = Labels {
            http_request_method: self.method,
            http_route: self.route,
            http_response_status_code: status.as_u16(),
        };
        self.metrics.durations.get_or_create(&labels).observe(elapsed.as_secs_f64());
    }
}

impl Drop for Observed<'_> {
    /// Also when the client goes away and the request is dropped.
    fn drop(&mut self) {
        self.metrics.active.dec();
    }
}
