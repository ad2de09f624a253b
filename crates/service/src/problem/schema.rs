use std::collections::BTreeMap;

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::AllOfBuilder;
use utoipa::openapi::{Content, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type};

use super::{Kind, PROBLEM_JSON, Retry, TYPE_PREFIX};

/// The answers of these kinds, for an OpenAPI document that has [`super::Problem`] among its schemas.
pub fn responses(kinds: &[Kind]) -> BTreeMap<String, RefOr<Response>> {
    responses_as(kinds, "Problem")
}

/// The answers of these kinds, for an OpenAPI document that has a schema of this name: a problem with further members.
pub fn responses_as(kinds: &[Kind], schema: &str) -> BTreeMap<String, RefOr<Response>> {
    let mut of_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        of_status.entry(kind.status()).or_default().push(*kind);
    }
    of_status
        .into_iter()
        .map(|(status, kinds)| (status.to_string(), response(status, &kinds, schema).into()))
        .collect()
}

fn response(status: u16, kinds: &[Kind], schema: &str) -> ResponseBuilder {
    let lines: Vec<_> = kinds.iter().map(|kind| described(*kind)).collect();
    let any = |words: Vec<String>| ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
    let types = kinds.iter().map(|kind| format!("{TYPE_PREFIX}{}", kind.name())).collect();
    let titles = kinds.iter().map(|kind| kind.title().to_owned()).collect();
    let of_status = ObjectBuilder::new()
        .property("type", any(types))
        .property("title", any(titles))
        .property("status", ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([status])));
    let problem = AllOfBuilder::new().item(Ref::from_schema_name(schema)).item(of_status);
    let mut response = ResponseBuilder::new().description(lines.join("\n\n"));
    response = response.content(PROBLEM_JSON, Content::new(Some(problem)));
    if kinds.iter().any(|kind| kind.retry_after_s().is_some()) {
        response = response.header("Retry-After", retry_after());
    }
    if kinds.contains(&Kind::UnsupportedMediaType) {
        response = response.header("Accept-Encoding", accept_encoding());
    }
    response
}

fn retry_after() -> Header {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds")).build()
}

fn accept_encoding() -> Header {
    let identity = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["identity"]));
    HeaderBuilder::new().schema(Some(identity)).description(Some("A body is sent as it is")).build()
}

fn described(kind: Kind) -> String {
    let retry = match kind.retry() {
        Retry::Safe => "Repeat it later.",
        Retry::Useless => "Do not repeat it unchanged.",
        Retry::WithKey => "It may or may not have been written.",
    };
    format!("`{}`: {}. {retry}", kind.name(), kind.title())
}
