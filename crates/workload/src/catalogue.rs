use blackfriday_event::{Category, FieldError, Money, ProductId};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::Arrivals;

const DEFAULT: &str = include_str!("../assets/black-friday.toml");

/// A workload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// It is not TOML of the expected form.
    #[error("read the workload")]
    Toml(#[source] toml::de::Error),
    /// A product's field is wrong.
    #[error("product {at} of the workload: {error}")]
    Product {
        /// Its place in the file, from 1.
        at: usize,
        /// What is allowed.
        error: FieldError,
    },
    /// It has no product, or the weights are all zero.
    #[error("the workload needs a product with a weight above 0")]
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
        let product = |(at, product): (usize, FileProduct)| {
            Product::new(product).map_err(|error| WorkloadError::Product { at: at + 1, error })
        };
        let products: Vec<_> =
            file.products.into_iter().enumerate().map(product).collect::<Result<_, _>>()?;
        if products.iter().all(|product| product.weight == 0) {
            return Err(WorkloadError::Empty);
        }
        let points = file.arrivals.into_iter().map(|point| (point.at, point.rate)).collect();
        let arrivals = Arrivals::new(points).map_err(WorkloadError::Arrivals)?;
        let digest = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Ok(Self {
            title: file.title,
            seed: file.seed,
            products,
            arrivals,
            digest: format!("sha256:{digest}"),
        })
    }

    /// The SHA-256 of its file: results name it.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl Product {
    fn new(product: FileProduct) -> Result<Self, FieldError> {
        Ok(Self {
            id: ProductId::new(&product.id)?,
            name: product.name,
            category: Category::parse(&product.category)?,
            price: Money::from_f64(product.price)?,
            weight: product.weight,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_workload_sells_all_categories() {
        let workload = Workload::black_friday();
        for category in Category::ALL {
            assert!(workload.products.iter().filter(|product| product.category == category).count() >= 10);
        }
        assert!(workload.digest().starts_with("sha256:"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let head = "title = \"t\"\nseed = 1\narrivals = [{ at = 0.0, rate = 1.0 }]\n";
        let product = |price: &str| {
            format!(
                "{head}[[products]]\nid = \"a\"\nname = \"A\"\ncategory = \"Ropa\"\nprice = {price}\nweight = 1\n"
            )
        };
        assert!(Workload::parse(&product("1.0")).is_ok());
        let error = Workload::parse(&product("-1.0")).expect_err("a negative price").to_string();
        assert!(error.contains("product 1") && error.contains("precio"), "{error}");
        assert!(matches!(Workload::parse("title = 1"), Err(WorkloadError::Toml(_))));
        assert!(matches!(Workload::parse(&format!("{head}products = []")), Err(WorkloadError::Empty)));
        let flat = product("1.0").replace("rate = 1.0", "rate = 0.0");
        assert!(matches!(Workload::parse(&flat), Err(WorkloadError::Arrivals(_))));
    }
}
