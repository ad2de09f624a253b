//! A sale as JSON, read in one pass without an intermediate value: every member may hold anything, and is judged after
//! the whole object was read, so that all wrong fields are named at once.

use std::borrow::Cow;
use std::fmt;

use blackfriday_event::{
    Category, EventId, FieldError, FieldErrors, IdempotencyKey, Money, ProductId, Quantity, SaleDraft,
};
use blackfriday_proto::{ErrorCode, SaleCommand, SaleError};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// One sale. Other members are ignored.
#[derive(ToSchema)]
#[schema(as = Sale)]
pub struct SaleBody {
    /// `Electronica`, `Ropa`, `Hogar` or `Belleza`, in any case, with or without accents, or the number 1 to 4.
    #[schema(example = "Electronica")]
    pub categoria: String,
    /// 1 to 128 bytes of visible text; `producto` is accepted as its name, too.
    #[schema(example = "P-17", min_length = 1, max_length = 128)]
    pub producto_id: String,
    /// Price of one unit; rounded to cents.
    #[schema(example = 499.99, minimum = 0, maximum = 10_000_000)]
    pub precio: f64,
    /// Units sold.
    #[schema(example = 2, minimum = 1, maximum = 100_000)]
    pub cantidad_vendida: i32,
}

/// What a member holds.
#[derive(Debug, Default)]
enum Member<'a> {
    #[default]
    Absent,
    Null,
    Text(Cow<'a, str>),
    Integer(i64),
    Number(f64),
    Other,
}

/// A JSON value that should be a sale.
#[derive(Debug, Default)]
pub(crate) struct SaleJson<'a> {
    not_an_object: bool,
    twice: Option<&'static str>,
    categoria: Member<'a>,
    producto_id: Member<'a>,
    precio: Member<'a>,
    cantidad_vendida: Member<'a>,
    id: Member<'a>,
    idempotency_key: Member<'a>,
    traceparent: Member<'a>,
}

/// Reads one sale. `trusted`: whether identity, key and trace context may stand beside it, as between our own hops.
///
/// # Errors
/// Not JSON, or every wrong field.
pub fn parse_sale(body: &[u8], key: Option<IdempotencyKey>, trusted: bool) -> Result<SaleCommand, SaleError> {
    let json = read_json(body, |reading| reading).map_err(|error| not_json(&error))?;
    json.into_command(key, trusted)
}

/// How members are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// In one pass.
    Fast,
    /// Member by member, for a body with a number that no `f64` holds: it is JSON all the same, and the field is wrong.
    Careful,
}

/// Reads a whole JSON text, carefully if it must be.
pub(crate) fn read_json<'de, S: DeserializeSeed<'de>>(
    text: &'de [u8],
    seed: impl Fn(Reading) -> S,
) -> Result<S::Value, serde_json::Error> {
    let read = |reading| {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let value = seed(reading).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    };
    read(Reading::Fast).or_else(|error: serde_json::Error| {
        // serde_json tells its kinds of errors apart in the text only.
        if error.to_string().starts_with("number out of range") { read(Reading::Careful) } else { Err(error) }
    })
}

pub(crate) fn not_json(error: &serde_json::Error) -> SaleError {
    SaleError::new(ErrorCode::NotJson, format!("the body is not JSON: {error}"))
}

