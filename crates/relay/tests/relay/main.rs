//! The relay over real sockets, between a real HTTP client and writers that are a second implementation of their wire.

mod answers;
mod balance;
mod both;
mod client;
mod deadlines;
mod health;
mod test_writer;
mod unknown;

use std::net::SocketAddr;

use anyhow::Result;
use blackfriday_relay::{Config, run};
use blackfriday_service::{Context, bind};
use blackfriday_stack::eventually;
use clap::Parser;
use tokio::task::JoinHandle;

use crate::client::Http;
use crate::test_writer::{LIMIT, SALES, WEATHER};

/// A relay in this process.
pub(crate) struct Relay {
    pub(crate) http: Http,
    pub(crate) address: SocketAddr,
    pub(crate) context: Context,
    pub(crate) running: JoinHandle<Result<(), blackfriday_relay::Error>>,
}

impl Relay {
    /// Starts one in front of these writers; `settings` are flags.
    pub(crate) fn start(writers: &[SocketAddr], settings: &[&str]) -> Result<Self> {
        let target = writers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let flags = ["blackfriday-relay", "--writer-target", &target, "--writer-resolve-interval-ms", "200"];
        let config = Config::try_parse_from(flags.iter().chain(settings))?;
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = listener.local_addr()?;
        let context = Context::new("relay");
        let running = tokio::spawn(run(config, listener, context.clone()));
        Ok(Self { http: Http::to(address), address, context, running })
    }

    /// Starts one and waits until it is ready.
    pub(crate) async fn ready(writers: &[SocketAddr], settings: &[&str]) -> Result<Self> {
        let relay = Self::start(writers, settings)?;
        // The condition is there as soon as the relay runs, and missing until a writer is reached.
        let count = u32::try_from(writers.len())?;
        let all_usable = async || relay.usable() == Some(count.into());
        eventually(LIMIT, all_usable).await?;
        eventually(LIMIT, async || relay.context.readiness.is_ready()).await?;
        Ok(relay)
    }

    /// Writers that take events of each service.
    pub(crate) fn usable(&self) -> Option<f64> {
        let of = |service| self.usable_for(service);
        of(SALES).filter(|count| Some(*count) == of(WEATHER))
    }

    /// Writers that take events of this service.
    pub(crate) fn usable_for(&self, service: &str) -> Option<f64> {
        self.usable_of("writer", service)
    }

    /// Writers of this target that take events of this service.
    pub(crate) fn usable_of(&self, target: &str, service: &str) -> Option<f64> {
        let labels = format!("service=\"relay\",target=\"{target}\",rpc_service=\"{service}\"");
        let name = format!("blackfriday_writers_usable{{{labels}}} ");
        let text = self.context.registry.encode();
        text.lines().find_map(|line| line.strip_prefix(&name))?.parse().ok()
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let text = self.context.registry.encode();
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")))?;
        line.rsplit(' ').next()?.parse().ok()
    }
}
