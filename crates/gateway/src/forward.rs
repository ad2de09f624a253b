use std::time::Duration;

use blackfriday_intake::{Reported, Upstream, Writers};
use blackfriday_proto::{EventOutcome, SaleCommand, WeatherCommand};
use blackfriday_service::Context;
use tokio::time::Instant;

use crate::config::{Config, UpstreamKind};
use crate::error::Error;
use crate::log::Log;
use crate::relay::Relay;

/// Where events go from the gateway.
pub(crate) enum Forward {
    Relay(Box<Relay>),
    Writers(Writers),
    Log(Log),
}

impl Forward {
    pub(crate) fn new(config: &Config, context: &Context) -> Result<Self, Error> {
        Ok(match config.upstream {
            UpstreamKind::Relay => Self::Relay(Box::new(Relay::new(&config.relay_url)?)),
            UpstreamKind::Writer => {
                Self::Writers(Writers::start(&config.writers, context).map_err(Error::Target)?)
            }
            UpstreamKind::Log => Self::Log(Log::start(config, context)?),
        })
    }

    /// Waits until nothing is on its way any more. For the stop, when no more events are taken.
    pub(crate) async fn flush(&self, limit: Duration) {
        if let Self::Log(log) = self {
            log.flush(limit).await;
        }
    }
}

impl Upstream for Forward {
    async fn sales(&self, commands: Vec<SaleCommand>, deadline: Instant) -> Vec<EventOutcome> {
        match self {
            Self::Relay(relay) => relay.sales(commands, deadline).await,
            Self::Writers(writers) => writers.sales(commands, deadline).await,
            Self::Log(log) => log.sales(commands, deadline).await,
        }
    }

    async fn weather(&self, command: WeatherCommand, deadline: Instant) -> Reported {
        match self {
            Self::Relay(relay) => relay.weather(command, deadline).await,
            Self::Writers(writers) => writers.weather(command, deadline).await,
            Self::Log(log) => log.weather(command, deadline).await,
        }
    }
}
