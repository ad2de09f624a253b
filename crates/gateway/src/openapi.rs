//! The OpenAPI document, generated from the types that the code itself reads and writes.

use blackfriday_intake::{Accepted, BatchAnswer, FieldAnswer, ItemAnswer, SaleBody, WeatherBody};
use utoipa::{OpenApi, ToSchema};

/// Problem details (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `service::Problem` writes")]
struct Problem {
    /// `urn:blackfriday:problem:<code>`.
    #[schema(rename = "type", example = "urn:blackfriday:problem:invalid-field")]
    kind: String,
    /// The same for every problem of this type.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: String,
    /// Every wrong field.
    errors: Option<Vec<FieldAnswer>>,
    /// The identity of the event, where it has one.
    id: Option<String>,
}

/// One operation's answers are the same at every route that takes events.
macro_rules! operation {
    ($name:ident, $path:literal, $body:ty, $answer:ty, $media:literal, $summary:literal) => {
        #[utoipa::path(
            post,
            path = $path,
            summary = $summary,
            request_body(content = $body, content_type = $media),
            params(
                ("Idempotency-Key" = Option<String>, Header, description = "1 to 128 visible ASCII characters. The same \
                    key is counted once in 24 hours."),
                ("traceparent" = Option<String>, Header, description = "W3C trace context."),
            ),
            responses(
                (status = 202, description = "Accepted: the broker has acknowledged it", body = $answer),
                (status = 207, description = "Only of a batch: results differ", body = BatchAnswer),
                (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
                (status = 408, description = "The request did not arrive in time", body = Problem, content_type = "application/problem+json"),
                (status = 413, description = "Over a limit", body = Problem, content_type = "application/problem+json"),
                (status = 415, description = "Not JSON by its type", body = Problem, content_type = "application/problem+json"),
                (status = 422, description = "A field is wrong; all wrong fields are named", body = Problem, content_type = "application/problem+json"),
                (status = 429, description = "A limit is reached, nothing was written; see Retry-After", body = Problem, content_type = "application/problem+json"),
                (status = 503, description = "The broker is away, nothing was written; see Retry-After", body = Problem, content_type = "application/problem+json"),
                (status = 504, description = "Outcome unknown; repeat only with an Idempotency-Key", body = Problem, content_type = "application/problem+json"),
            ),
        )]
        #[expect(dead_code, reason = "carries the description")]
        fn $name() {}
    };
}

operation!(venta, "/venta", SaleBody, Accepted, "application/json", "One sale");
operation!(
    ventas,
    "/ventas",
    Vec<SaleBody>,
    BatchAnswer,
    "application/json",
    "Many sales, as an array or NDJSON"
);
operation!(input, "/input", WeatherBody, Accepted, "application/json", "One weather report");

#[derive(OpenApi)]
#[openapi(
    info(
        title = "blackfriday gateway",
        description = "Takes flash-sale traffic in.",
        license(name = "Apache-2.0")
    ),
    paths(venta, ventas, input),
    components(schemas(SaleBody, WeatherBody, Accepted, BatchAnswer, ItemAnswer, FieldAnswer, Problem))
)]
struct Document;

/// The OpenAPI document, as JSON.
pub fn document() -> String {
    Document::openapi().to_json().expect("a document of strings always serializes")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::routes::{INPUT, VENTA, VENTAS};

    #[test]
    fn every_route_and_status_is_described() {
        let document: Value = serde_json::from_str(&document()).expect("JSON");
        for route in [VENTA, VENTAS, INPUT] {
            let responses = &document["paths"][route]["post"]["responses"];
            for status in ["202", "400", "408", "413", "415", "422", "429", "503", "504"] {
                assert!(responses[status].is_object(), "{route} {status}");
            }
        }
        let sale = &document["components"]["schemas"]["Sale"]["properties"];
        for field in ["categoria", "producto_id", "precio", "cantidad_vendida"] {
            assert!(sale[field].is_object(), "{field}");
        }
        assert!(document["components"]["schemas"]["Problem"]["properties"]["type"].is_object());
    }
}
