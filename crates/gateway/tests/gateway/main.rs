//! The gateway over real sockets, in front of a real relay and of writers that are a second implementation of their
//! wire; straight in front of such writers; and straight in front of real logs.

mod between;
mod both;
mod catalogue;
#[path = "../../../relay/tests/relay/client.rs"]
mod client;
mod events;
mod limits;
#[expect(dead_code, reason = "shared with the writer's tests, which use all of it")]
#[path = "../../../writer/tests/writer/log.rs"]
mod log;
mod manners;
mod memory;
mod one_hop;
mod proxy;
#[expect(dead_code, reason = "shared with the relay's tests, which use all of it")]
#[path = "../../../relay/tests/relay/test_writer.rs"]
mod test_writer;
mod upstream;

use std::net::SocketAddr;

use anyhow::Result;
use blackfriday_service::{Context, bind};
use blackfriday_stack::eventually;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::client::Http;
use crate::test_writer::{LIMIT, SALES, TestWriter, WEATHER};

/// A gateway in this process.
pub(crate) struct Gateway {
    pub(crate) http: Http,
    pub(crate) address: SocketAddr,
    pub(crate) context: Context,
    pub(crate) running: JoinHandle<Result<(), blackfriday_gateway::Error>>,
}

/// A relay in this process.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    pub(crate) context: Context,
    pub(crate) running: JoinHandle<Result<(), blackfriday_relay::Error>>,
}

impl Gateway {
    /// Starts one; `settings` are flags.
    pub(crate) fn start(settings: &[&str]) -> Result<Self> {
        let config = blackfriday_gateway::Config::try_parse_from(["gateway"].iter().chain(settings))?;
        let listener = bind(loopback())?;
        let address = listener.local_addr()?;
        let context = Context::new("gateway");
        let serve = |context| blackfriday_gateway::run(config, listener, context);
        let running = tokio::spawn(context.run(serve));
        Ok(Self { http: Http::to(address), address, context, running })
    }

    /// Starts one in front of this relay.
    pub(crate) fn before(relay: &Relay, settings: &[&str]) -> Result<Self> {
        let url = format!("http://{}", relay.address);
        Self::start(&[&["--relay-url", &url], settings].concat())
    }
}

impl Relay {
    /// Starts one in front of this writer, and waits until it is ready.
    pub(crate) async fn before(writer: &TestWriter) -> Result<Self> {
        Self::start_on(bind(loopback())?, writer.address).await
    }

    /// As `before`, but it takes the gateway for anybody.
    pub(crate) async fn untrusting(writer: &TestWriter) -> Result<Self> {
        Self::start_with(bind(loopback())?, writer.address, &[]).await
    }

    /// Starts one on this listener, in front of this writer, and waits until it is ready.
    pub(crate) async fn start_on(listener: TcpListener, writer: SocketAddr) -> Result<Self> {
        Self::start_with(listener, writer, &["--trust-hops"]).await
    }

    pub(crate) async fn start_with(
        listener: TcpListener,
        writer: SocketAddr,
        settings: &[&str],
    ) -> Result<Self> {
        let writer = writer.to_string();
        let flags = ["relay", "--writer-target", &writer, "--writer-resolve-interval-ms", "200"];
        let config = blackfriday_relay::Config::try_parse_from(flags.iter().chain(settings))?;
        let address = listener.local_addr()?;
        let context = Context::new("relay");
        let running = tokio::spawn(blackfriday_relay::run(config, listener, context.clone()));
        eventually(LIMIT, async || usable(&context, "relay")[0] == 1).await?;
        if !settings.contains(&"--weather-kafka-target") {
            eventually(LIMIT, async || usable(&context, "relay")[1] == 1).await?;
        }
        Ok(Self { address, context, running })
    }
}

/// Writers that take events of each service.
pub(crate) fn usable(context: &Context, service: &str) -> [u32; 2] {
    usable_of(context, service, "writer")
}

/// Writers of this target that take events of each service.
pub(crate) fn usable_of(context: &Context, service: &str, target: &str) -> [u32; 2] {
    let text = context.registry.encode();
    [SALES, WEATHER].map(|rpc| {
        let labels = format!("service=\"{service}\",target=\"{target}\",rpc_service=\"{rpc}\"");
        let name = format!("blackfriday_writers_usable{{{labels}}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_default()
    })
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
