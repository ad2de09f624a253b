//! What every route may answer in place of what was asked for, as the OpenAPI document describes it.

use utoipa::{IntoResponses, ToSchema};

/// Problem details (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `service::Problem` writes")]
pub(crate) struct Problem {
    /// `urn:blackfriday:problem:<code>`.
    #[schema(rename = "type", example = "urn:blackfriday:problem:invalid-field")]
    kind: String,
    /// The same for every problem of this type.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: String,
    /// Every wrong parameter.
    errors: Option<Vec<FieldProblem>>,
}

/// One wrong parameter.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `service::FieldProblem` writes")]
pub(crate) struct FieldProblem {
    /// Its name.
    field: String,
    /// What is allowed there.
    message: String,
}

/// The refusals that every route has.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes what `api` and `service` answer")]
pub(crate) enum Refusal {
    /// A parameter is wrong; all wrong ones are named.
    #[response(status = 422, content_type = "application/problem+json")]
    InvalidParameter(Problem),
    /// Too many requests: repeat after `Retry-After`.
    #[response(status = 429, content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds")))]
    Overloaded(Problem),
    /// The store holds what cannot be read.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// Valkey is away, or too many event streams are open: repeat after `Retry-After`.
    #[response(status = 503, content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds")))]
    Unavailable(Problem),
}
