//! A workload's file: its products with their weights and prices, its seed and its arrival curve. What is wrong in it is named by
//! line, product and field.

use std::collections::HashSet;

use blackfriday_event::{Category, FieldError, Money, ProductId};
use blackfriday_registry::digest;
use serde::Deserialize;

use crate::arrivals::Arrivals;

const DEFAULT: &str = include_str!("../assets/black-friday.toml");

/// A workload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// It is not TOML of the expected form; the cause names the line and the field.
    #[error("read the workload")]
    Toml(#[source] toml::de::Error),
    /// A product's field is wrong.
    #[error("product {at} of the workload, {field}: {message}")]
    Product {
        /// Its place in the file, from 1.
        at: usize,
        /// The field, as the file calls it.
        field: &'static str,
        /// What is allowed.
        message: String,
    },
    /// It has no product, or the weights are all zero.
    #[error("products: one with a weight above 0 is needed")]
    Empty,
    /// The arrival curve is no curve.
    #[error("arrivals: {0}")]
    Arrivals(&'static str),
}

/// What is sold, and how the buyers arrive.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Its name.
    pub title: String,
    /// The seed that traffic has unless another is given.
    pub seed: u64,
    /// What is sold.
    pub products: Vec<Product>,
    /// How the buyers arrive.
    pub arrivals: Arrivals,
    digest: String,
    pinned: Option<String>,
}

