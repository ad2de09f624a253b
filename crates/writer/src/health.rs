//! `grpc.health.v1`: each service serves while the broker is there and its own topic takes records; the whole server, like
//! `/readyz`, while at least one of them does. A topic that takes no records takes its own service out of traffic, not the
//! other; readiness and a metric name it.

use blackfriday_publish::{self as publish, Publisher, Reasons};
use blackfriday_service::{Condition, Readiness, Shutdown};
use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::metrics::types::family::Family;
use blackfriday_telemetry::metrics::types::gauge::Gauge;
use prometheus_client::encoding::EncodeLabelSet;
use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

const SERVER: &str = "";
const SALES: &str = "blackfriday.ProductSaleService";
const WEATHER: &str = "clima.WeatherService";

/// What health depends on.
pub(crate) struct Signs {
    ready: watch::Receiver<bool>,
    available: watch::Receiver<bool>,
    topics: watch::Receiver<Reasons>,
    /// Sales first.
    named: [(&'static str, Condition); 2],
    refusing: Family<Topic, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Topic {
    messaging_destination_name: &'static str,
}

impl Signs {
    pub(crate) fn new(readiness: &Readiness, publisher: &Publisher, registry: &Registry) -> Self {
        let [sales, weather] = readiness.alternatives(["sales topic", "weather topic"]);
        sales.set(true);
        weather.set(true);
        Self {
            ready: readiness.watch(),
            available: publisher.watch_availability(),
            topics: publisher.watch_topics(),
            named: [(publish::SALES, sales), (publish::WEATHER, weather)],
            refusing: registry.gauges(
                "blackfriday_writer_refusing_topics",
                "1 while a topic takes no records although the broker is there",
            ),
        }
    }

    /// Sets readiness and the metric, and says of each name whether it serves.
    fn read(&mut self) -> [(&'static str, bool); 3] {
        let available = *self.available.borrow_and_update();
        let reasons = self.topics.borrow_and_update().clone();
        let [sales, weather] = self.named.each_ref().map(|(topic, condition)| {
            let takes_records = !reasons.contains_key(*topic);
            condition.set(takes_records);
            let label = Topic { messaging_destination_name: topic };
            self.refusing.get_or_create(&label).set(i64::from(!takes_records));
            available && takes_records
        });
        // Of the changes that were just made, too.
        let ready = *self.ready.borrow_and_update();
        [(SERVER, ready), (SALES, sales), (WEATHER, weather)]
    }

    async fn changed(&mut self) {
        let changed = tokio::select! {
            changed = self.available.changed() => changed,
            changed = self.ready.changed() => changed,
            changed = self.topics.changed() => changed,
        };
        // A producer that ended changes nothing more; the process ends with it.
        if changed.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Says that nothing serves yet: a new reporter says that it does.
pub(crate) async fn begin(reporter: &HealthReporter) {
    report(reporter, [SERVER, SALES, WEATHER].map(|name| (name, false))).await;
}

/// Follows the signs until the shutdown. Then every watcher gets that and its stream ends, because an open stream would hold up
/// the drain.
pub(crate) async fn follow(mut reporter: HealthReporter, mut signs: Signs, shutdown: Shutdown) {
    while !shutdown.is_begun() {
        report(&reporter, signs.read()).await;
        tokio::select! {
            () = signs.changed() => {}
            () = shutdown.begun() => {}
        }
    }
    begin(&reporter).await;
    for name in [SERVER, SALES, WEATHER] {
        reporter.clear_service_status(name).await;
    }
}

async fn report(reporter: &HealthReporter, services: [(&'static str, bool); 3]) {
    for (name, serving) in services {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        reporter.set_service_status(name, status).await;
    }
}
