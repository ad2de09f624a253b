//! What the OpenAPI document says that is not a route's own: title, headers, problems. Routes describe themselves.

use std::collections::BTreeMap;

use blackfriday_intake::{Accepted, BatchAnswer, ItemAnswer, KINDS, SaleBody, WeatherBody};
use blackfriday_service::problem::{self, FieldProblem, Problem};
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoParams, IntoResponses, OpenApi};

/// The problems that every route for events may answer.
pub(crate) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problem::responses(&KINDS)
    }
}

/// What a request may carry next to its body.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what `intake` reads")]
pub(crate) struct Headers {
    /// 1 to 128 visible ASCII characters, bare or in quotes; more than one such header is refused. The same key is counted
    /// once in 24 hours. The same key with another event is a conflict: that event is answered, but not counted, and goes
    /// to the dead letters. The key of a batch gives each item a key of its own, made of the batch's key, the item's
    /// content and, among equal items, its number: the batch may be repeated whole or in part, in any order. Equal items
    /// must be repeated together, or have an `idempotency_key` each.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
    /// W3C trace context: its trace is continued where this system records by its own share. Its flag cannot raise that.
    traceparent: Option<String>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "blackfriday gateway",
        description = "Takes flash-sale traffic in. `202` is sent only after the broker has acknowledged the event.",
        license(name = "Apache-2.0")
    ),
    components(schemas(SaleBody, WeatherBody, Accepted, BatchAnswer, ItemAnswer, FieldProblem, Problem))
)]
pub(crate) struct Document;

#[cfg(test)]
mod tests {
    use blackfriday_intake::parse_sale;
    use blackfriday_proto::ErrorCode;
    use serde_json::Value;

    use crate::routes::document;

    #[test]
    fn every_route_and_status_is_described() {
        let document: Value = serde_json::from_str(&document()).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        assert!(paths.keys().eq(["/input", "/openapi.json", "/venta", "/ventas"]), "{:?}", paths.keys());
        for route in ["/venta", "/ventas", "/input"] {
            let operation = &document["paths"][route]["post"];
            let mut expected: Vec<_> =
                ErrorCode::ALL.iter().map(|code| code.http_status()).chain([202, 408]).collect();
            expected.extend((route == "/ventas").then_some(207));
            expected.sort_unstable();
            let described = operation["responses"].as_object().expect("responses").keys();
            let described: Vec<u16> = described.map(|status| status.parse().expect("a status")).collect();
            assert_eq!(described, expected, "{route}");
            let headers: Vec<_> = operation["parameters"].as_array().expect("parameters").iter().collect();
            assert_eq!(
                (&headers[0]["name"], &headers[0]["in"]),
                (&"Idempotency-Key".into(), &"header".into())
            );
            let refused = &operation["responses"]["503"];
            assert!(refused["headers"]["Retry-After"].is_object());
            assert_eq!(operation["responses"]["504"]["headers"], Value::Null);
            let reference = &refused["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(reference, "#/components/schemas/Problem");
        }
        let bodies = &document["paths"]["/ventas"]["post"]["requestBody"]["content"];
        assert!(bodies["application/json"].is_object() && bodies["application/x-ndjson"].is_object());
    }

    /// What is said to be a sale is taken for one, and its limits are the real ones.
    #[test]
    fn the_documents_examples_are_valid() {
        let document: Value = serde_json::from_str(&document()).expect("JSON");
        let schema = &document["components"]["schemas"]["Sale"]["properties"];
        let members = schema.as_object().expect("members").iter();
        let example: Value =
            members.map(|(name, member)| (name.clone(), member["example"].clone())).collect();
        let parse = |value: &Value| parse_sale(value.to_string().as_bytes(), None, false);
        assert!(parse(&example).is_ok(), "{example}");
        for (name, limit, beyond) in [
            ("precio", "maximum", 0.01),
            ("precio", "minimum", -0.01),
            ("cantidad_vendida", "maximum", 1.0),
            ("cantidad_vendida", "minimum", -1.0),
        ] {
            let mut sale = example.clone();
            let limit = schema[name][limit].as_f64().expect("a limit");
            sale[name] = limit.into();
            assert!(parse(&sale).is_ok(), "{sale}");
            sale[name] = (limit + beyond).into();
            assert!(parse(&sale).is_err(), "{sale}");
        }
    }
}
