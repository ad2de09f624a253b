use std::fmt;

use crate::category::Category;
use crate::digest::of_fields;
use crate::field_error::{FieldError, FieldErrors};
use crate::money::Money;
use crate::product::ProductId;

/// The most units that one sale may hold.
pub const MAX_QUANTITY: u32 = 100_000;

/// Units sold in one sale, `1 … 100 000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quantity(u32);

impl Quantity {
    /// Checks and takes a number of units.
    ///
    /// # Errors
    /// Outside of `1 … 100 000`.
    pub fn new(units: i64) -> Result<Self, FieldError> {
        u32::try_from(units)
            .ok()
            .filter(|units| (1..=MAX_QUANTITY).contains(units))
            .map(Self)
            .ok_or_else(|| FieldError::new("cantidad_vendida", "must be a whole number from 1 to 100000"))
    }

    /// The number of units.
    pub const fn units(self) -> u32 {
        self.0
    }
}

/// A valid sale that has not been accepted yet: what a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleDraft {
    /// The product's category.
    pub category: Category,
    /// The product.
    pub product_id: ProductId,
    /// Price of one unit.
    pub price: Money,
    /// Units sold.
    pub quantity: Quantity,
}

impl SaleDraft {
    /// Puts a sale together from fields that were checked one by one.
    ///
    /// # Errors
    /// Every wrong field, in the order of the fields.
    pub fn from_fields(
        category: Result<Category, FieldError>,
        product_id: Result<ProductId, FieldError>,
        price: Result<Money, FieldError>,
        quantity: Result<Quantity, FieldError>,
    ) -> Result<Self, FieldErrors> {
        match (category, product_id, price, quantity) {
            (Ok(category), Ok(product_id), Ok(price), Ok(quantity)) => {
                Ok(Self { category, product_id, price, quantity })
            }
            (category, product_id, price, quantity) => {
                let errors = [category.err(), product_id.err(), price.err(), quantity.err()];
                Err(FieldErrors(errors.into_iter().flatten().collect()))
            }
        }
    }
}

impl SaleDraft {
    /// What distinguishes this sale from another one under the same idempotency key.
    pub fn digest(&self) -> [u8; 8] {
        let (price, units) = (self.price.cents().to_be_bytes(), self.quantity.units().to_be_bytes());
        of_fields("sale", &[&[self.category as u8], self.product_id.as_str().as_bytes(), &price, &units])
    }
}

/// As the assignment's reports write a sale: `Mouse-Gamer (Cant: 2, $50.00) - Electronica`.
impl fmt::Display for SaleDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { category, product_id, price, quantity } = self;
        write!(f, "{} (Cant: {}, ${price}) - {category}", product_id.as_str(), quantity.units())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_outside_of_the_limits_are_refused() {
        for units in [0, -1, 100_001, 1 << 31, i64::MIN, i64::MAX] {
            assert_eq!(Quantity::new(units).expect_err("out of range").field, "cantidad_vendida");
        }
        assert_eq!(Quantity::new(100_000).expect("in range").units(), 100_000);
    }

    #[test]
    fn a_sale_is_written_as_in_the_assignment() {
        let sale = SaleDraft {
            category: Category::Electronica,
            product_id: ProductId::new("Mouse-Gamer").expect("visible"),
            price: Money::from_cents(5_000).expect("in range"),
            quantity: Quantity::new(2).expect("in range"),
        };
        assert_eq!(sale.to_string(), "Mouse-Gamer (Cant: 2, $50.00) - Electronica");
    }

    /// Nothing but the whole sale is repeated under its key.
    #[test]
    fn every_field_tells_a_sale_from_another() {
        let of = |category, product: &str, cents, units| SaleDraft {
            category,
            product_id: ProductId::new(product).expect("visible"),
            price: Money::from_cents(cents).expect("in range"),
            quantity: Quantity::new(units).expect("in range"),
        };
        let one = of(Category::Ropa, "P-1", 100, 2).digest();
        assert_eq!(one, of(Category::Ropa, "P-1", 100, 2).digest());
        for other in [
            of(Category::Hogar, "P-1", 100, 2),
            of(Category::Ropa, "P-2", 100, 2),
            of(Category::Ropa, "P-1", 101, 2),
            of(Category::Ropa, "P-1", 100, 3),
            of(Category::Ropa, "P-1", 2, 100),
        ] {
            assert_ne!(one, other.digest(), "{other:?}");
        }
    }

    #[test]
    fn all_wrong_fields_are_named_at_once() {
        let errors = SaleDraft::from_fields(
            Category::parse("Juguetes"),
            ProductId::new(""),
            Money::from_f64(f64::NAN),
            Quantity::new(0),
        )
        .expect_err("everything is wrong");
        let fields: Vec<_> = errors.0.iter().map(|error| &*error.field).collect();
        assert_eq!(fields, ["categoria", "producto_id", "precio", "cantidad_vendida"]);
    }
}
