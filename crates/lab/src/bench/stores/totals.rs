//! What several stores have counted, added up: what a reader would do with one snapshot of each.
//!
//! Invariant: the totals of any groups of the sales add up to the totals of all of them. Sums and numbers are added, extremes
//! are the extremes, of the newest prices the newest are kept, and seconds below the newest store's floor are left out.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use blackfriday_event::{Bounds, Category, Money, SaleTally};
use blackfriday_store::{CategorySnapshot, Snapshot};

use crate::bench::price::in_cents;

/// Everything that is shown of sales. The averages are sums by numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Totals {
    bounds: Bounds,
    /// Cents.
    price_range: Option<(u128, u128)>,
    by_category: BTreeMap<&'static str, OfCategory>,
    /// Units by product, whatever the category.
    units: BTreeMap<String, u64>,
    /// Sales by second.
    seconds: BTreeMap<u64, u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OfCategory {
    sales: u128,
    price_cents: u128,
    units: u128,
    revenue_cents: u128,
    units_by_product: BTreeMap<String, u64>,
    /// The newest prices by time: milliseconds and cents.
    history: BTreeMap<u64, u128>,
    prices: BTreeMap<u64, Prices>,
}

/// Of a second, in cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prices {
    sales: u128,
    sum: u128,
    min: u128,
    max: u128,
}

impl Totals {
    /// Of no sales.
    pub(super) fn new(bounds: Bounds) -> Self {
        let (by_category, units, seconds) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { bounds, price_range: None, by_category, units, seconds }
    }

    /// Of one store: its snapshot has every product and every history.
    pub(super) fn of_store(snapshot: &Snapshot, bounds: Bounds) -> Result<Self> {
        let mut totals = Self::new(bounds);
        if let (Some(min), Some(max)) = (&snapshot.price_min, &snapshot.price_max) {
            totals.price_range = Some((in_cents(min)?, in_cents(max)?));
        }
        let units = snapshot.most_sold.iter().map(|product| (product.product_id.clone(), product.units));
        totals.units = units.collect();
        totals.seconds = snapshot.series.iter().map(|second| (second.second, second.sales)).collect();
        for (name, of) in &snapshot.categories {
            totals.by_category.insert(*name, OfCategory::of_store(of).with_context(|| (*name).to_owned())?);
        }
        Ok(totals)
    }

    /// Of sales that were folded.
    pub(super) fn of_tally(tally: &SaleTally) -> Self {
        let mut totals = Self::new(tally.bounds());
        let cents = |price: Money| u128::from(price.cents());
        totals.price_range = tally.price_range().map(|(min, max)| (cents(min), cents(max)));
        totals.seconds = tally.seconds().collect();
        for category in Category::ALL {
            let of = tally.category(category);
            if of.sales == 0 {
                continue;
            }
            for (product, units) in &of.units_by_product {
                *totals.units.entry(product.to_string()).or_default() += units;
            }
            let products = of.units_by_product.iter().map(|(product, units)| (product.to_string(), *units));
            let prices = tally.prices(category).map(|(second, of)| {
                let (min, max) = (cents(of.min), cents(of.max));
                (second, Prices { sales: of.sales.into(), sum: of.cents, min, max })
            });
            let history = of.history().iter().map(|point| (point.accepted_at.millis(), cents(point.price)));
            let of = OfCategory {
                sales: of.sales.into(),
                price_cents: of.price_cents,
                units: of.units,
                revenue_cents: of.revenue_cents,
                units_by_product: products.collect(),
                history: history.collect(),
                prices: prices.collect(),
            };
            totals.by_category.insert(category.name(), of);
        }
        totals
    }

    /// Adds those of another store, which has other sales.
    pub(super) fn add(&mut self, other: Self) {
        self.price_range = match (self.price_range, other.price_range) {
            (Some((low, high)), Some((min, max))) => Some((low.min(min), high.max(max))),
            (mine, theirs) => mine.or(theirs),
        };
        add_all(&mut self.units, other.units);
        add_all(&mut self.seconds, other.seconds);
        let newest = self.seconds.last_key_value().map_or(0, |(newest, _)| *newest);
        let floor = newest.saturating_sub(self.bounds.series_seconds.saturating_sub(1));
        self.seconds = self.seconds.split_off(&floor);
        for (name, theirs) in other.by_category {
            self.by_category.entry(name).or_default().add(theirs, self.bounds.history_len);
        }
        for of in self.by_category.values_mut() {
            of.prices = of.prices.split_off(&floor);
        }
    }

    /// The bounds of each store.
    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Number of sales.
    pub(super) fn sales(&self) -> u128 {
        self.by_category.values().map(|of| of.sales).sum()
    }

    /// The first part that is not the same.
    pub(super) fn differs_in(&self, other: &Self) -> Option<String> {
        let parts = [
            ("number of sales", self.sales() == other.sales()),
            ("lowest and highest price", self.price_range == other.price_range),
            ("units by product", self.units == other.units),
            ("sales by second", self.seconds == other.seconds),
        ];
        let differs = parts.into_iter().find_map(|(name, same)| (!same).then(|| name.to_owned()));
        differs.or_else(|| {
            let mut names = self.by_category.keys().chain(other.by_category.keys());
            let name = names.find(|name| self.by_category.get(**name) != other.by_category.get(**name));
            name.map(|name| format!("sums, products or prices of {name}"))
        })
    }
}

