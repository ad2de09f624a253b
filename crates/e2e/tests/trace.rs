//! One sampled sale, one story: from the client's trace context over HTTP, REST, gRPC and the record to the store's call,
//! received by a real OTLP receiver.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_e2e::{Pipeline, Service, post_with};
use blackfriday_stack::eventually;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const REFUSED: &str = "5bf92f3577b34da6a3ce929d0e0e4736";
const UNSAMPLED: &str = "6bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";
const SALE: &str = r#"{"categoria":"Ropa","producto_id":"P-1","precio":10.5,"cantidad_vendida":1}"#;

/// Keeps every span, with the name of its service.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<(String, Span)>>>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
            let name = attributes.into_iter().find(|attribute| attribute.key == "service.name");
            let name = match name.and_then(|attribute| attribute.value?.value) {
                Some(AnyValue::StringValue(name)) => name,
                _ => return Err(Status::invalid_argument("a resource without service.name")),
            };
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(spans.map(|span| (name.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Receiver {
    async fn start() -> Result<(Self, String)> {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let server =
            tonic::transport::Server::builder().add_service(TraceServiceServer::new(receiver.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Ok((receiver, endpoint))
    }

    /// The only span of a service that `wanted` takes.
    async fn find(&self, service: &str, wanted: impl Fn(&Span) -> bool) -> Result<Span> {
        let search = || {
            let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let found: Vec<_> =
                spans.iter().filter(|(name, span)| name == service && wanted(span)).cloned().collect();
            found
        };
        let waited = eventually(Duration::from_secs(30), async || !search().is_empty()).await;
        waited.with_context(|| format!("a span of {service} among {:?}", self.names()))?;
        let mut found = search();
        ensure!(found.len() == 1, "one span of {service}, not {found:?}");
        found.pop().map(|(_, span)| span).context("one span")
    }

    fn names(&self) -> Vec<String> {
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans
            .iter()
            .map(|(service, span)| format!("{service}: {} in {}", span.name, hex(&span.trace_id)))
            .collect()
    }
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        AnyValue::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The status that a server's span tells, and whether the span is one of an error.
fn answered(span: &Span) -> (Option<i64>, bool) {
    let status = span.attributes.iter().find(|attribute| attribute.key == "http.response.status_code");
    let status = match status.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(AnyValue::IntValue(status)) => Some(*status),
        _ => None,
    };
    (status, span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_sampled_sale_is_one_story_from_the_client_to_the_store() -> Result<()> {
    let (receiver, endpoint) = Receiver::start().await?;
    let mut pipeline = Pipeline::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ("BLACKFRIDAY_TRACE_SAMPLE_RATIO", "1"),
    ])
    .await?;
    let gateway = pipeline.address(Service::Gateway);
    // A client may say no for its own.
    let unsampled = format!("00-{UNSAMPLED}-{CLIENT}-00");
    let untraced = post_with(gateway, "/venta", SALE, &[("traceparent", &unsampled)]).await?;
    let traceparent = format!("00-{TRACE}-{CLIENT}-01");
    let traced = post_with(gateway, "/venta", SALE, &[("traceparent", &traceparent)]).await?;
    ensure!(untraced.status == 202 && traced.status == 202, "{untraced:?} {traced:?}");

    let server = |span: &Span| span.name.starts_with("POST ");
    let at_gateway = receiver.find("blackfriday-gateway", server).await?;
    ensure!(
        hex(&at_gateway.trace_id) == TRACE && hex(&at_gateway.parent_span_id) == CLIENT,
        "{at_gateway:?}"
    );
    let at_relay = receiver.find("blackfriday-relay", server).await?;
    ensure!(
        hex(&at_relay.trace_id) == TRACE && at_relay.parent_span_id == at_gateway.span_id,
        "{at_relay:?}"
    );
    let at_writer = receiver.find("blackfriday-writer", |span| span.name == "send ventas").await?;
    ensure!(
        hex(&at_writer.trace_id) == TRACE && at_writer.parent_span_id == at_relay.span_id,
        "{at_writer:?}"
    );
    let about_the_topic = ["messaging.system", "messaging.operation.type", "messaging.destination.name"]
        .map(|key| text(&at_writer, key));
    ensure!(about_the_topic == [Some("kafka"), Some("send"), Some("ventas")], "{at_writer:?}");

    let records = pipeline.run("tail", &["--topic", "ventas"]).await?;
    let records: Vec<Value> = records.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let header = format!("00-{TRACE}-{}-01", hex(&at_writer.span_id));
    let of = |answer: &Value| {
        records.iter().find(|record| record["id"] == answer["id"]).cloned().unwrap_or_default()
    };
    ensure!(of(&traced.json)["headers"]["traceparent"] == header.as_str(), "{records:?}");
    ensure!(of(&untraced.json)["headers"]["traceparent"].is_null(), "an unsampled sale carries no context");

    let at_consumer = receiver.find("blackfriday-consumer", |span| span.name == "process ventas").await?;
    let linked = |span: &Span| {
        span.links.iter().any(|link| hex(&link.trace_id) == TRACE && link.span_id == at_writer.span_id)
    };
    ensure!(
        linked(&at_consumer) && hex(&at_consumer.trace_id) != TRACE,
        "it links, and is its own: {at_consumer:?}"
    );
    let at_store = receiver.find("blackfriday-consumer", |span| span.name == "FCALL").await?;
    ensure!(at_store.parent_span_id == at_consumer.span_id, "{at_store:?}");
    ensure!(text(&at_store, "db.system.name") == Some("valkey"), "{at_store:?}");
    for (span, kind) in [
        (&at_gateway, SpanKind::Server),
        (&at_relay, SpanKind::Server),
        (&at_writer, SpanKind::Producer),
        (&at_consumer, SpanKind::Consumer),
        (&at_store, SpanKind::Client),
    ] {
        ensure!(span.kind() == kind, "{kind:?}: {span:?}");
    }
    ensure!(answered(&at_gateway) == (Some(202), false), "{at_gateway:?}");
    ensure!(answered(&at_relay) == (Some(202), false), "{at_relay:?}");

    pipeline.kill(Service::Relay)?;
    let traceparent = format!("00-{REFUSED}-{CLIENT}-01");
    let refused = post_with(gateway, "/venta", SALE, &[("traceparent", &traceparent)]).await?;
    ensure!(refused.status == 503, "{refused:?}");
    let at_gateway = receiver.find("blackfriday-gateway", |span| hex(&span.trace_id) == REFUSED).await?;
    ensure!(answered(&at_gateway) == (Some(503), true), "{at_gateway:?}");
    ensure!(text(&at_gateway, "error.type") == Some("unavailable"), "{at_gateway:?}");
    Ok(())
}
