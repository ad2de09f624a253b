//! Schemas that no type of ours says by itself: text of which few words are possible, and the queries' parameters.

use blackfriday_event::Category;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, SchemaType};
use utoipa::openapi::{Object, Ref, RefOr, Required, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::trouble::Trouble;

/// The category in a query that may be without one.
pub(crate) struct AnyCategory;

/// The category in a query that must have one.
pub(crate) struct OneCategory;

impl IntoParams for AnyCategory {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![category_parameter(Required::False)]
    }
}

impl IntoParams for OneCategory {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![category_parameter(Required::True)]
    }
}

/// An event of the stream, by its name. What its data is.
pub(crate) struct StreamEvent;

impl PartialSchema for StreamEvent {
    fn schema() -> RefOr<Schema> {
        let number = |minimum| ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(minimum));
        let clock = ObjectBuilder::new().property("ahora_ms", number(0)).required("ahora_ms");
        let away = ObjectBuilder::new()
            .property("valkey", ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([false])))
            .property(
                "motivo",
                text().enum_values(Some([Trouble::Away, Trouble::Unreadable].map(Trouble::word))),
            )
            .required("valkey")
            .required("motivo");
        let beat = event("latido", closed(clock)).property("retry", number(1)).required("retry");
        let events = OneOfBuilder::new().item(event("resumen", Ref::from_schema_name("Counters")));
        events.item(event("estado", closed(away))).item(beat).into()
    }
}

impl ToSchema for StreamEvent {}

fn event(name: &str, data: impl Into<RefOr<Schema>>) -> ObjectBuilder {
    let data = text().content_media_type("application/json").content_schema(Some(data));
    let name = text().enum_values(Some([name]));
    ObjectBuilder::new().property("event", name).property("data", data).required("event").required("data")
}

fn closed(object: ObjectBuilder) -> ObjectBuilder {
    object.additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

pub(crate) fn category() -> Object {
    text().enum_values(Some(Category::ALL.map(Category::name))).build()
}

pub(crate) fn category_or_null() -> Object {
    or_null(&Category::ALL.map(Category::name), "Null: of all.")
}

pub(crate) fn trouble_or_null() -> Object {
    let described = "Why its numbers are not known: `ausente`, it does not answer, or `ilegible`, it holds what cannot \
                     be read.";
    or_null(&[Trouble::Away, Trouble::Unreadable].map(Trouble::word), described)
}

/// Partitions, and an offset for each.
pub(crate) fn positions() -> Object {
    let offset = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    let positions = ObjectBuilder::new().property_names(Some(text().pattern(Some("^[0-9]+$")).build()));
    let described = "Partition of the sales, and its next offset to be counted.";
    positions.additional_properties(Some(offset)).description(Some(described)).build()
}

fn category_parameter(required: Required) -> Parameter {
    ParameterBuilder::new()
        .name("categoria")
        .parameter_in(ParameterIn::Query)
        .required(required)
        .description(Some("A category: its name in any case, with or without accents, or its number"))
        .schema(Some(text().pattern(Some(Category::TEXT))))
        .build()
}

fn or_null(words: &[&str], described: &str) -> Object {
    let words = words.iter().map(|word| Some(*word)).chain([None]);
    let object = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    object.enum_values(Some(words)).description(Some(described)).build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}
