//! Trace contexts on their way through the writer, each sale its own.

use anyhow::{Context, Result};
use blackfriday_proto::blackfriday::{ProductSaleBatchRequest, ProductSaleRequest};
use blackfriday_proto::clima::WeatherReport;
use blackfriday_stack::{Kafka, free_port};
use blackfriday_telemetry::context::TraceParent;
use blackfriday_telemetry::{LogFormat, TelemetryConfig, init};
use tonic::Request;

use crate::{Writer, accepted, log, sale};

const SPAN: &str = "00f067aa0ba902b7";

fn traceparent(trace: char, sampled: bool) -> String {
    format!("00-{}-{SPAN}-0{}", trace.to_string().repeat(32), u8::from(sampled))
}

#[tokio::test]
async fn each_sampled_event_has_a_span_of_its_own_whose_context_is_in_its_record() -> Result<()> {
    // Nobody listens there: the spans' contexts are made all the same. The test of the pipeline covers the whole story.
    let telemetry = TelemetryConfig {
        log_filter: Some("off".parse()?),
        log_format: LogFormat::Text,
        otlp_endpoint: Some(format!("http://127.0.0.1:{}", free_port()?)),
        trace_sample_ratio: 1.0,
    };
    let _telemetry = init("writer", &telemetry)?;
    let kafka = Kafka::start().await?;
    let writer = Writer::ready(&kafka, &[]).await?;
    let traced = |product: &str, traceparent: String| ProductSaleRequest { traceparent, ..sale(product) };
    let ventas = vec![
        traced("a", traceparent('a', true)),
        sale("without"),
        traced("unsampled", traceparent('b', false)),
        traced("c", traceparent('c', true)),
    ];
    let mut client = writer.sales().await?;
    let batch = client.procesar_ventas(ProductSaleBatchRequest { ventas }).await?.into_inner();
    assert_eq!(accepted(&batch.resultados).len(), 4);
    let metadata = |message, trace: &str| -> Result<Request<ProductSaleRequest>> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("traceparent", trace.parse()?);
        Ok(request)
    };
    client.procesar_venta(metadata(sale("d"), &traceparent('d', true))?).await?;
    let both = traced("e", traceparent('e', true));
    client.procesar_venta(metadata(both, &traceparent('d', true))?).await?;
    let report =
        WeatherReport { country: "GT".to_owned(), weather: "Rainy".to_owned(), ..Default::default() };
    let report = WeatherReport { traceparent: traceparent('f', true), ..report };
    writer.weather().await?.publicar(report).await?;

    let found = log::read(&kafka, "ventas").await?;
    let of = |product: &str| {
        let is =
            |found: &&log::Found| found.sale().is_ok_and(|sale| sale.draft.product_id.as_str() == product);
        found.iter().find(is).context("in the topic")
    };
    for product in ["a", "c", "d", "e"] {
        assert_child(of(product)?.header("traceparent"), product)?;
    }
    for product in ["without", "unsampled"] {
        assert_eq!(of(product)?.header("traceparent"), None, "{product}");
    }
    assert_child(log::read(&kafka, "clima").await?[0].header("traceparent"), "f")
}

/// The same trace, another span.
fn assert_child(header: Option<&str>, trace: &str) -> Result<()> {
    let context: TraceParent = header.context("a trace context")?.parse()?;
    assert_eq!(context.trace_id(), trace.repeat(32));
    assert!(context.is_sampled() && context.span_id() != SPAN, "{context}");
    Ok(())
}