/// A product of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its identifier.
    pub id: ProductId,
    /// Its name.
    pub name: String,
    /// Its category.
    pub category: Category,
    /// Its list price.
    pub price: Money,
    /// How far below the list price it may be sold, in percent, 0 to 100.
    pub discount: u8,
    /// How often it is sold, relative to the others.
    pub weight: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    seed: u64,
    arrivals: Vec<Point>,
    products: Vec<FileProduct>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Point {
    at: f64,
    rate: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileProduct {
    id: String,
    name: String,
    category: String,
    price: f64,
    #[serde(default)]
    discount: u8,
    weight: u32,
}

impl Workload {
    /// The workload that comes with the program.
    pub fn black_friday() -> Self {
        Self::parse(DEFAULT).expect("the built-in workload is valid")
    }

    /// Reads a workload from TOML.
    ///
    /// # Errors
    /// It is not TOML of the expected form, or a value is out of range; the error names the place.
    pub fn parse(text: &str) -> Result<Self, WorkloadError> {
        let file: File = toml::from_str(text).map_err(WorkloadError::Toml)?;
        let products = products(file.products)?;
        if products.iter().all(|product| product.weight == 0) {
            return Err(WorkloadError::Empty);
        }
        let points = file.arrivals.into_iter().map(|point| (point.at, point.rate)).collect();
        let arrivals = Arrivals::new(points).map_err(WorkloadError::Arrivals)?;
        Ok(Self {
            title: file.title,
            seed: file.seed,
            products,
            arrivals,
            digest: digest::sha256(text),
            pinned: None,
        })
    }

    /// The SHA-256 of its file: results name it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// `oci://…@sha256:…` if it came from a registry: results name it.
    pub fn pinned(&self) -> Option<&str> {
        self.pinned.as_deref()
    }

    pub(crate) fn pulled_from(self, pinned: String) -> Self {
        Self { pinned: Some(pinned), ..self }
    }
}

fn products(file: Vec<FileProduct>) -> Result<Vec<Product>, WorkloadError> {
    let mut known = HashSet::new();
    let mut products = Vec::with_capacity(file.len());
    for (at, product) in file.into_iter().enumerate() {
        let wrong = |field, message: String| WorkloadError::Product { at: at + 1, field, message };
        let product = Product::new(product).map_err(|(field, message)| wrong(field, message))?;
        if !known.insert(product.id.clone()) {
            return Err(wrong("id", format!("{} is there already", product.id)));
        }
        products.push(product);
    }
    Ok(products)
}

impl Product {
    fn new(product: FileProduct) -> Result<Self, (&'static str, String)> {
        let named = |field| move |error: FieldError| (field, error.message);
        if product.discount > 100 {
            return Err(("discount", "must be a whole number from 0 to 100".to_owned()));
        }
        Ok(Self {
            id: ProductId::new(&product.id).map_err(named("id"))?,
            name: product.name,
            category: Category::parse(&product.category).map_err(named("category"))?,
            price: Money::from_f64(product.price).map_err(named("price"))?,
            discount: product.discount,
            weight: product.weight,
        })
    }

    /// The lowest price that it is sold at.
    pub fn lowest_price(&self) -> Money {
        let cents = u64::from(self.price.cents()) * (100 - u64::from(self.discount)) / 100;
        Money::from_cents(cents).unwrap_or(self.price)
    }
}

/// What holds of any file.
#[cfg(any(test, fuzzing))]
pub(crate) fn can_be_sold_or_is_refused(text: &str) {
    let Ok(workload) = Workload::parse(text) else { return };
    for at in [0.0, 0.5, 1.0] {
        assert!((0.0..=1.0).contains(&workload.arrivals.at(at)));
    }
    let traffic = crate::Traffic::new(workload.clone(), Some(1));
    for n in [0, 1, u64::MAX] {
        let sold = traffic.sale(n);
        let product = workload.products.iter().find(|product| product.id == sold.product_id);
        assert!(product.is_some_and(|product| product.weight > 0 && product.category == sold.category));
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    proptest! {
        #[test]
        fn any_file_is_a_workload_that_can_be_sold_or_refused(
            edits in vec((any::<Index>(), 0..6_usize, "[ -~\n\u{e9}]{0,5}"), 0..4),
        ) {
            let mut text: Vec<char> = format!("{HEAD}{PRODUCT}{PRODUCT}").replacen("\"a\"", "\"b\"", 1).chars().collect();
            for (at, gone, new) in edits {
                let from = at.index(text.len() + 1);
                let to = (from + gone).min(text.len());
                text.splice(from..to, new.chars());
            }
            can_be_sold_or_is_refused(&text.into_iter().collect::<String>());
        }
    }

    const HEAD: &str = "title = \"t\"\nseed = 1\narrivals = [{ at = 0.0, rate = 1.0 }]\n";
    const PRODUCT: &str =
        "[[products]]\nid = \"a\"\nname = \"A\"\ncategory = \"Ropa\"\nprice = 1.0\nweight = 1\n";

    #[test]
    fn the_built_in_workload_sells_all_categories() {
        let workload = Workload::black_friday();
        for category in Category::ALL {
            assert!(workload.products.iter().filter(|product| product.category == category).count() >= 25);
        }
        assert!(workload.digest().starts_with("sha256:"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let parse = |text: &str| {
            Workload::parse(text).map_err(|error| match std::error::Error::source(&error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            })
        };
        assert!(parse(&format!("{HEAD}{PRODUCT}")).is_ok());
        for (right, wrong, named) in [
            ("price = 1.0", "price = -1.0", "product 1 of the workload, price"),
            ("price = 1.0", "price = inf", "product 1 of the workload, price"),
            ("price = 1.0", "price = 1.0\ndiscount = 101", "product 1 of the workload, discount"),
            ("\"Ropa\"", "\"Juguetes\"", "product 1 of the workload, category"),
            ("id = \"a\"", "id = \"\"", "product 1 of the workload, id"),
            ("price = 1.0\n", "", "missing field `price`"),
            ("weight = 1", "weight = -1", "weight = -1"),
            ("weight = 1", "weight = 1\ncolour = 1", "unknown field `colour`"),
            ("weight = 1", "weight = 0", "products: "),
            ("rate = 1.0", "rate = 0.0", "arrivals: "),
            ("at = 0.0", "at = 1.5", "arrivals: at"),
            ("seed = 1", "seed = \"x\"", "seed"),
        ] {
            let text = format!("{HEAD}{PRODUCT}").replace(right, wrong);
            let error = parse(&text).expect_err(wrong);
            assert!(error.contains(named), "{wrong}: {error}");
        }
        let twice = parse(&format!("{HEAD}{PRODUCT}{PRODUCT}")).expect_err("the same identifier twice");
        assert!(twice.contains("product 2 of the workload, id: a is there already"), "{twice}");
    }
}
