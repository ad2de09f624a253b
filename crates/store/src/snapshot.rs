//! Everything that is shown, read in one transaction, so that the parts belong together.
//!
//! Works on a read-only replica and calls no function: a server that nothing was counted into yet has none.

use std::collections::BTreeMap;

use blackfriday_event::{Category, SALES};
use redis::{FromRedisValue, ParsingError, Pipeline, Value as Reply, pipe};
use serde::Serialize;

use crate::keys::Keys;

/// What a snapshot is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// Most sold products of each ranking.
    pub top: usize,
    /// Categories whose prices over time are wanted, the newest and by second: by far the largest part.
    pub histories: Vec<Category>,
    /// The topic of sales, whose positions are wanted.
    pub topic: String,
}

impl From<usize> for SnapshotRequest {
    /// As many of the most sold products, and everything else.
    fn from(top: usize) -> Self {
        Self { top, histories: Category::ALL.to_vec(), topic: SALES.to_owned() }
    }
}

/// Everything there is to show, at one instant. What the store does not hold is `None` or absent, never zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// Lowest price, with two decimals.
    pub price_min: Option<String>,
    /// Highest price, with two decimals.
    pub price_max: Option<String>,
    /// Products by units sold, most sold first, equal ones by descending identifier; as many as were asked for. Units stop
    /// at 2^53.
    pub most_sold: Vec<ProductUnits>,
    /// The product sold least, of equal ones the first by identifier.
    pub least_sold: Option<ProductUnits>,
    /// By category; those without sales are absent.
    pub categories: BTreeMap<&'static str, CategorySnapshot>,
    /// Sales by second, oldest first.
    pub series: Vec<SalesAt>,
    /// Weather reports.
    pub weather: WeatherSnapshot,
    /// The next offset to count of the topic of sales, by partition.
    pub positions: BTreeMap<i32, i64>,
}

/// What one category adds up to. Exact numbers are decimal strings.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CategorySnapshot {
    /// Number of sales.
    pub sales: Option<String>,
    /// Sum of prices.
    pub price_sum: Option<String>,
    /// Sum of units.
    pub units_sum: Option<String>,
    /// Sum of price × units.
    pub revenue_sum: Option<String>,
    /// Average price, two decimals, rounded half up.
    pub price_mean: Option<String>,
    /// Average units of a sale, two decimals, rounded half up.
    pub units_mean: Option<String>,
    /// As [`Snapshot::most_sold`].
    pub most_sold: Vec<ProductUnits>,
    /// As [`Snapshot::least_sold`].
    pub least_sold: Option<ProductUnits>,
    /// When its newest counted sale was accepted, in milliseconds since the Unix epoch.
    pub newest_at_ms: Option<u64>,
    /// The newest prices, oldest first, if they were asked for.
    pub history: Vec<PriceAt>,
    /// The prices by second, oldest first, if they were asked for.
    pub prices: Vec<PricesAt>,
}

/// A product and its units sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProductUnits {
    /// The product.
    pub product_id: String,
    /// Units sold.
    pub units: u64,
}

/// A price at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PriceAt {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Two decimals.
    pub price: String,
}

/// The prices of a category's sales of one second. A part that is missing is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PricesAt {
    /// Seconds since the Unix epoch; 0 if the store has no number there, and then nothing else either.
    pub second: u64,
    /// Number of sales, exact.
    pub sales: String,
    /// Sum of their prices, two decimals.
    pub sum: String,
    /// The lowest price, two decimals.
    pub min: String,
    /// The highest price, two decimals.
    pub max: String,
}

/// The sales of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SalesAt {
    /// Seconds since the Unix epoch.
    pub second: u64,
    /// Sales accepted in it.
    pub sales: u64,
}

/// Weather reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WeatherSnapshot {
    /// Number of reports.
    pub total: Option<String>,
    /// By country.
    pub by_country: BTreeMap<String, String>,
}

impl Snapshot {
    /// When the newest counted sale was accepted, in milliseconds since the Unix epoch.
    pub fn newest_accepted_at_ms(&self) -> Option<u64> {
        self.categories.values().filter_map(|category| category.newest_at_ms).max()
    }
}

/// For one transaction, of plain reads: it needs no function, and works on a replica and on an empty server.
pub(crate) fn commands(keys: &Keys, request: &SnapshotRequest) -> Pipeline {
    let (mut all, top) = (pipe(), request.top);
    all.cmd("GET").arg(keys.price_min()).cmd("GET").arg(keys.price_max());
    ranking(&mut all, &keys.ranking(), top);
    for hash in [
        keys.reports(),
        keys.price_sum(),
        keys.units_sum(),
        keys.revenue_sum(),
        keys.price_mean(),
        keys.units_mean(),
    ] {
        all.cmd("HGETALL").arg(hash);
    }
    for category in Category::ALL {
        ranking(&mut all, &keys.ranking_of(category), top);
        let with_prices = request.histories.contains(&category);
        let first = if with_prices { 0 } else { -1 };
        all.cmd("ZRANGE").arg(keys.history_of(category)).arg(first).arg(-1).arg("WITHSCORES");
        if with_prices {
            all.cmd("HGETALL").arg(keys.prices_of(category));
        }
    }
    all.cmd("ZRANGE").arg(keys.series()).arg(0).arg(-1).arg("WITHSCORES");
    weather(&mut all, keys);
    all.cmd("HGETALL").arg(keys.position(&request.topic));
    all
}

