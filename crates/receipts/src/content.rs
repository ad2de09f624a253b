use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use blackfriday_event::{SaleDraft, WeatherDraft};
use sha2::{Digest as _, Sha256};

/// What an event is about, without its identity, key and time: the first 8 bytes of the SHA-256 of its fields.
///
/// The receipts' own, and no other part's: what a file says does not change its meaning with the program, and a record
/// that the program reads wrongly in one place is not compared with itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Content([u8; 8]);

impl Content {
    /// Of a sale.
    pub fn of_sale(sale: &SaleDraft) -> Self {
        let (category, product, units) = (sale.category.name(), &sale.product_id, sale.quantity.units());
        Self::of(format_args!("sale\n{category}\n{product}\n{}\n{units}\n", sale.price.cents()))
    }

    /// Of a weather report.
    pub fn of_weather(report: &WeatherDraft) -> Self {
        let WeatherDraft { description, country, weather } = report;
        // A description may have lines, and so may not be followed by anything.
        Self::of(format_args!("weather\n{country}\n{weather}\n{description}"))
    }

    fn of(text: fmt::Arguments<'_>) -> Self {
        let digest = Sha256::digest(text.to_string());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[..8]);
        Self(bytes)
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl FromStr for Content {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, anyhow::Error> {
        let is_hexadecimal = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(is_hexadecimal, "no hash of an event: {text:?}");
        Ok(Self(u64::from_str_radix(text, 16).context("16 hexadecimal digits")?.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use blackfriday_event::{Category, Money, ProductId, Quantity};

    use super::*;

    fn sale(category: Category, product: &str, cents: u64, units: i64) -> SaleDraft {
        SaleDraft {
            category,
            product_id: ProductId::new(product).expect("an id"),
            price: Money::from_cents(cents).expect("a price"),
            quantity: Quantity::new(units).expect("units"),
        }
    }

    #[test]
    fn every_field_matters_and_old_files_keep_their_meaning() {
        let content = Content::of_sale(&sale(Category::Ropa, "R-001", 8_999, 2));
        assert_eq!(content.to_string(), "e9f3146bcdee71ef");
        assert_eq!(content.to_string().parse::<Content>().expect("reads back"), content);
        for other in [
            sale(Category::Hogar, "R-001", 8_999, 2),
            sale(Category::Ropa, "R-002", 8_999, 2),
            sale(Category::Ropa, "R-001", 8_998, 2),
            sale(Category::Ropa, "R-001", 8_999, 1),
        ] {
            assert_ne!(Content::of_sale(&other), content, "{other:?}");
        }
        let report = |description: &str, country: &str, weather: &str| {
            Content::of_weather(&WeatherDraft::new(description, country, weather).expect("a report"))
        };
        assert_eq!(report("Nubes", "GT", "Nublado").to_string(), "f53b7733df820ee1");
        assert_ne!(report("Nubes", "GT", "Nublado"), report("Nubes", "GT", "Soleado"));
        assert_ne!(report("Nubes", "GT", "Nublado"), report("", "GT", "Nublado"));
    }
}
