//! `grpc.health.v1`: each service serves while the broker is there and its own topic takes records; the whole server, like
//! `/readyz`, while at least one of them does. A topic that takes no records takes its own service out of traffic, not the
//! other; readiness and a metric name it.

use blackfriday_publish::Signs;
use blackfriday_service::{Condition, Readiness, Shutdown};
use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

const SERVER: &str = "";
const SALES: &str = "blackfriday.ProductSaleService";
const WEATHER: &str = "clima.WeatherService";

/// What health depends on, and what readiness does.
pub(crate) struct Health {
    ready: watch::Receiver<bool>,
    signs: Signs,
    broker: Condition,
    /// Sales first.
    topics: [Condition; 2],
}

impl Health {
    pub(crate) fn new(readiness: &Readiness, signs: Signs) -> Self {
        let broker = readiness.condition("broker");
        let topics = readiness.alternatives(["sales topic", "weather topic"]);
        for topic in &topics {
            topic.set(true);
        }
        Self { ready: readiness.watch(), signs, broker, topics }
    }

    /// Follows the signs until the shutdown. Then every watcher gets that and its stream ends, because an open stream would
    /// hold up the drain.
    pub(crate) async fn follow(mut self, mut reporter: HealthReporter, shutdown: Shutdown) {
        while !shutdown.is_begun() {
            report(&reporter, self.read()).await;
            tokio::select! {
                () = self.changed() => {}
                () = shutdown.begun() => {}
            }
        }
        begin(&reporter).await;
        for name in [SERVER, SALES, WEATHER] {
            reporter.clear_service_status(name).await;
        }
    }

    /// Sets readiness, and says of each name whether it serves.
    fn read(&mut self) -> [(&'static str, bool); 3] {
        let takes = self.signs.read();
        let [sales, weather] = &self.topics;
        self.broker.set(takes.broker);
        sales.set(takes.sales);
        weather.set(takes.weather);
        // Of the changes that were just made, too.
        let ready = *self.ready.borrow_and_update();
        [(SERVER, ready), (SALES, takes.broker && takes.sales), (WEATHER, takes.broker && takes.weather)]
    }

    async fn changed(&mut self) {
        let changed = tokio::select! {
            changed = self.ready.changed() => changed,
            () = self.signs.changed() => Ok(()),
        };
        // A process whose readiness has ended changes nothing more.
        if changed.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Says that nothing serves yet: a new reporter says that it does.
pub(crate) async fn begin(reporter: &HealthReporter) {
    report(reporter, [SERVER, SALES, WEATHER].map(|name| (name, false))).await;
}

async fn report(reporter: &HealthReporter, services: [(&'static str, bool); 3]) {
    for (name, serving) in services {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        reporter.set_service_status(name, status).await;
    }
}