impl SaleJson<'_> {
    pub(crate) fn into_command(
        self,
        key: Option<IdempotencyKey>,
        trusted: bool,
    ) -> Result<SaleCommand, SaleError> {
        if self.not_an_object {
            return Err(wrong("body", "must be an object with a sale's fields").into());
        }
        if let Some(field) = self.twice {
            return Err(wrong(field, "must be given once").into());
        }
        let draft = SaleDraft::from_fields(
            category(&self.categoria),
            product_id(&self.producto_id),
            price(&self.precio),
            quantity(&self.cantidad_vendida),
        )?;
        if !trusted {
            return Ok(SaleCommand::new(draft, key));
        }
        let inner = self.idempotency_key.text("idempotency_key")?.map(IdempotencyKey::new);
        let mut command = SaleCommand::new(draft, inner.transpose().map_err(FieldErrors::from)?.or(key));
        // A key's identity stands above any other.
        if let (Some(id), None) = (self.id.text("id")?, &command.idempotency_key) {
            command.id = id.parse::<EventId>().map_err(FieldErrors::from)?;
        }
        command.traceparent = self.traceparent.text("traceparent")?.map(str::to_owned);
        Ok(command)
    }
}

fn category(member: &Member<'_>) -> Result<Category, FieldError> {
    match member {
        Member::Text(text) => Category::parse(text),
        Member::Integer(number) => Category::from_number(*number),
        _ => Category::from_number(0),
    }
}

fn product_id(member: &Member<'_>) -> Result<ProductId, FieldError> {
    ProductId::new(if let Member::Text(text) = member { text } else { "" })
}

#[expect(clippy::cast_precision_loss, reason = "a price above 2^53 is out of range anyway")]
fn price(member: &Member<'_>) -> Result<Money, FieldError> {
    match member {
        Member::Integer(number) => Money::from_f64(*number as f64),
        Member::Number(number) => Money::from_f64(*number),
        _ => Money::from_f64(f64::NAN),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole and within a million")]
fn quantity(member: &Member<'_>) -> Result<Quantity, FieldError> {
    match member {
        Member::Integer(number) => Quantity::new(*number),
        // JSON knows one kind of number: 2.0 is 2 (RFC 8259, section 6).
        Member::Number(number) if number.fract() == 0.0 && number.abs() < 1e6 => {
            Quantity::new(*number as i64)
        }
        _ => Quantity::new(0),
    }
}

pub(crate) fn wrong(field: &'static str, message: &str) -> FieldErrors {
    FieldError::new(field, message).into()
}

impl<'de> DeserializeSeed<'de> for Reading {
    type Value = SaleJson<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<SaleJson<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A value that is no object is remembered as such; a reader of batches can then go on with the next.
macro_rules! visit_scalars {
    ($value:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
}

impl<'de> Visitor<'de> for Reading {
    type Value = SaleJson<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sale")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SaleJson<'de>, A::Error> {
        let mut sale = SaleJson::default();
        while let Some(name) = map.next_key::<Name>()? {
            let (name, member) = match name {
                Name::Categoria => ("categoria", &mut sale.categoria),
                Name::ProductoId => ("producto_id", &mut sale.producto_id),
                Name::Precio => ("precio", &mut sale.precio),
                Name::CantidadVendida => ("cantidad_vendida", &mut sale.cantidad_vendida),
                Name::Id => ("id", &mut sale.id),
                Name::IdempotencyKey => ("idempotency_key", &mut sale.idempotency_key),
                Name::Traceparent => ("traceparent", &mut sale.traceparent),
                Name::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if !matches!(member, Member::Absent) {
                sale.twice = Some(name);
            }
            *member = match self {
                Self::Fast => map.next_value()?,
                Self::Careful => Member::of_raw(map.next_value()?),
            };
        }
        Ok(sale)
    }

    fn visit_unit<E>(self) -> Result<SaleJson<'de>, E> {
        Ok(SaleJson { not_an_object: true, ..SaleJson::default() })
    }

    visit_scalars!(SaleJson { not_an_object: true, ..SaleJson::default() });

    fn visit_str<E>(self, _: &str) -> Result<SaleJson<'de>, E> {
        Ok(SaleJson { not_an_object: true, ..SaleJson::default() })
    }

    fn visit_u64<E>(self, _: u64) -> Result<SaleJson<'de>, E> {
        Ok(SaleJson { not_an_object: true, ..SaleJson::default() })
    }

    fn visit_i64<E>(self, _: i64) -> Result<SaleJson<'de>, E> {
        Ok(SaleJson { not_an_object: true, ..SaleJson::default() })
    }

    fn visit_f64<E>(self, _: f64) -> Result<SaleJson<'de>, E> {
        Ok(SaleJson { not_an_object: true, ..SaleJson::default() })
    }
}

