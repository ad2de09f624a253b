//! How a batch travels to the functions: keys first, then the place, the bounds and the tally as JSON.
//!
//! Numbers that may pass 2^53 travel as decimal strings, because Lua's numbers are floating-point.

use std::collections::BTreeSet;

use blackfriday_event::{
    Category, CountedKey, IDEMPOTENCY_WINDOW_MS, IdempotencyKey, KeyWindow, PricePoint, ProductId, SaleTally,
    SecondPrices, WeatherReport, WeatherTally, digest_from_hex, digest_to_hex,
};
use redis::{Cmd, cmd};
use serde::Serialize;

use crate::config::StoreConfig;
use crate::functions::FUNCTIONS;
use crate::keys::Keys;

/// What was recorded between two positions of one partition, added up.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The position that the store must have for the batch to be applied.
    pub from: i64,
    /// The position that it has afterwards.
    pub to: i64,
    /// The last record, unless there is no record: offsets may be taken by records of the log's own.
    pub last: Option<LastRecord>,
    /// What the counted events add up to.
    pub tally: BatchTally,
    /// The idempotency keys that were counted.
    pub keys: KeyWindow,
}

/// A record that a position was reached with, by which it is known again: the log may have lost it meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LastRecord {
    /// Its offset.
    pub offset: i64,
    /// The digest of its time, key and payload.
    pub digest: [u8; 8],
}

/// A tally of either kind of event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchTally {
    /// Of sales.
    Sales(Box<SaleTally>),
    /// Of weather reports.
    Weather(WeatherTally),
}

/// What became of an apply, a stop or a resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It took place.
    Applied,
    /// Nothing changed: the stored position is this one.
    Refused {
        /// The next offset to count.
        stored: i64,
    },
    /// Nothing changed: the partition is stopped until it is resumed.
    Stopped {
        /// Why.
        reason: String,
    },
}

impl LastRecord {
    pub(crate) fn to_text(self) -> String {
        format!("{}:{}", self.offset, digest_to_hex(self.digest))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (offset, digest) = text.split_once(':')?;
        Some(Self { offset: offset.parse().ok()?, digest: digest_from_hex(digest)? })
    }
}

#[derive(Serialize)]
struct WireSales {
    min: String,
    max: String,
    categories: Vec<WireCategory>,
    seconds: Vec<String>,
    /// Of each partition.
    places: Vec<WireKeys>,
}

#[derive(Serialize)]
struct WireCategory {
    sales: String,
    price: String,
    units: String,
    revenue: String,
    products: Vec<String>,
    history: Vec<String>,
    /// Seconds and what is stored of each in turns.
    prices: Vec<String>,
}

#[derive(Serialize)]
struct WireWeather {
    countries: Vec<String>,
    reports: Vec<[String; 4]>,
    places: [WireKeys; 1],
}

#[derive(Serialize)]
struct WireKeys {
    keys: Vec<String>,
    events: Vec<String>,
    keys_window_ms: u64,
}

/// The function call that applies a batch.
pub(crate) fn command(keys: &Keys, config: &StoreConfig, batch: &Batch) -> Cmd {
    match &batch.tally {
        BatchTally::Sales(tally) => sales(keys, config, &[batch], tally),
        BatchTally::Weather(tally) => {
            let mut names = keys.of_place(&batch.topic, batch.partition);
            names.extend([keys.country_counts(), keys.total_messages()]);
            names.extend(tally.reports.iter().map(|report| keys.weather(report)));
            let mut command = cmd("FCALL");
            command.arg(&FUNCTIONS.apply_weather).arg(names.len()).arg(names);
            command.arg(schema(config)).arg(&batch.place());
            command.arg(u64::from(config.weather_ttl_s) * 1000);
            command.arg(json(&WireWeather::of(tally, &batch.keys)));
            command
        }
    }
}

/// The function call that applies batches of several partitions in one step, all or none: what several of them touch is
/// written once. None if it is one batch, if they are not all of the sales of one topic, or if two are of one partition:
/// both would find its position as it was.
pub(crate) fn command_of_all(keys: &Keys, config: &StoreConfig, batches: &[Batch]) -> Option<Cmd> {
    let (first, others) = batches.split_first().filter(|(_, others)| !others.is_empty())?;
    let partitions: BTreeSet<_> = batches.iter().map(|batch| batch.partition).collect();
    if partitions.len() < batches.len() {
        return None;
    }
    let BatchTally::Sales(tally) = &first.tally else { return None };
    let mut all = SaleTally::clone(tally);
    for batch in others {
        match &batch.tally {
            BatchTally::Sales(tally) if batch.topic == first.topic => all.merge(tally),
            _ => return None,
        }
    }
    Some(sales(keys, config, &batches.iter().collect::<Vec<_>>(), &all))
}

