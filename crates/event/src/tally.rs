//! What a batch of events adds up to, before the store has seen any of it.
//!
//! Invariant: folding is commutative and two tallies can be merged in any order, so neither the order of partitions nor how
//! batches are cut changes what the store holds in the end.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::accepted::{Sale, WeatherReport};
use crate::category::Category;
use crate::id::EventId;
use crate::money::Money;
use crate::product::ProductId;
use crate::second_prices::SecondPrices;
use crate::time::Timestamp;

/// How much of the time series is kept. Part of the meaning of the counters: everything that folds into one store
/// must use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Newest price points kept of each category.
    pub history_len: usize,
    /// Seconds kept of sales and prices by second, counted back from the newest sale.
    pub series_seconds: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { history_len: 500, series_seconds: 900 }
    }
}

/// One point of a category's price history, ordered by time of acceptance, then by identity, then by the price's text, as
/// the store's sorted set orders its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PricePoint {
    /// When the sale was accepted.
    pub accepted_at: Timestamp,
    /// The sale.
    pub id: EventId,
    /// Its price.
    pub price: Money,
}

impl Ord for PricePoint {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_price = || self.price.to_string().cmp(&other.price.to_string());
        (self.accepted_at, self.id).cmp(&(other.accepted_at, other.id)).then_with(by_price)
    }
}

impl PartialOrd for PricePoint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What one category's sales add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CategoryTally {
    /// Number of sales.
    pub sales: u64,
    /// Sum of prices, in cents.
    pub price_cents: u128,
    /// Sum of units.
    pub units: u128,
    /// Sum of price × units, in cents.
    pub revenue_cents: u128,
    /// Units by product.
    pub units_by_product: HashMap<ProductId, u64>,
    /// The newest price points, oldest first, at most [`Bounds::history_len`].
    history: VecDeque<PricePoint>,
}

/// What a set of sales adds up to: the mergeable aggregate that the store applies.
///
/// `fold` and `merge` in any order and grouping give the same tally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleTally {
    bounds: Bounds,
    categories: [CategoryTally; 4],
    price_range: Option<(Money, Money)>,
    seconds: BTreeMap<u64, OfSecond>,
}

/// Of the sales of a second, by category.
type OfSecond = [Option<SecondPrices>; 4];

impl SaleTally {
    /// The tally of no sales.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, categories: Default::default(), price_range: None, seconds: BTreeMap::new() }
    }

    /// Adds one sale.
    pub fn fold(&mut self, sale: &Sale) {
        let draft = &sale.draft;
        let units = u64::from(draft.quantity.units());
        self.widen(draft.price, draft.price);
        if let Some(second) = self.second(sale.accepted_at.seconds()) {
            add_prices(&mut second[draft.category.index()], &SecondPrices::of(draft.price));
        }
        let category = &mut self.categories[draft.category.index()];
        category.sales += 1;
        category.price_cents += u128::from(draft.price.cents());
        category.units += u128::from(units);
        category.revenue_cents += u128::from(sale.revenue_cents());
        match category.units_by_product.get_mut(&draft.product_id) {
            Some(sum) => *sum += units,
            None => {
                category.units_by_product.insert(draft.product_id.clone(), units);
            }
        }
        let point = PricePoint { accepted_at: sale.accepted_at, id: sale.id, price: draft.price };
        category.keep(point, self.bounds.history_len);
    }

    /// Adds all sales of another tally with the same bounds.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.bounds, other.bounds, "tallies of different bounds do not add up");
        if let Some((min, max)) = other.price_range {
            self.widen(min, max);
        }
        for (second, theirs) in &other.seconds {
            let Some(mine) = self.second(*second) else { continue };
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                theirs.iter().for_each(|theirs| add_prices(mine, theirs));
            }
        }
        for (mine, theirs) in self.categories.iter_mut().zip(&other.categories) {
            mine.sales += theirs.sales;
            mine.price_cents += theirs.price_cents;
            mine.units += theirs.units;
            mine.revenue_cents += theirs.revenue_cents;
            for (product, units) in &theirs.units_by_product {
                *mine.units_by_product.entry(product.clone()).or_default() += units;
            }
            for point in &theirs.history {
                mine.keep(*point, self.bounds.history_len);
            }
        }
    }

    /// The bounds it was made with.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Number of sales.
    pub fn sales(&self) -> u64 {
        self.categories.iter().map(|category| category.sales).sum()
    }

    /// What one category adds up to.
    pub fn category(&self, category: Category) -> &CategoryTally {
        &self.categories[category.index()]
    }

    /// Lowest and highest price, or `None` without sales.
    pub fn price_range(&self) -> Option<(Money, Money)> {
        self.price_range
    }

    /// Sales by second since the epoch, oldest first, above the floor of [`Bounds::series_seconds`].
    pub fn seconds(&self) -> impl Iterator<Item = (u64, u64)> {
        let sales = |of: &OfSecond| of.iter().flatten().map(|prices| prices.sales).sum();
        self.seconds.iter().map(move |(second, of)| (*second, sales(of)))
    }

    /// Prices of one category by second, as [`SaleTally::seconds`] has its sales. A second without sales is absent.
    pub fn prices(&self, category: Category) -> impl Iterator<Item = (u64, &SecondPrices)> {
        self.seconds.iter().filter_map(move |(second, of)| Some((*second, of[category.index()].as_ref()?)))
    }

    fn widen(&mut self, min: Money, max: Money) {
        self.price_range = Some(match self.price_range {
            Some((low, high)) => (low.min(min), high.max(max)),
            None => (min, max),
        });
    }

    /// The place of a second, unless it lies below the floor, which a newer second raises.
    fn second(&mut self, second: u64) -> Option<&mut OfSecond> {
        let newest = self.seconds.last_key_value().map_or(second, |(newest, _)| *newest);
        let floor = newest.max(second).saturating_sub(self.bounds.series_seconds.saturating_sub(1));
        if second > newest {
            self.seconds = self.seconds.split_off(&floor);
        }
        (second >= floor).then(|| self.seconds.entry(second).or_default())
    }
}

fn add_prices(to: &mut Option<SecondPrices>, prices: &SecondPrices) {
    match to {
        Some(sum) => sum.merge(prices),
        None => *to = Some(*prices),
    }
}

impl CategoryTally {
    /// The newest price points, oldest first.
    pub fn history(&self) -> &VecDeque<PricePoint> {
        &self.history
    }

    /// Sales come nearly in order of time, so the place is nearly always the end.
    fn keep(&mut self, point: PricePoint, len: usize) {
        let at = self.history.partition_point(|kept| *kept < point);
        if self.history.get(at) == Some(&point) {
            return;
        }
        self.history.insert(at, point);
        if self.history.len() > len {
            self.history.pop_front();
        }
    }
}

/// What a set of weather reports adds up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WeatherTally {
    /// Number of reports by country.
    pub by_country: BTreeMap<String, u64>,
    /// The reports themselves, each kept under a key of its own.
    pub reports: Vec<WeatherReport>,
}

impl WeatherTally {
    /// Adds one report.
    pub fn fold(&mut self, report: WeatherReport) {
        *self.by_country.entry(report.draft.country.clone()).or_default() += 1;
        self.reports.push(report);
    }

    /// Number of reports.
    pub fn total(&self) -> u64 {
        self.by_country.values().sum()
    }
}

#[cfg(test)]
mod tests;