/// As [`commands`], of the weather reports alone.
pub(crate) fn weather_commands(keys: &Keys) -> Pipeline {
    let mut all = pipe();
    weather(&mut all, keys);
    all
}

fn weather(all: &mut Pipeline, keys: &Keys) {
    all.cmd("GET").arg(keys.total_messages()).cmd("HGETALL").arg(keys.country_counts());
}

/// Reads the answers in the order of [`commands`].
///
/// # Errors
/// The answer of that number cannot be read.
pub(crate) fn read(
    answers: Vec<Reply>,
    request: &SnapshotRequest,
) -> Result<Snapshot, (usize, ParsingError)> {
    let mut answers = Answers { left: answers.into_iter(), taken: 0 };
    let snapshot = read_all(&mut answers, request);
    snapshot.map_err(|error| (answers.taken - 1, error))
}

/// Reads the answers in the order of [`weather_commands`].
///
/// # Errors
/// The answer of that number cannot be read.
pub(crate) fn read_weather(answers: Vec<Reply>) -> Result<WeatherSnapshot, (usize, ParsingError)> {
    let mut answers = Answers { left: answers.into_iter(), taken: 0 };
    let weather = answers.weather();
    weather.map_err(|error| (answers.taken - 1, error))
}

fn read_all(answers: &mut Answers, request: &SnapshotRequest) -> Result<Snapshot, ParsingError> {
    let mut snapshot =
        Snapshot { price_min: answers.take()?, price_max: answers.take()?, ..Snapshot::default() };
    (snapshot.most_sold, snapshot.least_sold) = answers.ranking()?;
    let mut sums = || answers.take::<BTreeMap<String, String>>();
    let (sales, prices, units, revenue) = (sums()?, sums()?, sums()?, sums()?);
    let (price_means, unit_means) = (sums()?, sums()?);
    for category in Category::ALL {
        let name = category.name();
        let (most_sold, least_sold) = answers.ranking()?;
        let mut history: Vec<_> =
            answers.take::<Vec<(String, f64)>>()?.into_iter().filter_map(price_at).collect();
        let newest_at_ms = history.last().map(|point| point.at_ms);
        let mut by_second = Vec::new();
        if request.histories.contains(&category) {
            by_second.extend(answers.take::<BTreeMap<String, String>>()?.iter().map(prices_at));
            by_second.sort_unstable();
        } else {
            history.clear();
        }
        let of = |hash: &BTreeMap<String, String>| hash.get(name).cloned();
        if sales.contains_key(name) {
            let category = CategorySnapshot {
                sales: of(&sales),
                price_sum: of(&prices),
                units_sum: of(&units),
                revenue_sum: of(&revenue),
                price_mean: of(&price_means),
                units_mean: of(&unit_means),
                most_sold,
                least_sold,
                newest_at_ms,
                history,
                prices: by_second,
            };
            snapshot.categories.insert(name, category);
        }
    }
    let series = answers.take::<Vec<(String, f64)>>()?;
    snapshot.series = series.into_iter().filter_map(|(member, _)| sales_at(&member)).collect();
    snapshot.weather = answers.weather()?;
    snapshot.positions = answers.take()?;
    Ok(snapshot)
}

struct Answers {
    left: std::vec::IntoIter<Reply>,
    taken: usize,
}

impl Answers {
    fn take<T: FromRedisValue>(&mut self) -> Result<T, ParsingError> {
        self.taken += 1;
        redis::from_redis_value(self.left.next().unwrap_or(Reply::Nil))
    }

    fn weather(&mut self) -> Result<WeatherSnapshot, ParsingError> {
        Ok(WeatherSnapshot { total: self.take()?, by_country: self.take()? })
    }

    fn ranking(&mut self) -> Result<(Vec<ProductUnits>, Option<ProductUnits>), ParsingError> {
        let most = self.take::<Vec<(String, f64)>>()?.into_iter().map(product_units).collect();
        let least = self.take::<Vec<(String, f64)>>()?.into_iter().map(product_units).next();
        Ok((most, least))
    }
}

fn ranking(all: &mut Pipeline, key: &str, top: usize) {
    // From 1 to 0 is nothing; from 0 to -1 would be everything.
    let (first, last) = top.checked_sub(1).map_or((1, 0), |last| (0, last));
    all.cmd("ZRANGE").arg(key).arg(first).arg(last).arg("REV").arg("WITHSCORES");
    all.cmd("ZRANGE").arg(key).arg(0).arg(0).arg("WITHSCORES");
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "scores are whole, from 0 to 2^53"
)]
fn product_units((product_id, units): (String, f64)) -> ProductUnits {
    ProductUnits { product_id, units: units as u64 }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "scores are whole, from 0 to 2^48"
)]
fn price_at((member, at_ms): (String, f64)) -> Option<PriceAt> {
    let (_, price) = member.rsplit_once(':')?;
    Some(PriceAt { at_ms: at_ms as u64, price: price.to_owned() })
}

fn prices_at((second, prices): (&String, &String)) -> PricesAt {
    let Ok(second) = second.parse() else { return PricesAt::default() };
    let mut parts = prices.splitn(4, ':');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    PricesAt { second, sales: part(), sum: part(), min: part(), max: part() }
}

fn sales_at(member: &str) -> Option<SalesAt> {
    let (second, sales) = member.split_once(':')?;
    Some(SalesAt { second: second.parse().ok()?, sales: sales.parse().ok()? })
}
