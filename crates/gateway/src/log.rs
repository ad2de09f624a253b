//! The way straight into the event log: this process publishes what it takes, as a writer does.
//!
//! Weather reports have the same log, or the writers of their own where there are targets for those.
//!
//! Invariant: an event is accepted when the broker has acknowledged its record, and a sale is never sent again from here;
//! what the deadline leaves open is unknown.

use std::time::Duration;

use blackfriday_intake::{Reported, Upstream, WeatherWriters};
use blackfriday_proto::{EventOutcome, SaleCommand, WeatherCommand};
use blackfriday_publish::{Publisher, Signs};
use blackfriday_service::{Condition, Context};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::config::Config;
use crate::error::Error;

/// The event log.
pub(crate) struct Log {
    publisher: Publisher,
    weather: Option<WeatherWriters>,
    _ready: AbortOnDropHandle<()>,
}

impl Log {
    /// Makes a producer that looks for the broker in the background, and begins to look for the writers of weather, where
    /// there are any. While neither sales nor weather reports can be taken, the service is not ready.
    ///
    /// # Errors
    /// A setting is refused.
    pub(crate) fn start(config: &Config, context: &Context) -> Result<Self, Error> {
        let batch = config.intake.max_batch_sales.max(config.intake.lane_batch_sales);
        config.publish.check_batch(batch).map_err(Error::Publisher)?;
        let publisher = Publisher::new(&config.publish, &context.registry).map_err(Error::Publisher)?;
        let [sales, reports] = context.readiness.alternatives(["sales", "weather"]);
        // Reports go there, too, unless they have writers: then these are said instead.
        for name in ["sales", "weather"] {
            context.readiness.locate(name, config.publish.log.servers());
        }
        let weather = WeatherWriters::start(&config.writers, context, reports.clone());
        let weather = weather.map_err(Error::Target)?;
        let reports = weather.is_none().then_some(reports);
        let ready = follow(publisher.signs(&context.registry), sales, reports);
        Ok(Self { publisher, weather, _ready: AbortOnDropHandle::new(tokio::spawn(ready)) })
    }

    /// Waits until no record is on its way any more.
    pub(crate) async fn flush(&self, limit: Duration) {
        if let Err(error) = self.publisher.flush(limit).await {
            tracing::warn!(%error, "records were still on their way at the drain limit");
        }
    }
}

impl Upstream for Log {
    async fn sales(&self, commands: Vec<SaleCommand>, deadline: Instant) -> Vec<EventOutcome> {
        self.publisher.sales(commands, deadline).await
    }

    async fn weather(&self, command: WeatherCommand, deadline: Instant) -> Reported {
        match &self.weather {
            Some(writers) => writers.publish(command, deadline).await,
            None => Reported::of(self.publisher.weather(command, deadline).await),
        }
    }
}

/// Keeps the conditions true while the log takes sales, and reports where they go there.
async fn follow(mut signs: Signs, sales: Condition, reports: Option<Condition>) {
    loop {
        let takes = signs.read();
        sales.set(takes.broker && takes.sales);
        if let Some(reports) = &reports {
            reports.set(takes.broker && takes.weather);
        }
        signs.changed().await;
    }
}
