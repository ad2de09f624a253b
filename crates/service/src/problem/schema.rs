use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{Content, Object, Ref, RefOr, Response, ResponseBuilder, Type};

use super::{Kind, PROBLEM_JSON, Retry};

/// The answers of these kinds, for an OpenAPI document that has [`super::Problem`] among its schemas.
pub fn responses(kinds: &[Kind]) -> BTreeMap<String, RefOr<Response>> {
    let mut of_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        of_status.entry(kind.status()).or_default().push(*kind);
    }
    of_status.into_iter().map(|(status, kinds)| (status.to_string(), response(&kinds).into())).collect()
}

fn response(kinds: &[Kind]) -> ResponseBuilder {
    let lines: Vec<_> = kinds.iter().map(|kind| described(*kind)).collect();
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new().description(lines.join("\n\n")).content(PROBLEM_JSON, content);
    if kinds.iter().all(|kind| kind.retry_after_s().is_none()) {
        return response;
    }
    let seconds = Object::with_type(Type::Integer);
    let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds"));
    response.header("Retry-After", header.build())
}

fn described(kind: Kind) -> String {
    let retry = match kind.retry() {
        Retry::Safe => "Repeat it later.",
        Retry::Useless => "Do not repeat it unchanged.",
        Retry::WithKey => "It may or may not have been written.",
    };
    format!("`{}`: {}. {retry}", kind.name(), kind.title())
}
