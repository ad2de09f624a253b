use std::sync::Arc;
use std::time::Instant;

use blackfriday_telemetry::metrics::types::counter::Counter;
use blackfriday_telemetry::metrics::types::gauge::Gauge;
use blackfriday_telemetry::metrics::types::histogram::Histogram;
use blackfriday_telemetry::metrics::{DURATION_BUCKETS, Registry};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The room for records on their way. Clones share it.
#[derive(Clone)]
pub(crate) struct Room {
    places: Arc<Semaphore>,
    metrics: Metrics,
}

#[derive(Clone)]
struct Metrics {
    published: Counter,
    failed: Counter,
    in_flight: Gauge,
    duration: Histogram,
}

/// Records on their way. When it is dropped, also because the client gave up, what is not acknowledged counts as failed.
pub(crate) struct InFlight<'a> {
    metrics: &'a Metrics,
    records: usize,
    pub(crate) acknowledged: usize,
    started: Instant,
    _permits: SemaphorePermit<'a>,
}

impl Room {
    pub(crate) fn new(max_records: usize, registry: &Registry) -> Self {
        let metrics = Metrics {
            published: registry
                .counter("messaging_client_sent_messages", "Records acknowledged by the broker"),
            failed: registry.counter("messaging_client_failed_messages", "Records not acknowledged"),
            in_flight: registry
                .gauge("blackfriday_publish_in_flight_records", "Records on their way to the broker"),
            duration: registry.histogram(
                "messaging_client_operation_duration_seconds",
                "From handing a batch to the producer to its last outcome",
                &DURATION_BUCKETS,
            ),
        };
        let most = max_records.min(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(most));
        let free = Arc::clone(&places);
        registry.limit("max-in-flight-records", most, move || most - free.available_permits());
        Self { places, metrics }
    }

    /// Room for so many records, or none.
    pub(crate) fn begin(&self, records: usize) -> Option<InFlight<'_>> {
        let permits = u32::try_from(records).ok().and_then(|count| self.places.try_acquire_many(count).ok());
        let Some(permits) = permits else {
            self.metrics.failed.inc_by(records as u64);
            return None;
        };
        self.metrics.in_flight.inc_by(gauge_of(records));
        let (metrics, started) = (&self.metrics, Instant::now());
        Some(InFlight { metrics, records, acknowledged: 0, started, _permits: permits })
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec_by(gauge_of(self.records));
        self.metrics.duration.observe(self.started.elapsed().as_secs_f64());
        self.metrics.published.inc_by(self.acknowledged as u64);
        self.metrics.failed.inc_by((self.records - self.acknowledged) as u64);
    }
}

fn gauge_of(records: usize) -> i64 {
    i64::try_from(records).unwrap_or(i64::MAX)
}
