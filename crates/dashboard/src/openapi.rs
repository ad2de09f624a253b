//! The routes that describe themselves, and the OpenAPI document that they make.

use std::sync::Arc;

use blackfriday_service::openapi::completed;
use blackfriday_service::problem::{FieldProblem, Problem};
use utoipa::OpenApi;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::{ObjectBuilder, RefOr, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::live::Live;
use crate::view::Counters;
use crate::{api, events};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "blackfriday dashboard",
        description = "What the store holds. Exact decimals are strings, times are milliseconds since the Unix epoch, and what \
                       the store does not hold is null, never zero.",
        license(name = "Apache-2.0")
    ),
    components(schemas(Problem, FieldProblem, Counters))
)]
struct Document;

/// The OpenAPI document, as JSON.
pub(crate) fn document() -> String {
    let mut document = completed(router().into_openapi(), &[]);
    for route in document.paths.paths.values_mut().filter_map(|path| path.get.as_mut()) {
        if let Some(RefOr::T(answer)) = route.responses.responses.get_mut("200") {
            answer.headers.insert("Cache-Control".to_owned(), no_store().into());
        }
    }
    document.to_json().expect("a document of strings always serializes")
}

fn no_store() -> Header {
    let only = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["no-store"]));
    HeaderBuilder::new()
        .schema(Some(only))
        .description(Some("Never kept: the next answer is another one"))
        .build()
}

/// The read API and the event stream, with their description.
pub(crate) fn router() -> OpenApiRouter<Arc<Live>> {
    OpenApiRouter::with_openapi(Document::openapi()).merge(api::router()).routes(routes!(events::stream))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::document;

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
