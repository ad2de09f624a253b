use blackfriday_intake::{Upstream, Writers};
use blackfriday_proto::{EventOutcome, SaleCommand, WeatherCommand};
use blackfriday_service::Context;
use tokio::time::Instant;

use crate::config::{Config, UpstreamKind};
use crate::error::Error;
use crate::relay::Relay;

/// Where events go from the gateway.
pub(crate) enum Forward {
    Relay(Box<Relay>),
    Writers(Writers),
}

impl Forward {
    pub(crate) fn new(config: &Config, context: &Context) -> Result<Self, Error> {
        Ok(match config.upstream {
            UpstreamKind::Relay => Self::Relay(Box::new(Relay::new(&config.relay_url)?)),
            UpstreamKind::Writer => {
                Self::Writers(Writers::start(&config.writers, context).map_err(Error::Target)?)
            }
        })
    }
}

impl Upstream for Forward {
    async fn sales(&self, commands: Vec<SaleCommand>, deadline: Instant) -> Vec<EventOutcome> {
        match self {
            Self::Relay(relay) => relay.sales(commands, deadline).await,
            Self::Writers(writers) => writers.sales(commands, deadline).await,
        }
    }

    async fn weather(&self, command: WeatherCommand, deadline: Instant) -> EventOutcome {
        match self {
            Self::Relay(relay) => relay.weather(command, deadline).await,
            Self::Writers(writers) => writers.weather(command, deadline).await,
        }
    }
}
