use std::net::SocketAddr;

use anyhow::Result;
use blackfriday_service::{Context, bind};
use blackfriday_stack::{eventually, free_port};
use blackfriday_telemetry::context::TraceParent;
use blackfriday_telemetry::{TelemetryConfig, TelemetryGuard};
use clap::{Args, Command, FromArgMatches, Parser};

use crate::client::Http;
use crate::test_writer::{LIMIT, TestWriter};

/// The trace contexts that arrived at the writer, in order.
pub(crate) fn contexts(writer: &TestWriter) -> Result<Vec<Option<TraceParent>>> {
    let texts = writer.seen.sales().into_iter().map(|sale| sale.traceparent);
    texts.map(|text| if text.is_empty() { Ok(None) } else { Ok(Some(text.parse()?)) }).collect()
}

/// Samples this share of the roots. Nobody takes the spans, which is no concern of the sales'.
pub(crate) fn record(ratio: &str) -> Result<TelemetryGuard> {
    let nobody = format!("http://127.0.0.1:{}", free_port()?);
    let command = TelemetryConfig::augment_args(Command::new("test"));
    let flags = ["test", "--otlp-endpoint", &nobody, "--trace-sample-ratio", ratio];
    let config = TelemetryConfig::from_arg_matches(&command.try_get_matches_from(flags)?)?;
    Ok(blackfriday_telemetry::init("test", &config)?)
}

/// Relay and gateway before this writer.
pub(crate) async fn pipeline(writer: &TestWriter) -> Result<[Http; 2]> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let relay = bind(loopback)?;
    let relay_address = relay.local_addr()?;
    let relay_url = format!("http://{relay_address}");
    let target = writer.address.to_string();
    let config = blackfriday_relay::Config::try_parse_from(["relay", "--writer-target", &target])?;
    let context = Context::new("relay");
    tokio::spawn(blackfriday_relay::run(config, relay, context.clone()));
    let usable = "blackfriday_writers_usable{service=\"relay\"} 1";
    eventually(LIMIT, async || context.registry.encode().contains(usable)).await?;

    let gateway = bind(loopback)?;
    let http = Http::to(gateway.local_addr()?);
    let config = blackfriday_gateway::Config::try_parse_from(["gateway", "--relay-url", &relay_url])?;
    tokio::spawn(blackfriday_gateway::run(config, gateway, Context::new("gateway")));
    Ok([Http::to(relay_address), http])
}
