//! Who decides what is recorded. In a process of its own: telemetry is set up once in each.

#[path = "traces/recorded.rs"]
mod recorded;

use anyhow::Result;
use blackfriday_telemetry::context::TraceParent;

use crate::recorded::client::{sale, sales};
use crate::recorded::{JSON, Recorded};

const SAMPLED: (&str, &str) = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
const REPORT: &str = r#"{"country":"GT","weather":"Rainy"}"#;

/// A share of zero is zero, whatever clients send to gateway or relay; only between our own hops the decision travels.
#[tokio::test]
async fn a_client_does_not_decide_what_is_recorded() -> Result<()> {
    let recorded = Recorded::start("0").await?;
    let Recorded { gateway, relay, writer, .. } = &recorded;
    for (http, one, many, weather) in
        [(gateway, "/venta", "/ventas", "/input"), (relay, "/procesar", "/procesar", "/publicar")]
    {
        assert_eq!(http.send(one, &[JSON, SAMPLED], sale("a")).await?.status, 202);
        assert_eq!(http.send(many, &[JSON, SAMPLED], sales(2)).await?.status, 202);
        assert_eq!(http.send(weather, &[JSON, SAMPLED], REPORT).await?.status, 202);
    }
    let arrived = recorded.contexts()?;
    assert!(arrived.len() == 6 && arrived.iter().all(Option::is_none), "{arrived:?}");
    assert!(writer.seen.weather().iter().all(|report| report.traceparent.is_empty()));

    relay.send("/procesar", &[JSON, SAMPLED, ("x-deadline-ms", "4000")], sale("hop")).await?;
    let hop = recorded.contexts()?.pop().flatten().map(|context| context.trace_id());
    assert_eq!(hop, Some(SAMPLED.1.parse::<TraceParent>()?.trace_id()));
    Ok(())
}
