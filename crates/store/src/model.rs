//! The whole store a second time: in memory, naive, one event at a time, written without a look at the tally or the
//! function. Property tests compare it with Valkey; `verify` feeds it the event log and compares every key.
//!
//! It keeps sums, not sales: its size follows the number of products, of idempotency keys of a day, and of weather reports.

mod compare;
mod expected;

use std::collections::{BTreeMap, BTreeSet};

use blackfriday_event::{Category, IDEMPOTENCY_WINDOW_MS, IdempotencyKey, Sale, WeatherReport};

use crate::StoreConfig;
use crate::keys::Keys;

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// A hash.
    Hash(BTreeMap<String, String>),
    /// A sorted set: member and score.
    Sorted(BTreeMap<String, String>),
    /// Any of these, with a time at which it vanishes.
    Expiring {
        /// Milliseconds since the Unix epoch.
        at_ms: u64,
        /// The value.
        value: Box<Value>,
    },
}

/// One place where the store is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: String,
    /// The field of a hash, the member of a sorted set, or `(expires at)`.
    pub field: Option<String>,
    /// What should be there.
    pub expected: Option<String>,
    /// What is there.
    pub found: Option<String>,
}

/// What the store must hold after the events that were recorded.
#[derive(Debug, Clone)]
pub struct State {
    keys: Keys,
    config: StoreConfig,
    positions: BTreeMap<(String, i32), i64>,
    counted_keys: BTreeMap<(String, i32), CountedKeys>,
    prices: Option<(u32, u32)>,
    sales: BTreeMap<Category, Sums>,
    units: BTreeMap<String, u128>,
    seconds: BTreeMap<u64, u64>,
    countries: BTreeMap<String, u64>,
    reports: BTreeMap<String, WeatherReport>,
}

/// What the sales of a category add up to.
#[derive(Debug, Clone, Default)]
struct Sums {
    sales: u128,
    price_cents: u128,
    units: u128,
    revenue_cents: u128,
    units_by_product: BTreeMap<String, u128>,
    /// Time, identity, price.
    history: BTreeSet<(u64, String, String)>,
}

/// The idempotency keys that a partition remembers, and the same by time.
#[derive(Debug, Clone, Default)]
struct CountedKeys {
    at: BTreeMap<String, u64>,
    by_time: BTreeSet<(u64, String)>,
}

impl State {
    pub(crate) fn new(keys: &Keys, config: &StoreConfig) -> Self {
        Self {
            keys: keys.clone(),
            config: config.clone(),
            positions: BTreeMap::new(),
            counted_keys: BTreeMap::new(),
            prices: None,
            sales: BTreeMap::new(),
            units: BTreeMap::new(),
            seconds: BTreeMap::new(),
            countries: BTreeMap::new(),
            reports: BTreeMap::new(),
        }
    }

    /// Says that a partition was counted up to `position`.
    pub fn advance(&mut self, topic: &str, partition: i32, position: i64) {
        self.positions.insert((topic.to_owned(), partition), position);
    }

    /// Records the next sale of a partition. False if it is a repetition under a key that was counted.
    pub fn record_sale(&mut self, topic: &str, partition: i32, sale: &Sale) -> bool {
        let counts = self.admit(topic, partition, sale.idempotency_key.as_ref(), sale.accepted_at.millis());
        if counts {
            self.count_sale(sale);
        }
        counts
    }

    /// Records the next weather report of a partition. False if it is a repetition under a key that was counted.
    pub fn record_weather(&mut self, topic: &str, partition: i32, report: &WeatherReport) -> bool {
        let counts =
            self.admit(topic, partition, report.idempotency_key.as_ref(), report.accepted_at.millis());
        if counts {
            *self.countries.entry(report.draft.country.clone()).or_default() += 1;
            self.reports.insert(self.keys.weather(report), report.clone());
        }
        counts
    }

    /// Sales recorded.
    pub fn sales(&self) -> u128 {
        self.sales.values().map(|sums| sums.sales).sum()
    }

    fn admit(&mut self, topic: &str, partition: i32, key: Option<&IdempotencyKey>, at: u64) -> bool {
        let Some(key) = key.map(IdempotencyKey::as_str) else { return true };
        let counted = self.counted_keys.entry((topic.to_owned(), partition)).or_default();
        let newest = counted.by_time.last().map_or(at, |(newest, _)| at.max(*newest));
        let floor = newest.saturating_sub(IDEMPOTENCY_WINDOW_MS);
        if counted.at.get(key).is_some_and(|counted_at| *counted_at >= floor) {
            return false;
        }
        counted.remember(key, at);
        counted.forget_below(floor);
        true
    }

    fn count_sale(&mut self, sale: &Sale) {
        let (cents, units) = (sale.draft.price.cents(), u128::from(sale.draft.quantity.units()));
        let (min, max) = self.prices.unwrap_or((cents, cents));
        self.prices = Some((min.min(cents), max.max(cents)));
        let product = sale.draft.product_id.to_string();
        *self.units.entry(product.clone()).or_default() += units;
        let sums = self.sales.entry(sale.draft.category).or_default();
        sums.sales += 1;
        sums.price_cents += u128::from(cents);
        sums.units += units;
        sums.revenue_cents += u128::from(cents) * units;
        *sums.units_by_product.entry(product).or_default() += units;
        sums.history.insert((sale.accepted_at.millis(), sale.id.to_string(), decimal(cents.into())));
        if sums.history.len() > self.config.bounds().history_len {
            sums.history.pop_first();
        }
        *self.seconds.entry(sale.accepted_at.seconds()).or_default() += 1;
        let newest = *self.seconds.keys().next_back().unwrap_or(&0);
        let kept = u64::from(self.config.series_seconds);
        while self.seconds.keys().next().is_some_and(|oldest| *oldest + kept <= newest) {
            self.seconds.pop_first();
        }
    }
}

impl CountedKeys {
    fn remember(&mut self, key: &str, at: u64) {
        if let Some(before) = self.at.insert(key.to_owned(), at) {
            self.by_time.remove(&(before, key.to_owned()));
        }
        self.by_time.insert((at, key.to_owned()));
    }

    fn forget_below(&mut self, floor: u64) {
        while let Some((at, key)) = self.by_time.first().filter(|(at, _)| *at < floor).cloned() {
            self.by_time.remove(&(at, key.clone()));
            self.at.remove(&key);
        }
    }
}

fn decimal(cents: u128) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
