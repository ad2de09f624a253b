//! Trace contexts over the hops while spans are recorded. In a process of its own: telemetry is set up once in each.

#[expect(dead_code, reason = "shared with the relay's tests, which use all of it")]
#[path = "../../relay/tests/relay/client.rs"]
mod client;
#[expect(dead_code, reason = "shared with the relay's tests, which use all of it")]
#[path = "../../relay/tests/relay/test_writer.rs"]
mod test_writer;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use blackfriday_service::{Context, bind};
use blackfriday_stack::{eventually, free_port};
use blackfriday_telemetry::context::TraceParent;
use blackfriday_telemetry::{TelemetryConfig, TelemetryGuard};
use clap::{Args, Command, FromArgMatches, Parser};

use crate::client::{Http, sale, sales};
use crate::test_writer::{LIMIT, TestWriter};

const JSON: (&str, &str) = ("content-type", "application/json");
const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

#[tokio::test]
async fn every_sampled_sale_has_a_trace_of_its_own_or_continues_its_clients() -> Result<()> {
    let _spans = record_everything()?;
    let writer = TestWriter::start()?;
    let http = pipeline(&writer).await?;

    http.send("/venta", &[JSON, ("traceparent", SAMPLED)], sale("continued")).await?;
    let continued = contexts(&writer)?.pop().flatten().context("it is sampled")?;
    let client: TraceParent = SAMPLED.parse()?;
    assert_eq!(continued.trace_id(), client.trace_id());
    assert_ne!(continued.span_id(), client.span_id(), "the parent is a span of ours");

    http.send("/venta", &[JSON, ("traceparent", UNSAMPLED)], sale("unsampled")).await?;
    assert_eq!(contexts(&writer)?.pop(), Some(None));

    http.send("/ventas", &[JSON, ("traceparent", SAMPLED)], sales(2)).await?;
    let batch: Vec<_> = contexts(&writer)?.into_iter().skip(2).flatten().collect();
    assert!(batch.len() == 2 && batch.iter().all(|sale| sale.trace_id() == client.trace_id()));

    http.post("/ventas", sales(3)).await?;
    let roots: BTreeSet<_> = contexts(&writer)?.into_iter().skip(4).flatten().map(|c| c.trace_id()).collect();
    assert_eq!(roots.len(), 3, "a batch mixes stories");
    Ok(())
}

/// The trace contexts that arrived at the writer, in order.
fn contexts(writer: &TestWriter) -> Result<Vec<Option<TraceParent>>> {
    let texts = writer.seen.sales().into_iter().map(|sale| sale.traceparent);
    texts.map(|text| if text.is_empty() { Ok(None) } else { Ok(Some(text.parse()?)) }).collect()
}

/// Samples every root. Nobody takes the spans, which is no concern of the sales'.
fn record_everything() -> Result<TelemetryGuard> {
    let nobody = format!("http://127.0.0.1:{}", free_port()?);
    let command = TelemetryConfig::augment_args(Command::new("test"));
    let flags = ["test", "--otlp-endpoint", &nobody, "--trace-sample-ratio", "1"];
    let config = TelemetryConfig::from_arg_matches(&command.try_get_matches_from(flags)?)?;
    Ok(blackfriday_telemetry::init("test", &config)?)
}

async fn pipeline(writer: &TestWriter) -> Result<Http> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let relay = bind(loopback)?;
    let relay_url = format!("http://{}", relay.local_addr()?);
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
    Ok(http)
}
