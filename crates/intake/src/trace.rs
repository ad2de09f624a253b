use blackfriday_event::EventId;
use blackfriday_proto::ErrorCode;
use blackfriday_telemetry::context::{self, TraceParent};
use http::{HeaderMap, StatusCode};
use tracing::Span;

use crate::Trust;

/// Some caller that does not record.
const UNSAMPLED: &str = "00-00000000000000000000000000000001-0000000000000001-00";

/// The `traceparent` of a request. Our own hop before this one has decided about sampling: what it sends without a
/// context is not sampled, or each hop would begin traces in the middle of the way.
pub(crate) fn of_request(headers: &HeaderMap, trust: Trust) -> Option<&str> {
    let given = headers.get(context::TRACEPARENT).and_then(|value| value.to_str().ok());
    given.or((trust == Trust::Hop).then_some(UNSAMPLED))
}

/// The span of a sampled event, and in `handed_on` what goes along with the event to the next hop: that span, or the
/// context of our own hop before this one where we record none.
pub(crate) fn traced(
    route: &'static str,
    parent: Option<&str>,
    trust: Trust,
    handed_on: &mut Option<String>,
) -> Option<Span> {
    let sampled = match trust {
        Trust::Hop => context::is_sampled(parent),
        Trust::Outside => is_sampled_from_outside(parent),
    };
    let span = sampled.then(|| server_span(route, parent));
    *handed_on = match &span {
        Some(span) => context::traceparent_of(span),
        None => parent.filter(|parent| trust == Trust::Hop && records(parent)).map(str::to_owned),
    };
    span
}

/// Our own share of the requests decides, or any client could have each of its events recorded on every hop. A client
/// may say no for its own; its trace is continued where we record.
fn is_sampled_from_outside(parent: Option<&str>) -> bool {
    let parent = parent.and_then(|parent| parent.parse().ok());
    parent.is_none_or(|parent: TraceParent| parent.is_sampled()) && context::sample_root()
}

/// Tells an event's span how the event is answered. What was the caller's fault is no error of a server's span, says
/// OpenTelemetry.
pub(crate) fn conclude(span: &Span, outcome: Result<EventId, ErrorCode>) {
    let status = outcome.map_or_else(ErrorCode::http_status, |_| StatusCode::ACCEPTED.as_u16());
    // Other widths become text.
    span.record("http.response.status_code", i64::from(status));
    match outcome {
        Ok(id) => {
            span.record("blackfriday.event.id", tracing::field::display(id));
        }
        Err(code) => {
            span.record("error.type", code.name());
            if status >= 500 {
                span.record("otel.status_code", "ERROR");
            }
        }
    }
}

fn records(traceparent: &str) -> bool {
    traceparent.parse().is_ok_and(|parent: TraceParent| parent.is_sampled())
}

/// The server's span, as a child of its caller's.
fn server_span(route: &'static str, parent: Option<&str>) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "request",
        otel.name = format!("POST {route}"),
        otel.kind = "server",
        http.request.method = "POST",
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        blackfriday.event.id = tracing::field::Empty,
        error.type = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    if let Some(parent) = parent {
        context::set_parent(&span, parent);
    }
    span
}
