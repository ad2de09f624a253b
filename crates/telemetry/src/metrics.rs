//! Metrics for Prometheus, named by OpenTelemetry's semantic conventions: `http.server.request.duration` in seconds
//! becomes `http_server_request_duration_seconds`.
//!
//! A metric is registered once, at start, and its label sets are resolved once where that is possible: counting is an
//! atomic addition.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry;

use crate::limits::Limits;
use crate::process::ProcessCollector;

pub use crate::reading::Reading;
pub use prometheus_client::metrics as types;

/// The content type of [`Registry::encode`] and [`encode_all`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of duration histograms, in seconds: 0.5 ms to 10 s.
pub const DURATION_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds of histograms of how many events a batch holds.
pub const BATCH_BUCKETS: [f64; 12] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 2048.0, 10_000.0];

/// A service's metrics. Clones share them.
#[derive(Debug, Clone)]
pub struct Registry {
    metrics: Arc<std::sync::Mutex<registry::Registry>>,
    limits: Limits,
}

impl Registry {
    /// Metrics of a service, with those of its process (`process_*`).
    pub fn new(service_name: &'static str) -> Self {
        let registry = Self::of_part(service_name);
        registry.collect(ProcessCollector);
        registry
    }

    /// Metrics of a service that shares its process with others, without those of the process.
    pub fn of_part(service_name: &'static str) -> Self {
        let label = ("service".into(), service_name.into());
        let mut registry = registry::Registry::with_labels([label].into_iter());
        let limits = Limits::default();
        registry.register_collector(Box::new(limits.clone()));
        Self { metrics: Arc::new(std::sync::Mutex::new(registry)), limits }
    }

    /// A counter; `_total` is added to its name.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.register(name, help, counter.clone());
        counter
    }

    /// A gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.register(name, help, gauge.clone());
        gauge
    }

    /// A gauge of something that cannot be read at times.
    pub fn reading(&self, name: &'static str, help: &str) -> Reading {
        let reading = Reading::new(name, help);
        self.collect(reading.clone());
        reading
    }

    /// A limit, by the flag that sets it, with what is used of it now: `blackfriday_limit` and `blackfriday_limit_used`.
    pub fn limit(&self, flag: &'static str, most: usize, used: impl Fn() -> usize + Send + Sync + 'static) {
        self.limits.add(flag, most, used);
    }

    /// A histogram with these upper bounds.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let histogram = Histogram::new(buckets.iter().copied());
        self.register(name, help, histogram.clone());
        histogram
    }

    /// Counters by label set.
    pub fn counters<L: Labels>(&self, name: &str, help: &str) -> Family<L, Counter> {
        let family = Family::default();
        self.register(name, help, family.clone());
        family
    }

    /// Gauges by label set.
    pub fn gauges<L: Labels>(&self, name: &str, help: &str) -> Family<L, Gauge> {
        let family = Family::default();
        self.register(name, help, family.clone());
        family
    }

    /// Duration histograms, in seconds, by label set.
    pub fn durations<L: Labels>(&self, name: &str, help: &str) -> Family<L, Histogram> {
        let family = Family::new_with_constructor((|| Histogram::new(DURATION_BUCKETS)) as fn() -> Histogram);
        self.register(name, help, family.clone());
        family
    }

    /// All metrics in the OpenMetrics text format, which Prometheus reads.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let registry = self.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        encode(&mut text, &registry).expect("writing into a String cannot fail");
        text
    }

    fn register(&self, name: &str, help: &str, metric: impl registry::Metric) {
        let mut metrics = self.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        metrics.register(name, help, metric);
    }

    fn collect(&self, collector: impl Collector) {
        let mut metrics = self.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        metrics.register_collector(Box::new(collector));
    }
}

/// The metrics of several services as one text: the format wants a family that several of them have in one piece.
pub fn encode_all(registries: &[Registry]) -> String {
    let mut families = BTreeMap::<String, [String; 2]>::new();
    for text in registries.iter().map(Registry::encode) {
        let mut family = String::new();
        for line in text.lines() {
            let mut words = line.splitn(4, ' ');
            let [header, samples] = match [words.next(), words.next(), words.next()] {
                [Some("#"), Some("EOF"), None] => continue,
                [Some("#"), Some(_), Some(name)] => {
                    name.clone_into(&mut family);
                    families.entry(family.clone()).or_default()
                }
                _ => families.entry(family.clone()).or_default(),
            };
            let to = if line.starts_with('#') { header } else { samples };
            if !(line.starts_with('#') && to.contains(line)) {
                to.push_str(line);
                to.push('\n');
            }
        }
    }
    families.into_values().flatten().chain(["# EOF\n".to_owned()]).collect()
}

/// What a label set must be: a struct with `#[derive(EncodeLabelSet)]`.
pub trait Labels:
    EncodeLabelSet + Clone + std::hash::Hash + Eq + Send + Sync + std::fmt::Debug + 'static
{
}

impl<T> Labels for T where
    T: EncodeLabelSet + Clone + std::hash::Hash + Eq + Send + Sync + std::fmt::Debug + 'static
{
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_encoded_with_their_labels_and_the_process() {
        #[derive(Debug, Clone, PartialEq, Eq, Hash, prometheus_client::encoding::EncodeLabelSet)]
        struct Route {
            http_route: &'static str,
        }
        let registry = Registry::new("gateway");
        registry.counter("sales", "Sales").inc_by(3);
        registry
            .durations("http_server_request_duration_seconds", "Requests")
            .get_or_create(&Route { http_route: "/venta" })
            .observe(0.002);
        let text = registry.encode();
        for expected in [
            "sales_total{service=\"gateway\"} 3",
            "http_server_request_duration_seconds_count{http_route=\"/venta\",service=\"gateway\"} 1",
            "process_resident_memory_bytes{service=\"gateway\"} ",
            "process_open_fds{service=\"gateway\"} ",
            "process_start_time_seconds{service=\"gateway\"} 1",
            "# EOF",
        ] {
            let swapped = expected.replace(
                "http_route=\"/venta\",service=\"gateway\"",
                "service=\"gateway\",http_route=\"/venta\"",
            );
            assert!(text.contains(expected) || text.contains(&swapped), "{expected} in\n{text}");
        }
    }

    #[test]
    fn metrics_of_several_services_are_one_text_with_each_family_in_one_piece() {
        let registries = [Registry::new("up"), Registry::of_part("gateway"), Registry::of_part("consumer")];
        for registry in &registries[1..] {
            registry.counter("sales", "Sales").inc();
        }
        registries[1].gauge("of_gateway", "Its own").set(1);
        registries[2].gauge("of_consumer", "Its own").set(1);
        let text = encode_all(&registries);
        let family = "# HELP sales Sales.\n# TYPE sales counter\n\
                      sales_total{service=\"gateway\"} 1\nsales_total{service=\"consumer\"} 1\n";
        assert!(text.contains(family), "{text}");
        assert_eq!(text.matches("# TYPE blackfriday_limit gauge").count(), 1, "{text}");
        assert!(text.contains("of_gateway{") && text.contains("of_consumer{"), "{text}");
        assert_eq!(text.matches("process_open_fds{").count(), 1, "a process has its own once: {text}");
        assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1, "{text}");
    }
}
