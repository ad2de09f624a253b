//! The whole store a second time: in memory, naive, one event at a time, written without a look at the tally or the
//! function. Property tests compare it with Valkey; `verify` feeds it the event log and compares every key.
//!
//! It keeps sums, not sales: its size follows the number of products, of idempotency keys of a day, and of weather reports.

mod admission;
mod compare;
mod completed;
mod expected;
mod lost;
mod place;

use std::collections::{BTreeMap, BTreeSet};

use blackfriday_event::{Category, IdempotencyKey, Sale, WeatherReport};

use self::admission::CountedKeys;
use self::lost::{Lost, Undecided};
use crate::apply::LastRecord;
use crate::config::StoreConfig;
use crate::keys::Keys;

pub use self::place::Place;

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

/// A record whose idempotency key was counted with another event. It is not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// The key.
    pub key: IdempotencyKey,
    /// The offset of the record that the key was counted with.
    pub counted: i64,
}

/// What became of a recorded event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It counts.
    Counted,
    /// It does not: it repeats an event under a key that was counted.
    Repeated,
    /// It does not: its key was counted with another event.
    Conflicting,
    /// It may count or not: its key may have been that of a record that is gone from the log.
    Undecided,
}

/// What the store must hold after the events that were recorded.
#[derive(Debug, Clone)]
pub struct State {
    keys: Keys,
    config: StoreConfig,
    positions: BTreeMap<(String, i32), i64>,
    last_records: BTreeMap<(String, i32), LastRecord>,
    stopped: BTreeMap<(String, i32), String>,
    conflicts: Vec<Conflict>,
    counted_keys: BTreeMap<(String, i32), CountedKeys>,
    prices: Option<(u32, u32)>,
    sales: BTreeMap<Category, Sums>,
    units: BTreeMap<String, u128>,
    seconds: BTreeMap<u64, u128>,
    countries: BTreeMap<String, u128>,
    reports: BTreeMap<String, WeatherReport>,
    lost: BTreeMap<(String, i32), Lost>,
    undecided: Undecided,
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
    /// By second.
    prices: BTreeMap<u64, Prices>,
}

/// The prices of a category's sales of one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prices {
    sales: u128,
    cents: u128,
    min: u32,
    max: u32,
}

impl State {
    pub(crate) fn new(keys: &Keys, config: &StoreConfig) -> Self {
        Self {
            keys: keys.clone(),
            config: config.clone(),
            positions: BTreeMap::new(),
            last_records: BTreeMap::new(),
            stopped: BTreeMap::new(),
            conflicts: Vec::new(),
            counted_keys: BTreeMap::new(),
            prices: None,
            sales: BTreeMap::new(),
            units: BTreeMap::new(),
            seconds: BTreeMap::new(),
            countries: BTreeMap::new(),
            reports: BTreeMap::new(),
            lost: BTreeMap::new(),
            undecided: Undecided::default(),
        }
    }

    /// Says that a partition was counted up to `position`.
    pub fn advance(&mut self, topic: &str, partition: i32, position: i64) {
        self.positions.insert((topic.to_owned(), partition), position);
    }

    /// Says that a record is below the position, whatever it holds: the last one is remembered.
    pub fn pass(&mut self, topic: &str, partition: i32, record: LastRecord) {
        self.last_records.insert((topic.to_owned(), partition), record);
    }

    /// Says that a partition is stopped, and why.
    pub fn stop(&mut self, topic: &str, partition: i32, reason: &str) {
        self.stopped.insert((topic.to_owned(), partition), reason.to_owned());
    }

    /// Records the next sale of a partition.
    pub fn record_sale(&mut self, topic: &str, partition: i32, offset: i64, sale: &Sale) -> Recorded {
        let (key, at) = (sale.idempotency_key.as_ref(), sale.accepted_at.millis());
        let trace = || (self.keys.history_of(sale.draft.category), Some(price_point(sale)));
        let trace = (!self.lost.is_empty()).then(trace);
        let recorded = self.admit((topic, partition, offset), key, (sale.draft.digest(), at), trace);
        match recorded {
            Recorded::Counted => self.count_sale(sale),
            Recorded::Undecided => {
                self.undecided.sales += 1;
                let second = (sale.draft.category, sale.accepted_at.seconds());
                *self.undecided.seconds.entry(second).or_default() += 1;
            }
            Recorded::Repeated | Recorded::Conflicting => {}
        }
        recorded
    }

    /// Records the next weather report of a partition.
    pub fn record_weather(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        report: &WeatherReport,
    ) -> Recorded {
        let (key, at) = (report.idempotency_key.as_ref(), report.accepted_at.millis());
        let name = self.keys.weather(report);
        let trace = (!self.lost.is_empty()).then(|| (name.clone(), None));
        let recorded = self.admit((topic, partition, offset), key, (report.draft.digest(), at), trace);
        match recorded {
            Recorded::Counted => {
                *self.countries.entry(report.draft.country.clone()).or_default() += 1;
                self.reports.insert(name, report.clone());
            }
            Recorded::Undecided => self.undecided.reports += 1,
            Recorded::Repeated | Recorded::Conflicting => {}
        }
        recorded
    }

    /// The records whose key was counted with another event, in the order in which they were recorded.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// Sales recorded.
    pub fn sales(&self) -> u128 {
        self.sales.values().map(|sums| sums.sales).sum()
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
        let second = sale.accepted_at.seconds();
        let prices =
            sums.prices.entry(second).or_insert(Prices { sales: 0, cents: 0, min: cents, max: cents });
        prices.sales += 1;
        prices.cents += u128::from(cents);
        prices.min = prices.min.min(cents);
        prices.max = prices.max.max(cents);
        *self.seconds.entry(second).or_default() += 1;
        self.forget_seconds();
    }

    fn forget_seconds(&mut self) {
        let newest = *self.seconds.keys().next_back().unwrap_or(&0);
        let kept = u64::from(self.config.series_seconds);
        while let Some(oldest) =
            self.seconds.keys().next().filter(|oldest| **oldest + kept <= newest).copied()
        {
            self.seconds.remove(&oldest);
            for sums in self.sales.values_mut() {
                sums.prices.remove(&oldest);
            }
        }
    }
}

/// The member of a price history.
fn price_point(sale: &Sale) -> String {
    format!("{}:{}:{}", sale.accepted_at, sale.id, decimal(sale.draft.price.cents().into()))
}

fn decimal(cents: u128) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
