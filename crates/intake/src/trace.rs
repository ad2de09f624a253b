//! Which events are recorded, and what their spans say. The first hop decides; the ones after it obey.

use blackfriday_event::EventId;
use blackfriday_proto::ErrorCode;
use blackfriday_telemetry::context::{self, TraceParent};
use http::{HeaderMap, StatusCode};
use tracing::Span;

use crate::hop::Trust;

/// Who an event is from, with the trace context that came with it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller<'a> {
    /// A client.
    Client(Option<&'a str>),
    /// Our own hop before this one. It has decided about sampling: what it sends without a context is not sampled, or each
    /// hop would begin traces in the middle of the way.
    Hop(Option<&'a str>),
}

impl<'a> Caller<'a> {
    /// The caller of an event with a context of its `own`, or else with that of its request.
    pub(crate) fn of(own: Option<&'a str>, headers: &'a HeaderMap, trust: Trust) -> Self {
        let of_request = || headers.get(context::TRACEPARENT).and_then(|value| value.to_str().ok());
        let given = own.or_else(of_request);
        match trust {
            Trust::Outside => Self::Client(given),
            Trust::Hop => Self::Hop(given),
        }
    }

    fn traceparent(self) -> Option<&'a str> {
        let (Self::Client(given) | Self::Hop(given)) = self;
        given
    }

    /// Our own share of the clients' events decides, or any client could have each of its events recorded on every hop. A
    /// client may say no for its own; its trace is continued where we record.
    fn is_sampled(self) -> bool {
        match self {
            Self::Hop(given) => given.is_some() && context::is_sampled(given),
            Self::Client(given) => {
                let given = given.and_then(|given| given.parse().ok());
                given.is_none_or(|given: TraceParent| given.is_sampled()) && context::sample_root()
            }
        }
    }
}

/// The span of a sampled event, and in `handed_on` what goes along with the event to the next hop: that span, or the
/// context of our own hop before this one where we record none.
pub(crate) fn traced(
    route: &'static str,
    caller: Caller<'_>,
    handed_on: &mut Option<String>,
) -> Option<Span> {
    let span = caller.is_sampled().then(|| server_span(route, caller.traceparent()));
    *handed_on = match (&span, caller) {
        (Some(span), _) => context::traceparent_of(span),
        (None, Caller::Hop(Some(given))) if records(given) => Some(given.to_owned()),
        (None, _) => None,
    };
    span
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
