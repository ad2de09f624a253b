use blackfriday_event::{Category, KeyWindow, PricePoint, ProductId, SaleTally, WeatherReport, WeatherTally};
use redis::{Cmd, cmd};
use serde::Serialize;

use crate::StoreConfig;
use crate::functions::FUNCTIONS;
use crate::keys::Keys;

/// What lies between two positions of one partition, added up.
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
    /// What the counted events add up to.
    pub tally: BatchTally,
    /// The idempotency keys that were counted.
    pub keys: KeyWindow,
}

/// A tally of either kind of event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchTally {
    /// Of sales.
    Sales(Box<SaleTally>),
    /// Of weather reports.
    Weather(WeatherTally),
}

/// What became of an apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Counters and position changed.
    Applied,
    /// Nothing changed: the stored position is this one.
    Refused {
        /// The next offset to count.
        stored: i64,
    },
}

#[derive(Serialize)]
struct WireSales {
    min: String,
    max: String,
    categories: Vec<WireCategory>,
    seconds: Vec<String>,
    keys: Vec<String>,
    keys_floor: String,
}

#[derive(Serialize)]
struct WireCategory {
    sales: String,
    price: String,
    units: String,
    revenue: String,
    products: Vec<String>,
    history: Vec<String>,
}

#[derive(Serialize)]
struct WireWeather {
    countries: Vec<String>,
    reports: Vec<[String; 4]>,
    keys: Vec<String>,
    keys_floor: String,
}

/// The function call that applies a batch.
pub(crate) fn command(keys: &Keys, config: &StoreConfig, batch: &Batch) -> Cmd {
    let mut head =
        vec![keys.position(&batch.topic), keys.idempotency(&batch.topic, batch.partition), keys.schema()];
    let schema: Vec<_> =
        config.schema().into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
    let place = [batch.partition.to_string(), batch.from.to_string(), batch.to.to_string(), json(&schema)];
    let mut command = cmd("FCALL");
    match &batch.tally {
        BatchTally::Sales(tally) => {
            head.extend(keys.of_sales());
            command.arg(&FUNCTIONS.apply_sales).arg(head.len()).arg(head).arg(&place);
            command.arg(config.history_len).arg(config.series_seconds).arg(config.series_ttl_s);
            command.arg(json(&WireSales::of(tally, &batch.keys)));
        }
        BatchTally::Weather(tally) => {
            head.extend([keys.country_counts(), keys.total_messages()]);
            head.extend(tally.reports.iter().map(|report| keys.weather(report)));
            command.arg(&FUNCTIONS.apply_weather).arg(head.len()).arg(head).arg(&place);
            command.arg(u64::from(config.weather_ttl_s) * 1000);
            command.arg(json(&WireWeather::of(tally, &batch.keys)));
        }
    }
    command
}

impl WireSales {
    fn of(tally: &SaleTally, keys: &KeyWindow) -> Self {
        let (min, max) =
            tally.price_range().map(|(min, max)| (min.to_string(), max.to_string())).unwrap_or_default();
        Self {
            min,
            max,
            categories: Category::ALL.iter().map(|category| WireCategory::of(tally, *category)).collect(),
            seconds: tally
                .seconds()
                .iter()
                .flat_map(|(second, sales)| [second.to_string(), sales.to_string()])
                .collect(),
            keys: key_pairs(keys),
            keys_floor: keys_floor(keys),
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
            keys: key_pairs(keys),
            keys_floor: keys_floor(keys),
        }
    }
}

/// The time stands in the member, too: a sale whose idempotency key counts again after a day has the same identity at
/// another time, and both points belong to the history.
fn price_member(point: &PricePoint) -> String {
    format!("{}:{}:{}", point.accepted_at, point.id, point.price)
}

fn key_pairs(keys: &KeyWindow) -> Vec<String> {
    keys.added().iter().flat_map(|(key, at)| [at.to_string(), key.to_string()]).collect()
}

fn keys_floor(keys: &KeyWindow) -> String {
    if keys.added().is_empty() {
        String::new()
    } else {
        keys.floor().map(|at| at.to_string()).unwrap_or_default()
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and vectors of them always serialize")
}
