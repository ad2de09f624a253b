//! A sale as JSON, read in one pass without an intermediate value: every member may hold anything, and is judged after
//! the whole object was read, so that all wrong fields are named at once.

mod member;

use std::fmt;

use blackfriday_event::{
    Category, EventId, FieldError, FieldErrors, IdempotencyKey, Money, ProductId, Quantity, SaleDraft,
};
use blackfriday_proto::{ErrorCode, SaleCommand, SaleError};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use self::member::Member;

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
        no_object()
    }

    fn visit_bool<E>(self, _: bool) -> Result<SaleJson<'de>, E> {
        no_object()
    }

    fn visit_i64<E>(self, _: i64) -> Result<SaleJson<'de>, E> {
        no_object()
    }

    fn visit_u64<E>(self, _: u64) -> Result<SaleJson<'de>, E> {
        no_object()
    }

    fn visit_f64<E>(self, _: f64) -> Result<SaleJson<'de>, E> {
        no_object()
    }

    fn visit_str<E>(self, _: &str) -> Result<SaleJson<'de>, E> {
        no_object()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<SaleJson<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        no_object()
    }
}

/// Remembered rather than refused, so that the reader of a batch can go on with the next item.
fn no_object<'a, E>() -> Result<SaleJson<'a>, E> {
    Ok(SaleJson { not_an_object: true, ..SaleJson::default() })
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

#[cfg(test)]
mod tests;
