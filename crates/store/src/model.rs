//! The whole store a second time: in memory, naive, one event at a time, written without a look at the tally or the
//! function. Property tests compare it with Valkey; `verify` feeds it the event log and compares every key.

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
}

/// One place where the store is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: String,
    /// The field of a hash or the member of a sorted set.
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
    counted_keys: BTreeMap<(String, i32), BTreeMap<String, u64>>,
    prices: Option<(u32, u32)>,
    sales: BTreeMap<Category, Sums>,
    units: BTreeMap<String, u128>,
    seconds: BTreeMap<u64, u64>,
    countries: BTreeMap<String, u64>,
    reports: BTreeMap<String, WeatherReport>,
}

#[derive(Debug, Clone, Default)]
struct Sums {
    sales: u128,
    price_cents: u128,
    units: u128,
    revenue_cents: u128,
    units_by_product: BTreeMap<String, u128>,
    history: BTreeSet<(u64, String, String)>,
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

    fn admit(&mut self, topic: &str, partition: i32, key: Option<&IdempotencyKey>, at: u64) -> bool {
        let Some(key) = key.map(IdempotencyKey::as_str) else { return true };
        let counted = self.counted_keys.entry((topic.to_owned(), partition)).or_default();
        let newest = counted.values().copied().chain([at]).max().unwrap_or(at);
        let floor = newest.saturating_sub(IDEMPOTENCY_WINDOW_MS);
        if counted.get(key).is_some_and(|counted_at| *counted_at >= floor) {
            return false;
        }
        counted.insert(key.to_owned(), at);
        counted.retain(|_, counted_at| *counted_at >= floor);
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
        let seconds = &mut self.seconds;
        *seconds.entry(sale.accepted_at.seconds()).or_default() += 1;
        let newest = *seconds.keys().next_back().unwrap_or(&0);
        let kept = u64::from(self.config.series_seconds);
        while seconds.keys().next().is_some_and(|oldest| *oldest + kept <= newest) {
            seconds.pop_first();
        }
    }

    /// Sales recorded.
    pub fn sales(&self) -> u128 {
        self.sales.values().map(|sums| sums.sales).sum()
    }

    /// Every key with the value that it must have at `now_ms`, by Valkey's clock. Weather reports that expire within 2 s
    /// of it may be there or not, and are in neither set: they are listed in the second part.
    fn expected(&self, now_ms: u64) -> (BTreeMap<String, Value>, BTreeSet<String>) {
        let mut expected = BTreeMap::new();
        self.expect_positions(&mut expected);
        self.expect_sales(&mut expected);
        let mut about_to_expire = BTreeSet::new();
        for (key, report) in &self.reports {
            let expires = report.accepted_at.millis() + u64::from(self.config.weather_ttl_s) * 1000;
            if expires.abs_diff(now_ms) < 2000 {
                about_to_expire.insert(key.clone());
            } else if expires > now_ms {
                expected.insert(key.clone(), weather_value(report));
            }
        }
        if !self.countries.is_empty() {
            let counts = self.countries.iter().map(|(country, n)| (country.clone(), n.to_string()));
            expected.insert(self.keys.country_counts(), Value::Hash(counts.collect()));
            let total: u64 = self.countries.values().sum();
            expected.insert(self.keys.total_messages(), Value::Text(total.to_string()));
        }
        (expected, about_to_expire)
    }

    fn expect_positions(&self, expected: &mut BTreeMap<String, Value>) {
        let mut positions = BTreeMap::<_, BTreeMap<_, _>>::new();
        for ((topic, partition), position) in self.positions.iter().filter(|(_, position)| **position > 0) {
            positions.entry(topic).or_default().insert(partition.to_string(), position.to_string());
        }
        if !positions.is_empty() {
            expected.insert(self.keys.schema(), Value::Text(self.config.schema()));
        }
        for (topic, partitions) in positions {
            expected.insert(self.keys.position(topic), Value::Hash(partitions));
        }
        for ((topic, partition), keys) in self.counted_keys.iter().filter(|(_, keys)| !keys.is_empty()) {
            let scores = keys.iter().map(|(key, at)| (key.clone(), at.to_string()));
            expected.insert(self.keys.idempotency(topic, *partition), Value::Sorted(scores.collect()));
        }
    }