impl OfCategory {
    fn of_store(of: &CategorySnapshot) -> Result<Self> {
        let text = |number: &Option<String>| number.clone().context("a sum is missing");
        let whole = |number: &Option<String>| text(number)?.parse::<u128>().context("a sum is not whole");
        let mut found = Self {
            sales: whole(&of.sales)?,
            price_cents: in_cents(&text(&of.price_sum)?)?,
            units: whole(&of.units_sum)?,
            revenue_cents: in_cents(&text(&of.revenue_sum)?)?,
            ..Self::default()
        };
        for product in &of.most_sold {
            found.units_by_product.insert(product.product_id.clone(), product.units);
        }
        for point in &of.history {
            found.history.insert(point.at_ms, in_cents(&point.price)?);
        }
        for second in &of.prices {
            let prices = Prices {
                sales: second.sales.parse().context("a number of sales")?,
                sum: in_cents(&second.sum)?,
                min: in_cents(&second.min)?,
                max: in_cents(&second.max)?,
            };
            found.prices.insert(second.second, prices);
        }
        Ok(found)
    }

    fn add(&mut self, other: Self, history_len: usize) {
        self.sales += other.sales;
        self.price_cents += other.price_cents;
        self.units += other.units;
        self.revenue_cents += other.revenue_cents;
        add_all(&mut self.units_by_product, other.units_by_product);
        self.history.extend(other.history);
        while self.history.len() > history_len {
            self.history.pop_first();
        }
        for (second, theirs) in other.prices {
            let mine = self.prices.entry(second);
            mine.and_modify(|mine| {
                mine.sales += theirs.sales;
                mine.sum += theirs.sum;
                mine.min = mine.min.min(theirs.min);
                mine.max = mine.max.max(theirs.max);
            })
            .or_insert(theirs);
        }
    }
}

fn add_all<K: Ord>(to: &mut BTreeMap<K, u64>, numbers: BTreeMap<K, u64>) {
    for (name, number) in numbers {
        *to.entry(name).or_default() += number;
    }
}

#[cfg(test)]
mod tests {
    use blackfriday_store::{Batch, BatchTally};

    use super::super::workload::Workload;
    use super::*;

    /// Small enough that each group forgets prices and seconds that another one still has.
    const BOUNDS: Bounds = Bounds { history_len: 7, series_seconds: 2 };

    fn group(steps: &[Vec<Batch>], partitions: std::ops::Range<usize>) -> SaleTally {
        let mut tally = SaleTally::new(BOUNDS);
        for batch in steps.iter().flat_map(|step| &step[partitions.clone()]) {
            let BatchTally::Sales(of) = &batch.tally else { panic!("a tally of sales") };
            tally.merge(of);
        }
        tally
    }

    #[test]
    fn the_totals_of_groups_add_up_to_the_totals_of_all() {
        let workload = Workload::make(4, 5, 11, BOUNDS).expect("sales");
        let all = Totals::of_tally(&workload.whole);
        assert_eq!(all.sales(), 250 * 4 * 5);
        // The last group has counted less far than the others: its newest second is an older one.
        let late = workload.steps.len() / 2;
        for number in [1, 2, 4] {
            let each = 4 / number;
            let groups: Vec<_> = (0..number).map(|group| group * each..(group + 1) * each).collect();
            let mut sum = Totals::new(BOUNDS);
            groups.iter().for_each(|of| sum.add(Totals::of_tally(&group(&workload.steps, of.clone()))));
            assert_eq!(sum.differs_in(&all), None);
            assert_eq!(sum, all);

            let (last, others) = groups.split_last().expect("groups");
            let mut sum = Totals::of_tally(&group(&workload.steps[..late], last.clone()));
            let mut expected = group(&workload.steps[..late], last.clone());
            for of in others {
                sum.add(Totals::of_tally(&group(&workload.steps, of.clone())));
                expected.merge(&group(&workload.steps, of.clone()));
            }
            assert_eq!(sum, Totals::of_tally(&expected));
        }
    }

    #[test]
    fn what_differs_is_named() {
        let workload = Workload::make(2, 3, 11, BOUNDS).expect("sales");
        let all = Totals::of_tally(&workload.whole);
        let mut less = Totals::of_tally(&group(&workload.steps, 0..1));
        assert_eq!(less.differs_in(&all).as_deref(), Some("number of sales"));
        less = all.clone();
        less.units.insert("P-3".to_owned(), 1);
        assert_eq!(less.differs_in(&all).as_deref(), Some("units by product"));
        less = all.clone();
        less.by_category.get_mut("Ropa").expect("sold").history.pop_first();
        assert_eq!(less.differs_in(&all).as_deref(), Some("sums, products or prices of Ropa"));
    }
}
