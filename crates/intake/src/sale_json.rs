//! A sale as JSON.

use blackfriday_event::{
    Category, FieldError, FieldErrors, IdempotencyKey, Money, ProductId, Quantity, SaleDraft,
};
use blackfriday_proto::{Refusal, SaleCommand};
use utoipa::ToSchema;

use crate::event_json::{DraftFields, EventJson, parse_event};
use crate::json::Member;
use crate::schemas;

pub(crate) const CATEGORIA: &str = "categoria";
pub(crate) const PRODUCTO_ID: &str = "producto_id";
pub(crate) const PRECIO: &str = "precio";
pub(crate) const CANTIDAD_VENDIDA: &str = "cantidad_vendida";

/// One sale. Other members are ignored.
#[derive(ToSchema)]
#[schema(as = Sale)]
pub struct SaleBody {
    /// `Electronica`, `Ropa`, `Hogar` or `Belleza`, in any case, with or without accents, or the number 1 to 4.
    #[schema(schema_with = schemas::category)]
    pub categoria: String,
    /// 1 to 128 bytes of visible text; `producto` is accepted as its name, too.
    #[schema(schema_with = schemas::product_id)]
    pub producto_id: String,
    /// Price of one unit; rounded to cents.
    #[schema(example = 499.99, minimum = 0, maximum = 10_000_000)]
    pub precio: f64,
    /// Units sold.
    #[schema(example = 2, minimum = 1, maximum = 100_000)]
    pub cantidad_vendida: i32,
    /// The sale's own key, as in the header `Idempotency-Key`. An item's own takes precedence over one made of its batch's.
    #[schema(schema_with = schemas::key)]
    pub idempotency_key: Option<String>,
}

/// A JSON value that should be a sale.
pub(crate) type SaleJson<'a> = EventJson<'a, SaleFields<'a>>;

#[derive(Debug, Default)]
pub(crate) struct SaleFields<'a> {
    categoria: Member<'a>,
    producto_id: Member<'a>,
    precio: Member<'a>,
    cantidad_vendida: Member<'a>,
}

/// A field's name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name {
    Categoria,
    ProductoId,
    Precio,
    CantidadVendida,
}

/// Reads one sale. `trusted`: whether identity, trace context and an item's key are taken, as between our own hops.
///
/// # Errors
/// Not JSON, or every wrong field.
pub fn parse_sale(body: &[u8], key: Option<IdempotencyKey>, trusted: bool) -> Result<SaleCommand, Refusal> {
    parse_event::<SaleFields<'_>>(body, key, trusted)
}

impl<'a> DraftFields<'a> for SaleFields<'a> {
    type Draft = SaleDraft;
    type Name = Name;
    const WHAT: &'static str = "a sale";

    fn name(text: &str) -> Option<Name> {
        match text {
            CATEGORIA => Some(Name::Categoria),
            PRODUCTO_ID | "producto" => Some(Name::ProductoId),
            PRECIO => Some(Name::Precio),
            CANTIDAD_VENDIDA => Some(Name::CantidadVendida),
            _ => None,
        }
    }

    fn slot(&mut self, name: Name) -> (&'static str, &mut Member<'a>) {
        match name {
            Name::Categoria => (CATEGORIA, &mut self.categoria),
            Name::ProductoId => (PRODUCTO_ID, &mut self.producto_id),
            Name::Precio => (PRECIO, &mut self.precio),
            Name::CantidadVendida => (CANTIDAD_VENDIDA, &mut self.cantidad_vendida),
        }
    }

    fn draft(json: &SaleJson<'a>) -> Result<SaleDraft, FieldErrors> {
        let fields = &json.fields.own;
        SaleDraft::from_fields(
            json.field(CATEGORIA, &fields.categoria, category),
            json.field(PRODUCTO_ID, &fields.producto_id, product_id),
            json.field(PRECIO, &fields.precio, price),
            json.field(CANTIDAD_VENDIDA, &fields.cantidad_vendida, quantity),
        )
    }
}

fn category(member: &Member<'_>) -> Result<Category, FieldError> {
    match member {
        Member::Text(text) => Category::parse(text),
        member => Category::from_number(member.whole().unwrap_or(0)),
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

fn quantity(member: &Member<'_>) -> Result<Quantity, FieldError> {
    Quantity::new(member.whole().unwrap_or(0))
}

#[cfg(test)]
mod tests;
