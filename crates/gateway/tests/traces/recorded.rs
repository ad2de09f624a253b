//! What the tests of tracing share: a gateway, a relay and a writer in a process that records spans. Telemetry is set up
//! once in a process, so each of these tests has one of its own.

#[expect(dead_code, reason = "shared with the relay's tests, which use all of it")]
#[path = "../../../relay/tests/relay/client.rs"]
pub(crate) mod client;
#[expect(dead_code, reason = "shared with the relay's tests, which use all of it")]
#[path = "../../../relay/tests/relay/test_writer.rs"]
pub(crate) mod test_writer;

use std::net::SocketAddr;

use anyhow::Result;
use blackfriday_service::{Context, bind};
use blackfriday_stack::{eventually, free_port};
use blackfriday_telemetry::context::TraceParent;
use blackfriday_telemetry::{TelemetryConfig, TelemetryGuard};
use clap::{Args, Command, FromArgMatches, Parser};

use self::client::Http;
use self::test_writer::{LIMIT, SALES, TestWriter, WEATHER};

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

/// Gateway and relay before a writer.
pub(crate) struct Recorded {
    pub(crate) gateway: Http,
    pub(crate) relay: Http,
    pub(crate) writer: TestWriter,
    _spans: TelemetryGuard,
}

impl Recorded {
    /// Starts them; this share of the traces that begin here is sampled. Nobody takes the spans, which is no concern of
    /// the events'.
    pub(crate) async fn start(ratio: &str) -> Result<Self> {
        let spans = record(ratio)?;
        let writer = TestWriter::start()?;
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let (relay, gateway) = (bind(loopback)?, bind(loopback)?);
        let (relay_address, gateway_address) = (relay.local_addr()?, gateway.local_addr()?);

        let target = writer.address.to_string();
        let flags = ["relay", "--trust-hops", "--writer-target", &target];
        let config = blackfriday_relay::Config::try_parse_from(flags)?;
        let context = Context::new("relay");
        tokio::spawn(blackfriday_relay::run(config, relay, context.clone()));
        let usable = [SALES, WEATHER].map(|rpc| {
            format!(
                "blackfriday_writers_usable{{service=\"relay\",target=\"writer\",rpc_service=\"{rpc}\"}} 1"
            )
        });
        let is_ready = async || usable.iter().all(|line| context.registry.encode().contains(line));
        eventually(LIMIT, is_ready).await?;

        let relay_url = format!("http://{relay_address}");
        let config = blackfriday_gateway::Config::try_parse_from(["gateway", "--relay-url", &relay_url])?;
        tokio::spawn(blackfriday_gateway::run(config, gateway, Context::new("gateway")));
        Ok(Self { gateway: Http::to(gateway_address), relay: Http::to(relay_address), writer, _spans: spans })
    }

    /// The trace contexts of the sales that arrived at the writer, in order.
    pub(crate) fn contexts(&self) -> Result<Vec<Option<TraceParent>>> {
        let texts = self.writer.seen.sales().into_iter().map(|sale| sale.traceparent);
        texts.map(|text| if text.is_empty() { Ok(None) } else { Ok(Some(text.parse()?)) }).collect()
    }
}

fn record(ratio: &str) -> Result<TelemetryGuard> {
    let nobody = format!("http://127.0.0.1:{}", free_port()?);
    let command = TelemetryConfig::augment_args(Command::new("test"));
    let flags = ["test", "--otlp-endpoint", &nobody, "--trace-sample-ratio", ratio];
    let config = TelemetryConfig::from_arg_matches(&command.try_get_matches_from(flags)?)?;
    Ok(blackfriday_telemetry::init("test", &config)?)
}
