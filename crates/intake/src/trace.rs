use blackfriday_telemetry::context;
use http::HeaderMap;
use tracing::Span;

/// The `traceparent` of a request.
pub(crate) fn of_request(headers: &HeaderMap) -> Option<&str> {
    headers.get(context::TRACEPARENT)?.to_str().ok()
}

/// The server's span of a sampled event, as a child of its caller's; none for the others.
pub(crate) fn server_span(route: &'static str, parent: Option<&str>) -> Option<Span> {
    if !context::is_sampled(parent) {
        return None;
    }
    let span = tracing::info_span!(
        parent: None,
        "request",
        otel.name = format!("POST {route}"),
        otel.kind = "server",
        http.request.method = "POST",
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        blackfriday.event.id = tracing::field::Empty,
    );
    if let Some(parent) = parent {
        context::set_parent(&span, parent);
    }
    Some(span)
}
