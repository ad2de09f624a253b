use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::metrics::types::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};
use prometheus_client::encoding::EncodeLabelSet;
use tokio::sync::Notify;

use super::served::Served;

/// The metrics of all pools.
pub(super) struct Metrics {
    known: Family<Target, Gauge>,
    in_flight: Family<Target, Gauge>,
    ejections: Family<Target, Counter>,
    usable: Family<ServiceLabels, Gauge>,
    durations: Family<Labels, Histogram>,
}

/// What is known of the writers of one pool altogether.
#[derive(Debug)]
pub(super) struct Gauges {
    pub(super) known: Gauge,
    pub(super) in_flight: Gauge,
    pub(super) ejections: Counter,
    target: &'static str,
    usable: Family<ServiceLabels, Gauge>,
    usable_counts: Mutex<[usize; 2]>,
    /// Told of every change of these counts.
    changed: Arc<Notify>,
    durations: Family<Labels, Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Target {
    target: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    target: &'static str,
    rpc_service: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    target: &'static str,
    rpc_method: &'static str,
    outcome: &'static str,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            usable: registry.gauges("blackfriday_writers_usable", "Writers that take events of a service"),
            known: registry.gauges("blackfriday_writers_known", "Addresses that the writers' names have"),
            in_flight: registry.gauges("blackfriday_writers_in_flight_events", "Events in flight to writers"),
            ejections: registry.counters("blackfriday_writer_ejections", "Times that a writer was left out"),
            durations: registry.durations("rpc_client_duration_seconds", "Duration of gRPC calls to writers"),
        }
    }

    /// Those of one pool, which has these services. `changed` hears when more or fewer writers are usable.
    pub(super) fn of(&self, target: &'static str, services: &[Served], changed: Arc<Notify>) -> Gauges {
        for served in services {
            self.usable.get_or_create(&ServiceLabels { target, rpc_service: served.name() }).set(0);
        }
        let label = Target { target };
        Gauges {
            known: self.known.get_or_create(&label).clone(),
            in_flight: self.in_flight.get_or_create(&label).clone(),
            ejections: self.ejections.get_or_create(&label).clone(),
            target,
            usable: self.usable.clone(),
            usable_counts: Mutex::default(),
            changed,
            durations: self.durations.clone(),
        }
    }
}

impl Gauges {
    /// Whether any writer is usable for any service.
    pub(super) fn is_usable(&self) -> bool {
        let counts = self.usable_counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().any(|count| *count > 0)
    }

    /// One writer more, or less, is usable for a service.
    pub(super) fn count_usable(&self, served: Served, more: bool) {
        let mut counts = self.usable_counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = &mut counts[served as usize];
        *count = if more { *count + 1 } else { count.saturating_sub(1) };
        let labels = ServiceLabels { target: self.target, rpc_service: served.name() };
        self.usable.get_or_create(&labels).set(i64::try_from(*count).unwrap_or(i64::MAX));
        drop(counts);
        self.changed.notify_one();
    }

    pub(super) fn called(&self, rpc_method: &'static str, outcome: &'static str, elapsed: Duration) {
        let labels = Labels { target: self.target, rpc_method, outcome };
        self.durations.get_or_create(&labels).observe(elapsed.as_secs_f64());
    }
}