fn sales(keys: &Keys, config: &StoreConfig, batches: &[&Batch], tally: &SaleTally) -> Cmd {
    let of_places = batches.iter().flat_map(|batch| keys.of_place(&batch.topic, batch.partition));
    let names: Vec<_> = of_places.chain(keys.of_sales()).collect();
    let mut command = cmd("FCALL");
    command.arg(&FUNCTIONS.apply_sales).arg(names.len()).arg(names).arg(schema(config));
    for batch in batches {
        command.arg(&batch.place());
    }
    command.arg(config.history_len).arg(config.series_seconds).arg(config.series_ttl_s);
    command.arg(json(&WireSales::of(tally, batches.iter().map(|batch| &batch.keys))));
    command
}

/// The function call that stops a partition at a position.
pub(crate) fn stop(keys: &Keys, config: &StoreConfig, at: (&str, i32, i64), reason: &str) -> Cmd {
    let (topic, partition, position) = at;
    let names = keys.of_place(topic, partition);
    let mut command = cmd("FCALL");
    command.arg(&FUNCTIONS.stop).arg(names.len()).arg(names).arg(schema(config));
    command.arg(&place(topic, partition, position, position, None)).arg(reason);
    command
}

/// The function call that moves a position and lets a partition go on.
pub(crate) fn resume(keys: &Keys, config: &StoreConfig, at: (&str, i32), from: i64, to: i64) -> Cmd {
    let (topic, partition) = at;
    let names = keys.of_place(topic, partition);
    let mut command = cmd("FCALL");
    command.arg(&FUNCTIONS.resume).arg(names.len()).arg(names).arg(schema(config));
    command.arg(&place(topic, partition, from, to, None));
    command
}

impl Batch {
    fn place(&self) -> [String; 5] {
        place(&self.topic, self.partition, self.from, self.to, self.last)
    }
}

/// What every function takes first, names and values in turns, as JSON.
fn schema(config: &StoreConfig) -> String {
    let schema = config.schema().into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    json(&schema.collect::<Vec<_>>())
}

/// The arguments that a function takes for a partition.
fn place(topic: &str, partition: i32, from: i64, to: i64, last: Option<LastRecord>) -> [String; 5] {
    let last = last.map(LastRecord::to_text).unwrap_or_default();
    [partition.to_string(), Keys::begun_field(topic, partition), from.to_string(), to.to_string(), last]
}

impl WireSales {
    fn of<'a>(tally: &SaleTally, keys: impl Iterator<Item = &'a KeyWindow>) -> Self {
        let (min, max) =
            tally.price_range().map(|(min, max)| (min.to_string(), max.to_string())).unwrap_or_default();
        Self {
            min,
            max,
            categories: Category::ALL.iter().map(|category| WireCategory::of(tally, *category)).collect(),
            seconds: tally
                .seconds()
                .flat_map(|(second, sales)| [second.to_string(), sales.to_string()])
                .collect(),
            places: keys.map(WireKeys::of).collect(),
        }
    }
}

impl WireCategory {
    fn of(tally: &SaleTally, category: Category) -> Self {
        let of = tally.category(category);
        let units = |(product, units): (&ProductId, &u64)| [product.to_string(), units.to_string()];
        Self {
            sales: of.sales.to_string(),
            price: of.price_cents.to_string(),
            units: of.units.to_string(),
            revenue: of.revenue_cents.to_string(),
            products: of.units_by_product.iter().flat_map(units).collect(),
            history: of
                .history()
                .iter()
                .flat_map(|point| [point.accepted_at.to_string(), price_member(point)])
                .collect(),
            prices: tally
                .prices(category)
                .flat_map(|(second, prices)| [second.to_string(), prices_text(prices)])
                .collect(),
        }
    }
}

impl WireWeather {
    fn of(tally: &WeatherTally, keys: &KeyWindow) -> Self {
        let report = |report: &WeatherReport| {
            let draft = report.draft.clone();
            [report.accepted_at.to_string(), draft.description, draft.country, draft.weather]
        };
        Self {
            countries: tally
                .by_country
                .iter()
                .flat_map(|(country, n)| [country.clone(), n.to_string()])
                .collect(),
            reports: tally.reports.iter().map(report).collect(),
            places: [WireKeys::of(keys)],
        }
    }
}

/// The time is part of the member, too: a sale whose idempotency key counts again after a day has the same identity at
/// another time, and both points belong to the history.
fn price_member(point: &PricePoint) -> String {
    format!("{}:{}:{}", point.accepted_at, point.id, point.price)
}

/// What is stored of a second's prices: the number of sales, the sum, the lowest and the highest.
fn prices_text(of: &SecondPrices) -> String {
    format!("{}:{}.{:02}:{}:{}", of.sales, of.cents / 100, of.cents % 100, of.min, of.max)
}

impl WireKeys {
    fn of(window: &KeyWindow) -> Self {
        let added = window.added();
        let pair = |(key, counted): (&IdempotencyKey, &CountedKey)| [counted.at.to_string(), key.to_string()];
        Self {
            keys: added.iter().flat_map(pair).collect(),
            events: added.values().map(event_text).collect(),
            keys_window_ms: IDEMPOTENCY_WINDOW_MS,
        }
    }
}

/// What is stored of the event that a key was counted with.
pub(crate) fn event_text(counted: &CountedKey) -> String {
    LastRecord { offset: counted.offset, digest: counted.digest }.to_text()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and vectors of them always serialize")
}