/// A member's name.
#[derive(serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Categoria,
    #[serde(alias = "producto")]
    ProductoId,
    Precio,
    CantidadVendida,
    Id,
    IdempotencyKey,
    Traceparent,
    #[serde(other)]
    Other,
}

impl<'a> Member<'a> {
    /// The text of a member that may be absent or null.
    fn text(&self, name: &'static str) -> Result<Option<&str>, FieldErrors> {
        match self {
            Self::Absent | Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            _ => Err(wrong(name, "must be text")),
        }
    }

    fn of_raw(raw: &'a RawValue) -> Self {
        // What is JSON but cannot be read is, or has in it, a number that is too large for any field.
        serde_json::from_str(raw.get()).unwrap_or(Member::Number(f64::INFINITY))
    }
}

impl<'de> Deserialize<'de> for Member<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Member<'de>, E> {
        Ok(Member::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Member<'de>, E> {
        Ok(Member::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Member<'de>, E> {
        Ok(Member::Number(number))
    }

    fn visit_unit<E>(self) -> Result<Member<'de>, E> {
        Ok(Member::Null)
    }

    visit_scalars!(Member::Other);

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(body: &str) -> Result<SaleCommand, SaleError> {
        parse_sale(body.as_bytes(), None, false)
    }

    fn wrong_fields(body: &str) -> Vec<String> {
        let error = parse(body).expect_err(body);
        assert_eq!(error.code, ErrorCode::InvalidField, "{body}: {error:?}");
        error.fields.into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn a_sale_is_read_in_each_allowed_form() {
        let expected =
            parse(r#"{"categoria":"Electronica","producto_id":"P-17","precio":499.99,"cantidad_vendida":2}"#);
        let expected = expected.expect("valid").draft;
        for body in [
            r#"{"categoria":"ELECTR\u00d3NICA","producto":"P-17","precio":499.99,"cantidad_vendida":2}"#,
            r#"{"categoria":1,"producto_id":"P-17","precio":499.990,"cantidad_vendida":2.0}"#,
            r#"{"extra":{"a":[1,{}]},"categoria":"1","producto_id":"P\u002d17","precio":4.9999e2,"cantidad_vendida":2,"id":7}"#,
        ] {
            assert_eq!(parse(body).expect(body).draft, expected, "{body}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_apart_from_wrong_fields() {
        for body in [
            "",
            "x",
            "{",
            "{\"precio\":NaN}",
            "{\"precio\":Infinity}",
            "{\"precio\":1e400",
            "{} {}",
            "\u{feff}{}",
        ] {
            assert_eq!(parse(body).expect_err(body).code, ErrorCode::NotJson, "{body}");
        }
        for body in ["[]", "null", "true", "1", "-1", "1.5", "\"sale\""] {
            assert_eq!(wrong_fields(body), ["body"], "{body}");
        }
    }

    #[test]
    fn every_wrong_field_is_named() {
        let all = ["categoria", "producto_id", "precio", "cantidad_vendida"];
        assert_eq!(wrong_fields("{}"), all);
        let nulls = r#"{"categoria":null,"producto_id":null,"precio":null,"cantidad_vendida":null}"#;
        assert_eq!(wrong_fields(nulls), all);
        let types = r#"{"categoria":[],"producto_id":7,"precio":"10","cantidad_vendida":"2"}"#;
        assert_eq!(wrong_fields(types), all);
        let ranges = r#"{"categoria":0,"producto_id":"","precio":-0.01,"cantidad_vendida":2147483648}"#;
        assert_eq!(wrong_fields(ranges), all);
        let fraction = r#"{"categoria":1,"producto_id":"a","precio":1,"cantidad_vendida":1.5}"#;
        assert_eq!(wrong_fields(fraction), ["cantidad_vendida"]);
        let infinite =
            r#"{"categoria":1e400,"producto_id":"a","precio":-1e400,"cantidad_vendida":1e400,"x":1e400}"#;
        assert_eq!(wrong_fields(infinite), ["categoria", "precio", "cantidad_vendida"]);
        let long = format!(
            r#"{{"categoria":1,"producto_id":"{}","precio":1,"cantidad_vendida":1}}"#,
            "x".repeat(200_000)
        );
        assert_eq!(wrong_fields(&long), ["producto_id"]);
        let twice = r#"{"categoria":1,"producto_id":"a","producto":"b","precio":1,"cantidad_vendida":1}"#;
        assert_eq!(wrong_fields(twice), ["producto_id"]);
    }

    #[test]
    fn identity_and_key_beside_a_sale_count_only_between_our_own_hops() {
        let id = EventId::new_v7();
        let body = format!(
            r#"{{"categoria":1,"producto_id":"a","precio":1,"cantidad_vendida":1,"id":"{id}","traceparent":"t"}}"#
        );
        let trusted = parse_sale(body.as_bytes(), None, true).expect("valid");
        assert_eq!((trusted.id, trusted.traceparent.as_deref()), (id, Some("t")));
        let outside = parse_sale(body.as_bytes(), None, false).expect("valid");
        assert!(outside.id != id && outside.traceparent.is_none());
    }

    fn anything() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(|b| json!(b)),
            any::<f64>().prop_map(|n| json!(n)),
            any::<i64>().prop_map(|n| json!(n)),
            ".{0,8}".prop_map(|text| json!(text)),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..3).prop_map(|items| json!(items));
            let map = prop::collection::btree_map(".{0,4}", inner, 0..3).prop_map(|members| json!(members));
            prop_oneof![list, map]
        })
    }

    proptest! {
        #[test]
        fn a_valid_sale_survives_json(
            category in 1_i64..=4, product in "[ -~áéñ产]{1,40}", cents in 0..=Money::MAX_CENTS, units in 1_i64..=100_000,
            extra in anything(), pretty in any::<bool>(),
        ) {
            prop_assume!(product.trim() == product);
            let draft = SaleDraft {
                category: Category::from_number(category).expect("1 to 4"),
                product_id: ProductId::new(&product).expect("visible"),
                price: Money::from_cents(u64::from(cents)).expect("in range"),
                quantity: Quantity::new(units).expect("in range"),
            };
            let value = json!({
                "categoria": draft.category.name(), "producto_id": product, "precio": draft.price.to_f64(),
                "cantidad_vendida": units, "otro": extra,
            });
            let body = if pretty { format!("{value:#}") } else { value.to_string() };
            prop_assert_eq!(parse(&body).expect("valid").draft, draft);
        }

        #[test]
        fn any_json_is_a_sale_or_has_its_wrong_fields_named(
            members in prop::collection::btree_map(
                prop::sample::select(vec!["categoria", "producto_id", "precio", "cantidad_vendida", "otro"]),
                anything(), 0..5,
            ),
        ) {
            match parse(&json!(members).to_string()) {
                Ok(command) => prop_assert!(command.draft.quantity.units() > 0),
                Err(error) => {
                    prop_assert_eq!(error.code, ErrorCode::InvalidField);
                    prop_assert!(!error.fields.is_empty());
                }
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), cut in 0_usize..70) {
            prop_assert!(parse_sale(&bytes, None, true).is_err());
            let sale = br#"{"categoria":"Ropa","producto_id":"a","precio":1e9,"cantidad_vendida":1}"#;
            prop_assert!(parse_sale(&sale[..cut.min(sale.len() - 1)], None, true).is_err());
        }
    }
}
