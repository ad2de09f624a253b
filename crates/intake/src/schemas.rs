//! The schemas of the members that events have in JSON, as exact as JSON Schema can be. It counts characters where the
//! limits count bytes of UTF-8, and its expressions see no character beyond the basic plane: descriptions say the rest.

use blackfriday_event::{Category, IdempotencyKey, ProductId, VISIBLE_TEXT, WeatherDraft};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, SchemaType};
use utoipa::openapi::{Object, Type};

/// Everything but control characters; line breaks and tabs are allowed.
const LINES: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";
const VISIBLE: &str =
    "of text without invisible characters and without space at an end, in Unicode's normal form C";

pub(crate) fn category() -> Schema {
    let name = text().pattern(Some(Category::TEXT)).build();
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(4));
    let described = "`Electronica`, `Ropa`, `Hogar` or `Belleza`, in any case, with or without accents, or the number 1 \
                     to 4, also as text.";
    Schema::OneOf(
        OneOfBuilder::new()
            .item(name)
            .item(number)
            .description(Some(described))
            .examples([Category::Electronica.name()])
            .build(),
    )
}

pub(crate) fn product_id() -> Object {
    let more = "; `producto` is accepted as its name, too";
    visible(ProductId::MAX_BYTES, "P-17", more)
}

pub(crate) fn country() -> Object {
    visible(WeatherDraft::MAX_NAME_BYTES, "GT", "")
}

pub(crate) fn weather() -> Object {
    visible(WeatherDraft::MAX_NAME_BYTES, "Lluvioso", "")
}

pub(crate) fn description() -> Object {
    let max = WeatherDraft::MAX_DESCRIPTION_BYTES;
    let described =
        format!("At most {max} bytes of text; line breaks and tabs are its only control characters.");
    let object = text().schema_type(or_null()).max_length(Some(max)).pattern(Some(LINES));
    object.description(Some(described)).examples(["Está lloviendo"]).build()
}

pub(crate) fn key() -> Object {
    let described = "The event's own key, as in the header `Idempotency-Key`: of a single event it must be the same, where \
                     both are given. An item's own takes precedence over one made of its batch's.";
    let object = text().schema_type(or_null()).pattern(Some(IdempotencyKey::PATTERN));
    object.description(Some(described)).examples(["order-4711"]).build()
}

fn visible(max: usize, example: &str, more: &str) -> Object {
    let object = text().min_length(Some(1)).max_length(Some(max)).pattern(Some(VISIBLE_TEXT));
    let described = format!("1 to {max} bytes {VISIBLE}{more}.");
    object.description(Some(described)).examples([example]).build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn or_null() -> SchemaType {
    SchemaType::from_iter([Type::String, Type::Null])
}
