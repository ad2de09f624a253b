use std::collections::HashMap;

use blackfriday_event::{Category, FieldError, FieldErrors, ProductId, SaleDraft};

/// What may be sold: products, each in its category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue(HashMap<ProductId, Category>);

impl Catalogue {
    /// Whether the product may be sold in the sale's category.
    ///
    /// # Errors
    /// It is not in the catalogue, or in another category there.
    pub fn check(&self, sale: &SaleDraft) -> Result<(), FieldErrors> {
        let message = match self.0.get(&sale.product_id) {
            Some(category) if *category == sale.category => return Ok(()),
            Some(_) => "must be a product of the catalogue in its own category",
            None => "must be a product of the catalogue",
        };
        Err(FieldError::new("producto_id", message).into())
    }

    /// How many products there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing may be sold.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(ProductId, Category)> for Catalogue {
    fn from_iter<I: IntoIterator<Item = (ProductId, Category)>>(products: I) -> Self {
        Self(products.into_iter().collect())
    }
}
