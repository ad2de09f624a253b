//! A sale as JSON.

use blackfriday_event::{
    Category, EventId, FieldError, FieldErrors, IdempotencyKey, Money, ProductId, Quantity, SaleDraft,
};
use blackfriday_proto::{Refusal, SaleCommand};
use utoipa::ToSchema;

use crate::idempotency;
use crate::json::{Fields, Member, Object, both, read_object, wrong};

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
    /// The sale's own key, as in the header `Idempotency-Key`. An item's own stands above one made of its batch's.
    #[schema(example = "order-4711-1", min_length = 1, max_length = 128)]
    pub idempotency_key: Option<String>,
}

/// A JSON value that should be a sale.
pub(crate) type SaleJson<'a> = Object<SaleFields<'a>>;

#[derive(Debug, Default)]
pub(crate) struct SaleFields<'a> {
    categoria: Member<'a>,
    producto_id: Member<'a>,
    precio: Member<'a>,
    cantidad_vendida: Member<'a>,
    id: Member<'a>,
    idempotency_key: Member<'a>,
    traceparent: Member<'a>,
}

/// A member's name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name {
    Categoria,
    ProductoId,
    Precio,
    CantidadVendida,
    Id,
    IdempotencyKey,
    Traceparent,
}

/// Members beside a sale.
const BESIDE: [&str; 3] = ["id", "idempotency_key", "traceparent"];

/// Reads one sale. `trusted`: whether identity and trace context may stand beside it, and an item's key, as between our own
/// hops.
///
/// # Errors
/// Not JSON, or every wrong field.
pub fn parse_sale(body: &[u8], key: Option<IdempotencyKey>, trusted: bool) -> Result<SaleCommand, Refusal> {
    read_object::<SaleFields<'_>>(body)?.into_command(trusted, |own, _| idempotency::of_one(own, key))
}

impl SaleJson<'_> {
    /// The sale; `key` chooses its key, given the one beside it.
    pub(crate) fn into_command(
        self,
        trusted: bool,
        key: impl FnOnce(Option<IdempotencyKey>, &SaleDraft) -> Result<Option<IdempotencyKey>, FieldErrors>,
    ) -> Result<SaleCommand, Refusal> {
        if !self.is_object() {
            return Err(wrong("body", "must be an object with a sale's fields").into());
        }
        let fields = &self.fields;
        let draft = SaleDraft::from_fields(
            self.field("categoria", &fields.categoria, category),
            self.field("producto_id", &fields.producto_id, product_id),
            self.field("precio", &fields.precio, price),
            self.field("cantidad_vendida", &fields.cantidad_vendida, quantity),
        );
        let own = idempotency::of_member(&fields.idempotency_key, trusted);
        let (draft, own) = both(self.with_beside(draft, &BESIDE), own)?;
        let key = key(own, &draft)?;
        let mut command = SaleCommand::new(draft, key);
        if !trusted {
            return Ok(command);
        }
        // A key's identity stands above any other.
        if let (Some(id), None) = (fields.id.text("id")?, &command.idempotency_key) {
            command.id = id.parse::<EventId>().map_err(FieldErrors::from)?;
        }
        command.traceparent = fields.traceparent.text("traceparent")?.map(str::to_owned);
        Ok(command)
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

impl<'a> Fields<'a> for SaleFields<'a> {
    type Name = Name;

    fn name(text: &str) -> Option<Name> {
        match text {
            "categoria" => Some(Name::Categoria),
            "producto_id" | "producto" => Some(Name::ProductoId),
            "precio" => Some(Name::Precio),
            "cantidad_vendida" => Some(Name::CantidadVendida),
            "id" => Some(Name::Id),
            "idempotency_key" => Some(Name::IdempotencyKey),
            "traceparent" => Some(Name::Traceparent),
            _ => None,
        }
    }

    fn slot(&mut self, name: Name) -> (&'static str, &mut Member<'a>) {
        match name {
            Name::Categoria => ("categoria", &mut self.categoria),
            Name::ProductoId => ("producto_id", &mut self.producto_id),
            Name::Precio => ("precio", &mut self.precio),
            Name::CantidadVendida => ("cantidad_vendida", &mut self.cantidad_vendida),
            Name::Id => ("id", &mut self.id),
            Name::IdempotencyKey => ("idempotency_key", &mut self.idempotency_key),
            Name::Traceparent => ("traceparent", &mut self.traceparent),
        }
    }
}

#[cfg(test)]
mod tests;
