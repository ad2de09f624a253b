use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::metrics::types::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};
use prometheus_client::encoding::EncodeLabelSet;
use tokio::sync::watch;

/// What is known of the writers altogether.
#[derive(Debug)]
pub(super) struct Gauges {
    pub(super) known: Gauge,
    pub(super) in_flight: Gauge,
    pub(super) ejections: Counter,
    usable: Gauge,
    usable_count: Mutex<usize>,
    any_usable: watch::Sender<bool>,
    durations: Family<Labels, Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    rpc_method: &'static str,
    outcome: &'static str,
}

impl Gauges {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            known: registry.gauge("blackfriday_writers_known", "Addresses that the writers' names have"),
            usable: registry.gauge("blackfriday_writers_usable", "Writers that take events"),
            in_flight: registry.gauge("blackfriday_writers_in_flight_events", "Events in flight to writers"),
            ejections: registry.counter("blackfriday_writer_ejections", "Times that a writer was left out"),
            usable_count: Mutex::default(),
            any_usable: watch::Sender::new(false),
            durations: registry.durations("rpc_client_duration_seconds", "Duration of gRPC calls to writers"),
        }
    }

    /// Follows whether any writer is usable.
    pub(super) fn any_usable(&self) -> watch::Receiver<bool> {
        self.any_usable.subscribe()
    }

    /// One writer more, or less, is usable.
    pub(super) fn count_usable(&self, more: bool) {
        let mut count = self.usable_count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = if more { *count + 1 } else { count.saturating_sub(1) };
        self.usable.set(i64::try_from(*count).unwrap_or(i64::MAX));
        self.any_usable.send_replace(*count > 0);
    }

    pub(super) fn called(&self, rpc_method: &'static str, outcome: &'static str, elapsed: Duration) {
        self.durations.get_or_create(&Labels { rpc_method, outcome }).observe(elapsed.as_secs_f64());
    }
}
