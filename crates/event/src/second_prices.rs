use crate::money::Money;

/// What the prices of one category's sales of one second add up to. There is at least one sale.
///
/// Merging is commutative and associative, and exact: the mean is the sum by the number of sales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondPrices {
    /// Number of sales.
    pub sales: u64,
    /// Sum of prices, in cents.
    pub cents: u128,
    /// The lowest price.
    pub min: Money,
    /// The highest price.
    pub max: Money,
}

impl SecondPrices {
    /// Of one sale.
    pub fn of(price: Money) -> Self {
        Self { sales: 1, cents: price.cents().into(), min: price, max: price }
    }

    /// Adds those of other sales.
    pub fn merge(&mut self, other: &Self) {
        self.sales += other.sales;
        self.cents += other.cents;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}
