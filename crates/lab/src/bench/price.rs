use anyhow::{Context as _, Result};

/// A price or a sum of prices with two decimals, in cents.
pub(super) fn in_cents(price: &str) -> Result<u128> {
    let parts = price.split_once('.').filter(|(_, cents)| cents.len() == 2);
    let (whole, cents) = parts.with_context(|| format!("{price:?} has not two decimals"))?;
    format!("{whole}{cents}").parse().with_context(|| format!("{price:?} is not a price"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_its_cents_and_anything_else_is_an_error() {
        assert_eq!(in_cents("5000000.07").expect("a price"), 500_000_007);
        assert_eq!(in_cents("0.10").expect("a price"), 10);
        for wrong in ["", "1", "1.5", "1.500", "x.10", "-1.00"] {
            assert!(in_cents(wrong).is_err(), "{wrong}");
        }
    }
}
