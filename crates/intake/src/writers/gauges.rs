use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::metrics::types::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};
use prometheus_client::encoding::EncodeLabelSet;
use tokio::sync::watch;

use super::served::Served;

/// What is known of the writers altogether.
#[derive(Debug)]
pub(super) struct Gauges {
    pub(super) known: Gauge,
    pub(super) in_flight: Gauge,
    pub(super) ejections: Counter,
    usable: Family<ServiceLabels, Gauge>,
    usable_counts: Mutex<[usize; 2]>,
    any_usable: watch::Sender<bool>,
    durations: Family<Labels, Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    rpc_service: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    rpc_method: &'static str,
    outcome: &'static str,
}

impl Gauges {
    pub(super) fn new(registry: &Registry) -> Self {
        let usable: Family<ServiceLabels, Gauge> =
            registry.gauges("blackfriday_writers_usable", "Writers that take events of a service");
        for served in Served::ALL {
            usable.get_or_create(&ServiceLabels { rpc_service: served.name() }).set(0);
        }
        Self {
            usable,
            known: registry.gauge("blackfriday_writers_known", "Addresses that the writers' names have"),
            in_flight: registry.gauge("blackfriday_writers_in_flight_events", "Events in flight to writers"),
            ejections: registry.counter("blackfriday_writer_ejections", "Times that a writer was left out"),
            usable_counts: Mutex::default(),
            any_usable: watch::Sender::new(false),
            durations: registry.durations("rpc_client_duration_seconds", "Duration of gRPC calls to writers"),
        }
    }

    /// Follows whether any writer is usable for any service.
    pub(super) fn any_usable(&self) -> watch::Receiver<bool> {
        self.any_usable.subscribe()
    }

    /// One writer more, or less, is usable for a service.
    pub(super) fn count_usable(&self, served: Served, more: bool) {
        let mut counts = self.usable_counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = &mut counts[served as usize];
        *count = if more { *count + 1 } else { count.saturating_sub(1) };
        let gauge = self.usable.get_or_create(&ServiceLabels { rpc_service: served.name() });
        gauge.set(i64::try_from(*count).unwrap_or(i64::MAX));
        self.any_usable.send_replace(counts.iter().any(|count| *count > 0));
    }

    pub(super) fn called(&self, rpc_method: &'static str, outcome: &'static str, elapsed: Duration) {
        self.durations.get_or_create(&Labels { rpc_method, outcome }).observe(elapsed.as_secs_f64());
    }
}