    fn expect_sales(&self, expected: &mut BTreeMap<String, Value>) {
        let Some((min, max)) = self.prices else { return };
        expected.insert(self.keys.price_min(), Value::Text(decimal(min.into())));
        expected.insert(self.keys.price_max(), Value::Text(decimal(max.into())));
        expected.insert(self.keys.ranking(), ranking(&self.units));
        let series = self.seconds.iter().map(|(second, n)| (format!("{second}:{n}"), second.to_string()));
        expected.insert(self.keys.series(), Value::Sorted(series.collect()));
        let by_category = |text: &dyn Fn(&Sums) -> String| {
            Value::Hash(
                self.sales.iter().map(|(category, sums)| (category.to_string(), text(sums))).collect(),
            )
        };
        expected.insert(self.keys.reports(), by_category(&|sums| sums.sales.to_string()));
        expected.insert(self.keys.price_sum(), by_category(&|sums| decimal(sums.price_cents)));
        expected.insert(self.keys.units_sum(), by_category(&|sums| sums.units.to_string()));
        expected.insert(self.keys.revenue_sum(), by_category(&|sums| decimal(sums.revenue_cents)));
        expected.insert(
            self.keys.price_mean(),
            by_category(&|sums| decimal(half_up(sums.price_cents, sums.sales))),
        );
        expected.insert(
            self.keys.units_mean(),
            by_category(&|sums| decimal(half_up(sums.units * 100, sums.sales))),
        );
        for (category, sums) in &self.sales {
            expected.insert(self.keys.reports_of(*category), Value::Text(sums.sales.to_string()));
            expected.insert(self.keys.ranking_of(*category), ranking(&sums.units_by_product));
            let points = sums.history.iter().map(|(at, id, price)| (format!("{id}:{price}"), at.to_string()));
            expected.insert(self.keys.history_of(*category), Value::Sorted(points.collect()));
        }
    }

    /// Where a dump of the store differs from what it must be at `now_ms`, by Valkey's clock.
    pub fn compare(&self, found: &BTreeMap<String, Value>, now_ms: u64) -> Vec<Difference> {
        let (expected, about_to_expire) = self.expected(now_ms);
        let mut differences = Vec::new();
        for (key, value) in &expected {
            compare_values(key, Some(value), found.get(key), &mut differences);
        }
        for (key, value) in found {
            if !expected.contains_key(key) && !about_to_expire.contains(key) {
                compare_values(key, None, Some(value), &mut differences);
            }
        }
        differences
    }
}

/// Whether a key is one of the store's, by its name.
pub(crate) fn is_ours(keys: &Keys, key: &str) -> bool {
    const FAMILIES: [&str; 12] = [
        "posicion:",
        "idempotencia:",
        "esquema",
        "ventas:global:",
        "reportes:total",
        "ranking:",
        "stats:",
        "historial:precio:",
        "serie:ventas",
        "clima:",
        "country_counts",
        "total_messages",
    ];
    key.strip_prefix(keys.prefix()).is_some_and(|name| FAMILIES.iter().any(|family| name.starts_with(family)))
}

fn compare_values(
    key: &str,
    expected: Option<&Value>,
    found: Option<&Value>,
    differences: &mut Vec<Difference>,
) {
    let (fields, found_fields) = (expected.map(fields), found.map(fields));
    let kinds_differ = matches!((expected, found), (Some(e), Some(f)) if std::mem::discriminant(e) != std::mem::discriminant(f));
    let (fields, found_fields) = (fields.unwrap_or_default(), found_fields.unwrap_or_default());
    let names: BTreeSet<_> = fields.keys().chain(found_fields.keys()).collect();
    for name in names {
        let (expected, found) = (fields.get(name), found_fields.get(name));
        if expected != found || kinds_differ {
            differences.push(Difference {
                key: key.to_owned(),
                field: name.clone(),
                expected: expected.cloned(),
                found: found.cloned(),
            });
        }
    }
}

fn fields(value: &Value) -> BTreeMap<Option<String>, String> {
    match value {
        Value::Text(text) => BTreeMap::from([(None, text.clone())]),
        Value::Hash(fields) | Value::Sorted(fields) => {
            fields.iter().map(|(name, value)| (Some(name.clone()), value.clone())).collect()
        }
    }
}

fn ranking(units: &BTreeMap<String, u128>) -> Value {
    const EXACT: u128 = 1 << 53;
    Value::Sorted(
        units.iter().map(|(product, units)| (product.clone(), (*units).min(EXACT).to_string())).collect(),
    )
}

fn weather_value(report: &WeatherReport) -> Value {
    let draft = &report.draft;
    let fields = [
        ("description", draft.description.clone()),
        ("country", draft.country.clone()),
        ("weather", draft.weather.clone()),
        ("timestamp", report.accepted_at.to_string()),
    ];
    Value::Hash(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn decimal(cents: u128) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn half_up(sum: u128, count: u128) -> u128 {
    (2 * sum + count) / (2 * count)
}
