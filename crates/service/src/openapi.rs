//! What the OpenAPI documents of all services have in common.
//!
//! The schemas of answers are closed: a member that a document does not name is never answered, so that a document that
//! has fallen behind its code is found by whoever compares the two. What is read stays open, as other members are ignored.

use std::collections::BTreeMap;

use utoipa::openapi::schema::{AdditionalProperties, AllOf, Schema};
use utoipa::openapi::{Object, OpenApi, RefOr};

/// What every server answers, whatever the route.
const ELSEWHERE: &str = "\n\nAnother path is answered with `404` (`not-found`), another method with `405` \
    (`method-not-allowed`) and an `Allow` header, each as a problem. What is read by `GET` is read by `HEAD`, too. A \
    head that is too large is answered with `414` or `431`, one that is not HTTP with `400`, without a body.";

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// The document with closed schemas, but for those `read` alone, and with what is the same at every route.
#[must_use]
pub fn completed(mut document: OpenApi, read: &[&str]) -> OpenApi {
    document.info.description.get_or_insert_default().push_str(ELSEWHERE);
    if let Some(components) = &mut document.components {
        let all = components.schemas.clone();
        for (name, schema) in &mut components.schemas {
            if !read.contains(&name.as_str()) {
                *schema = closed(schema.clone(), &all);
            }
        }
    }
    document
}

/// The document's paths as labels of metrics, which live as long as the process: to be asked for once.
pub fn labels(document: OpenApi) -> impl Iterator<Item = &'static str> {
    document.paths.paths.into_keys().map(|path| &*path.leak())
}

fn closed(schema: RefOr<Schema>, all: &Schemas) -> RefOr<Schema> {
    let mut object = match schema {
        RefOr::T(Schema::AllOf(parts)) => whole(&parts, all),
        RefOr::T(Schema::Object(object)) if !object.properties.is_empty() => object,
        RefOr::T(Schema::OneOf(mut one)) => {
            one.items = one.items.into_iter().map(|schema| closed(schema, all)).collect();
            return RefOr::T(Schema::OneOf(one));
        }
        other => return other,
    };
    object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    RefOr::T(Schema::Object(object))
}

/// One object with the members of all parts, which each alone could not be closed.
fn whole(parts: &AllOf, all: &Schemas) -> Object {
    let mut whole = Object::new();
    whole.description.clone_from(&parts.description);
    for part in parts.items.iter().map(|part| members(part, all)) {
        whole.properties.extend(part.properties);
        whole.required.extend(part.required);
    }
    whole
}

/// The members of a part. Of one that may be absent none is required.
fn members(part: &RefOr<Schema>, all: &Schemas) -> Object {
    match part {
        RefOr::Ref(to) => {
            let name = to.ref_location.rsplit('/').next();
            members(name.and_then(|name| all.get(name)).expect("a reference leads somewhere"), all)
        }
        RefOr::T(Schema::Object(object)) => object.clone(),
        RefOr::T(Schema::AllOf(parts)) => whole(parts, all),
        RefOr::T(Schema::OneOf(optional)) => {
            let of_it = optional.items.iter().find(|item| matches!(item, RefOr::Ref(_)));
            let mut object = members(of_it.expect("an optional part has a name"), all);
            object.required.clear();
            object
        }
        RefOr::T(_) => Object::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use utoipa::{OpenApi, ToSchema};

    use super::*;

    #[derive(serde::Serialize, ToSchema)]
    struct Read {
        name: String,
    }

    #[derive(serde::Serialize, ToSchema)]
    struct Answer {
        #[serde(flatten)]
        read: Read,
        #[serde(flatten)]
        more: Option<More>,
    }

    #[derive(serde::Serialize, ToSchema)]
    struct More {
        number: u8,
    }

    #[derive(OpenApi)]
    #[openapi(info(title = "t", description = "d"), components(schemas(Read, More, Answer)))]
    struct Document;

    #[test]
    fn what_is_answered_is_closed_with_all_its_members() {
        let document = serde_json::to_value(completed(Document::openapi(), &["Read"])).expect("serializes");
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["Read"]["additionalProperties"], Value::Null);
        assert_eq!(schemas["More"]["additionalProperties"], false);
        let answer = &schemas["Answer"];
        assert_eq!((&answer["additionalProperties"], &answer["required"]), (&json!(false), &json!(["name"])));
        assert!(answer["properties"]["name"].is_object() && answer["properties"]["number"].is_object());
        assert!(document["info"]["description"].as_str().is_some_and(|text| text.contains("405")));
    }
}
