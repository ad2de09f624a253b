//! Trace contexts over the hops while spans are recorded. In a process of its own: telemetry is set up once in each.

#[path = "traces/recorded.rs"]
mod recorded;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use blackfriday_telemetry::context::TraceParent;

use crate::recorded::client::{sale, sales};
use crate::recorded::{JSON, Recorded};

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

#[tokio::test]
async fn every_sampled_sale_has_a_trace_of_its_own_or_continues_its_clients() -> Result<()> {
    let recorded = Recorded::start("1").await?;
    let http = &recorded.gateway;

    http.send("/venta", &[JSON, ("traceparent", SAMPLED)], sale("continued")).await?;
    let continued = recorded.contexts()?.pop().flatten().context("it is sampled")?;
    let client: TraceParent = SAMPLED.parse()?;
    assert_eq!(continued.trace_id(), client.trace_id());
    assert_ne!(continued.span_id(), client.span_id(), "the parent is a span of ours");

    http.send("/venta", &[JSON, ("traceparent", UNSAMPLED)], sale("unsampled")).await?;
    assert_eq!(recorded.contexts()?.pop(), Some(None));

    http.send("/ventas", &[JSON, ("traceparent", SAMPLED)], sales(2)).await?;
    let batch: Vec<_> = recorded.contexts()?.into_iter().skip(2).flatten().collect();
    assert!(batch.len() == 2 && batch.iter().all(|sale| sale.trace_id() == client.trace_id()));

    http.post("/ventas", sales(3)).await?;
    let roots: BTreeSet<_> =
        recorded.contexts()?.into_iter().skip(4).flatten().map(|c| c.trace_id()).collect();
    assert_eq!(roots.len(), 3, "a batch mixes stories");

    recorded.relay.send("/procesar", &[JSON, ("x-deadline-ms", "4000")], sale("undecided")).await?;
    assert_eq!(
        recorded.contexts()?.pop(),
        Some(None),
        "the hop before has decided, though it sends no context"
    );
    Ok(())
}
