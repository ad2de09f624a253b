use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// Seconds after which a refused client may try again.
pub const RETRY_AFTER_S: u32 = 1;

/// A refusal, as problem details (RFC 9457).
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// `urn:blackfriday:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every problem of this type.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// Every wrong field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// The identity of the event, where it has one: under it an unknown outcome may be looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Sent as `Retry-After`, in seconds.
    #[serde(skip)]
    pub retry_after_s: Option<u32>,
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// The field's name on the wire.
    pub field: String,
    /// What is allowed there.
    pub message: String,
}

impl Problem {
    /// A problem of a type: `code` names it, `title` describes it.
    pub fn new(status: u16, code: &str, title: &'static str, detail: impl Into<String>) -> Self {
        let kind = format!("urn:blackfriday:problem:{code}");
        let retry_after_s = matches!(status, 429 | 503).then_some(RETRY_AFTER_S);
        Self { kind, title, status, detail: detail.into(), errors: Vec::new(), id: None, retry_after_s }
    }

    /// A limit was reached and nothing was done.
    pub fn overloaded(detail: impl Into<String>) -> Self {
        Self::new(429, "overloaded", "A limit is reached; nothing was written", detail)
    }

    /// Something that is needed is away, and nothing was done.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(503, "unavailable", "Not available; nothing was written", detail)
    }

    /// There is no such route.
    pub fn not_found() -> Self {
        Self::new(404, "not-found", "No such route", "there is nothing at this path")
    }

    /// The route does not take this method.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "method-not-allowed", "Method not allowed", "the route does not take this method")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
