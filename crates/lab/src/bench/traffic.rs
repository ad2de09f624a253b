use std::fmt::Write as _;

/// The prices and quantities of a run are the same in each.
const SEED: u64 = 17;
const CATEGORIES: [&str; 4] = ["Electronica", "Ropa", "Hogar", "Belleza"];

/// Sales as clients write them, drawn from so many products.
pub(crate) struct Traffic {
    products: u64,
    state: u64,
}

impl Traffic {
    pub(crate) fn of(products: u64) -> Self {
        Self { products, state: SEED }
    }

    /// One sale.
    pub(crate) fn sale(&mut self) -> String {
        let product = self.below(self.products);
        let category = CATEGORIES[usize::try_from(product % 4).unwrap_or(0)];
        let (cents, units) = (100 + self.below(99_900), 1 + self.below(5));
        format!(
            "{{\"categoria\":\"{category}\",\"producto_id\":\"P-{product}\",\"precio\":{}.{:02},\"cantidad_vendida\":{units}}}",
            cents / 100,
            cents % 100
        )
    }

    /// So many in an array.
    pub(crate) fn batch(&mut self, sales: u64) -> String {
        let mut body = String::from("[");
        for at in 0..sales {
            let comma = if at == 0 { "" } else { "," };
            // Writing into a string cannot fail.
            write!(body, "{comma}{}", self.sale()).ok();
        }
        body.push(']');
        body
    }

    /// xorshift64* (Vigna 2016): for bodies that compress as little as real ones, no more is needed.
    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % limit
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn sales_are_json_and_the_same_in_each_run() {
        let batch: Value = serde_json::from_str(&Traffic::of(400).batch(500)).expect("JSON");
        let items = batch.as_array().expect("an array");
        assert_eq!(items.len(), 500);
        assert!(items.iter().all(|item| item["precio"].as_f64().is_some_and(|price| price >= 1.0)));
        assert_eq!(Traffic::of(400).sale(), Traffic::of(400).sale());
    }
}
