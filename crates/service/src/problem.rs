//! Problem details (RFC 9457): what every process answers instead of a result.
//!
//! Invariant: a problem's kind alone decides its type, status, title and whether the request may be sent again.

mod kind;
mod schema;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use kind::{Kind, RETRY_AFTER_S, Retry, TYPE_PREFIX};
pub use schema::{responses, responses_as};

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A refusal, or an outcome that is not known.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:blackfriday:problem:<name>`. It alone says whether the request may be sent again.
    #[serde(rename = "type")]
    #[schema(value_type = String, pattern = "^urn:blackfriday:problem:[a-z-]+$",
             example = "urn:blackfriday:problem:invalid-field")]
    kind: Kind,
    /// The same for every problem of this type.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time.
    detail: String,
    /// Every wrong field or parameter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(min_items = 1)]
    errors: Vec<FieldProblem>,
    /// The identity of the event, where it has one: under it an unknown outcome may be looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid", nullable = false)]
    id: Option<String>,
}

/// One wrong field or parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Its name on the wire.
    pub field: String,
    /// What is allowed there.
    pub message: String,
}

impl Problem {
    /// A problem of that kind, and what happened this time.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (title, status) = (kind.title(), kind.status());
        Self { kind, title, status, detail: detail.into(), errors: Vec::new(), id: None }
    }

    /// The same problem, with every wrong field.
    #[must_use]
    pub fn with_errors(self, errors: Vec<FieldProblem>) -> Self {
        Self { errors, ..self }
    }

    /// The same problem, of the event with this identity.
    #[must_use]
    pub fn of(self, id: Option<String>) -> Self {
        Self { id, ..self }
    }

    /// Which kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// An answer of this kind whose body is already made: the problem's members, and more (RFC 9457, section 3.2).
    pub fn answer_with(&self, body: Vec<u8>) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = HeaderValue::from_static(PROBLEM_JSON);
        let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        if let Some(seconds) = self.kind.retry_after_s() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind == Kind::UnsupportedMediaType {
            // What is understood (RFC 9110, 12.5.3).
            response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        response
    }

    /// Its body.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialize")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.answer_with(self.to_json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_is_what_the_kind_says() {
        for kind in Kind::ALL {
            let problem = Problem::new(kind, "this time").of(Some("an id".to_owned()));
            let json: serde_json::Value = serde_json::from_slice(&problem.to_json()).expect("JSON");
            assert_eq!(json["type"], format!("urn:blackfriday:problem:{}", kind.name()));
            assert_eq!((&json["status"], &json["id"]), (&kind.status().into(), &"an id".into()));
            let response = problem.into_response();
            assert_eq!(response.status().as_u16(), kind.status());
            let retry_after = response.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(retry_after, matches!(kind.status(), 429 | 503), "{kind:?}");
            let understood = response.headers().contains_key(header::ACCEPT_ENCODING);
            assert_eq!(understood, kind.status() == 415, "{kind:?}");
        }
    }
}
