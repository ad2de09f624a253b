use blackfriday_intake::parse_sale;
use blackfriday_proto::ErrorCode;
use serde_json::{Value, json};

use super::document;

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
        assert_eq!((&headers[0]["name"], &headers[0]["in"]), (&"Idempotency-Key".into(), &"header".into()));
        let refused = &operation["responses"]["503"];
        assert!(refused["headers"]["Retry-After"].is_object());
        assert_eq!(operation["responses"]["504"]["headers"], Value::Null);
        let problem = &refused["content"]["application/problem+json"]["schema"]["allOf"];
        let schema = match route {
            "/input" => "WeatherProblem",
            "/ventas" => "BatchProblem",
            _ => "Problem",
        };
        assert_eq!(problem[0]["$ref"], format!("#/components/schemas/{schema}"));
        let types = &problem[1]["properties"]["type"]["enum"];
        assert_eq!(*types, json!(["urn:blackfriday:problem:unavailable"]));
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
    let of = |member: &Value| member.get("example").unwrap_or(&member["examples"][0]).clone();
    let example: Value = members.map(|(name, member)| (name.clone(), of(member))).collect();
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
