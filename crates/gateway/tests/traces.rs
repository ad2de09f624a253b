//! Trace contexts over the hops while spans are recorded. In a process of its own: telemetry is set up once in each.

#[expect(dead_code, reason = "shared with the relay's tests, which use all of it")]
#[path = "../../relay/tests/relay/client.rs"]
mod client;
#[path = "traces/recording.rs"]
mod recording;
#[expect(dead_code, reason = "shared with the relay's tests, which use all of it")]
#[path = "../../relay/tests/relay/test_writer.rs"]
mod test_writer;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use blackfriday_telemetry::context::TraceParent;

use crate::client::{sale, sales};
use crate::recording::{contexts, pipeline, record};
use crate::test_writer::TestWriter;

const JSON: (&str, &str) = ("content-type", "application/json");
const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

#[tokio::test]
async fn every_sampled_sale_has_a_trace_of_its_own_or_continues_its_clients() -> Result<()> {
    let _spans = record("1")?;
    let writer = TestWriter::start()?;
    let [_, http] = pipeline(&writer).await?;

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
