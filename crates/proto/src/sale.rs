use blackfriday_event::{
    Category, EventId, FieldError, FieldErrors, IdempotencyKey, Money, ProductId, Quantity, SaleDraft,
};

use crate::blackfriday::ProductSaleRequest;
use crate::command::SaleCommand;

impl From<SaleCommand> for ProductSaleRequest {
    fn from(command: SaleCommand) -> Self {
        Self {
            categoria: i32::from(command.draft.category as u8),
            producto_id: command.draft.product_id.as_str().to_owned(),
            precio: command.draft.price.to_f64(),
            cantidad_vendida: i32::try_from(command.draft.quantity.units()).unwrap_or(i32::MAX),
            id: command.id.as_bytes().to_vec(),
            clave_idempotencia: command
                .idempotency_key
                .map(|key| key.as_str().to_owned())
                .unwrap_or_default(),
            traceparent: command.traceparent.unwrap_or_default(),
        }
    }
}

impl TryFrom<ProductSaleRequest> for SaleCommand {
    type Error = FieldErrors;

    fn try_from(request: ProductSaleRequest) -> Result<Self, FieldErrors> {
        let draft = SaleDraft::from_fields(
            Category::from_number(request.categoria.into()),
            ProductId::new(&request.producto_id),
            Money::from_f64(request.precio),
            Quantity::new(request.cantidad_vendida.into()),
        );
        let (id, idempotency_key) = identity(&request.id, &request.clave_idempotencia);
        match (draft, id, idempotency_key) {
            (Ok(draft), Ok(id), Ok(idempotency_key)) => {
                let traceparent = Some(request.traceparent).filter(|text| !text.is_empty());
                Ok(Self { draft, id, idempotency_key, traceparent })
            }
            (draft, id, key) => {
                let mut errors = draft.err().map(|errors| errors.0).unwrap_or_default();
                errors.extend(id.err());
                errors.extend(key.err());
                Err(FieldErrors(errors))
            }
        }
    }
}

/// Identity and key of a request: the key's identity, else the given one, else a new one.
pub(crate) fn identity(
    id: &[u8],
    key: &str,
) -> (Result<EventId, FieldError>, Result<Option<IdempotencyKey>, FieldError>) {
    let key = if key.is_empty() { Ok(None) } else { given_key(id, key).map(Some) };
    let id = match (&key, id) {
        (Ok(Some(key)), _) => Ok(EventId::of_key(key)),
        (_, []) => Ok(EventId::new_v7()),
        (_, bytes) => EventId::from_slice(bytes),
    };
    (id, key)
}

/// A client's key; or that of a batch's item next to its own identity, which every hop sends and no client of the four
/// fields needs.
fn given_key(id: &[u8], text: &str) -> Result<IdempotencyKey, FieldError> {
    IdempotencyKey::new(text).or_else(|malformed| {
        let of_hop = IdempotencyKey::from_wire(text).ok();
        of_hop.filter(|key| EventId::of_key(key).as_bytes().as_slice() == id).ok_or(malformed)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn commands() -> impl Strategy<Value = SaleCommand> {
        let key = prop::option::of("[!-~]{1,128}");
        (
            1_i64..=4,
            "[A-Z]-[0-9]{1,9}",
            0..=Money::MAX_CENTS,
            1_i64..=100_000,
            key,
            prop::option::of("[0-9a-f-]{1,55}"),
        )
            .prop_map(|(category, product, cents, units, key, traceparent)| {
                let draft = SaleDraft {
                    category: Category::from_number(category).expect("1 to 4"),
                    product_id: ProductId::new(&product).expect("visible"),
                    price: Money::from_cents(u64::from(cents)).expect("in range"),
                    quantity: Quantity::new(units).expect("in range"),
                };
                let key = key.map(|key| IdempotencyKey::new(&key).expect("visible ASCII"));
                SaleCommand { traceparent, ..SaleCommand::new(draft, key) }
            })
    }

    proptest! {
        #[test]
        fn a_command_survives_the_wire(command in commands()) {
            let request = ProductSaleRequest::from(command.clone());
            prop_assert_eq!(SaleCommand::try_from(request), Ok(command));
        }
    }

    #[test]
    fn four_fields_are_enough_and_get_an_identity() {
        let request = ProductSaleRequest {
            categoria: 2,
            producto_id: "P-1".into(),
            precio: 9.99,
            cantidad_vendida: 1,
            ..Default::default()
        };
        let command = SaleCommand::try_from(request).expect("valid");
        assert_eq!(command.id.as_uuid().get_version_num(), 7);
    }

    #[test]
    fn an_items_key_is_taken_only_beside_its_own_identity() {
        let batch = IdempotencyKey::new("cart-1").expect("a key");
        let (key, other) =
            (IdempotencyKey::of_item(&batch, [7; 8], 0), IdempotencyKey::of_item(&batch, [7; 8], 1));
        let given = |id: &[u8]| identity(id, key.as_str());
        let own = EventId::of_key(&key);
        assert_eq!(given(own.as_bytes()), (Ok(own), Ok(Some(key.clone()))));
        for id in [&[][..], &[1, 2, 3], EventId::of_key(&other).as_bytes(), EventId::new_v7().as_bytes()] {
            assert_eq!(given(id).1.expect_err("not a hop's").field, "idempotency_key");
        }
        let own = Ok(EventId::of_key(&batch));
        assert_eq!(identity(&[], "cart-1"), (own, Ok(Some(batch))), "a client's needs no identity");
    }

    #[test]
    fn every_wrong_field_is_named() {
        let request = ProductSaleRequest {
            precio: f64::NAN,
            cantidad_vendida: -1,
            id: vec![1, 2, 3],
            ..Default::default()
        };
        let errors = SaleCommand::try_from(request).expect_err("everything is wrong");
        let fields: Vec<_> = errors.0.iter().map(|error| &*error.field).collect();
        assert_eq!(fields, ["categoria", "producto_id", "precio", "cantidad_vendida", "id"]);
    }
}
