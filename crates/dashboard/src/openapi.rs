//! The OpenAPI document, generated from the types that the code itself writes.

use blackfriday_service::problem::{FieldProblem, Problem};
use utoipa::OpenApi;

use crate::{api, events};

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
