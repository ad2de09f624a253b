//! The OpenAPI document, generated from the types that the code itself writes.

use utoipa::{IntoResponses, OpenApi, ToSchema};

use crate::{api, events};

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

#[derive(OpenApi)]
#[openapi(
    info(
        title = "blackfriday dashboard",
        description = "What the store holds. Exact decimals are strings, times are milliseconds since the Unix epoch, and what \
                       the store does not hold is null, never zero.",
        license(name = "Apache-2.0")
    ),
    paths(
        api::resumen,
        api::totales,
        api::categorias,
        api::productos,
        api::extremos,
        api::historial,
        api::serie,
        api::clima,
        events::stream
    ),
    components(schemas(Problem, FieldProblem))
)]
struct Document;

/// The OpenAPI document, as JSON.
pub(crate) fn document() -> String {
    Document::openapi().to_json().expect("a document of strings always serializes")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::document;
    use crate::ROUTES;

    #[test]
    fn every_route_of_the_api_is_described() {
        let document: Value = serde_json::from_str(&document()).expect("JSON");
        let described: Vec<_> = document["paths"].as_object().expect("paths").keys().collect();
        let mut routes: Vec<_> =
            ROUTES.iter().filter(|route| route.starts_with("/api/") || **route == "/events").collect();
        routes.sort_unstable();
        assert!(described.iter().eq(&routes), "{described:?}");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let text = document();
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let references: Vec<_> = text.match_indices("#/components/schemas/").collect();
        assert!(!references.is_empty());
        for (at, prefix) in references {
            let name = text[at + prefix.len()..].split('"').next().expect("a name");
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
        }
    }
}
