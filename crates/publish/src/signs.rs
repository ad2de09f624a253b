use blackfriday_broker::{Reasons, SALES, WEATHER};
use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::metrics::types::family::Family;
use blackfriday_telemetry::metrics::types::gauge::Gauge;
use prometheus_client::encoding::EncodeLabelSet;
use tokio::sync::watch;

/// What a publisher can take, followed. Metrics say the same.
pub struct Signs {
    available: watch::Receiver<bool>,
    topics: watch::Receiver<Reasons>,
    available_gauge: Gauge,
    refusing: Family<Topic, Gauge>,
}

/// What a publisher can take at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takes {
    /// The broker can be reached.
    pub broker: bool,
    /// The topic of sales takes records, as far as is known.
    pub sales: bool,
    /// Likewise that of weather reports.
    pub weather: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Topic {
    messaging_destination_name: &'static str,
}

impl Signs {
    pub(crate) fn new(
        available: watch::Receiver<bool>,
        topics: watch::Receiver<Reasons>,
        registry: &Registry,
    ) -> Self {
        Self {
            available,
            topics,
            available_gauge: registry
                .gauge("blackfriday_broker_available", "1 while the broker can be reached"),
            refusing: registry.gauges(
                "blackfriday_publish_refusing_topics",
                "1 while a topic takes no records although the broker is there",
            ),
        }
    }

    /// What it takes now; [`Signs::changed`] then waits for what comes after this.
    pub fn read(&mut self) -> Takes {
        let broker = *self.available.borrow_and_update();
        self.available_gauge.set(i64::from(broker));
        let reasons = self.topics.borrow_and_update().clone();
        let takes_records = |topic| {
            let takes = !reasons.contains_key(topic);
            let label = Topic { messaging_destination_name: topic };
            self.refusing.get_or_create(&label).set(i64::from(!takes));
            takes
        };
        Takes { broker, sales: takes_records(SALES), weather: takes_records(WEATHER) }
    }

    /// Waits for a change. Never ends once the publisher is gone, as it changes nothing more.
    pub async fn changed(&mut self) {
        let changed = tokio::select! {
            changed = self.available.changed() => changed,
            changed = self.topics.changed() => changed,
        };
        if changed.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
