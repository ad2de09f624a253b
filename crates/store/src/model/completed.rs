//! The state that the records which are left lead to, if what the store holds beyond them is of lost ones.
//!
//! One key of each fact is believed, never below what the records that are left add up to: the sales of a category, the
//! sums of prices and revenue, the prices by second, the units by product, the reports by country. Every other key has to
//! agree with those. What is of a single record is believed if a lost record's time allows for it.

use std::collections::BTreeMap;

use blackfriday_event::{Category, EventId, MAX_QUANTITY, Timestamp, WeatherDraft, WeatherReport};

use super::compare::fields_of;
use super::expected::EXACT;
use super::lost::Lost;
use super::{Difference, Prices, State, Value, decimal};
use crate::apply::LastRecord;

/// Above it a number is none of ours, and what is calculated with it would overflow.
const MOST: u128 = 1 << 100;

type Dump = BTreeMap<String, Value>;

impl State {
    /// Itself, with what the store says of lost records.
    pub(super) fn completed(&self, store: &Dump) -> Self {
        let mut state = self.clone();
        for ((topic, partition), lost) in &self.lost {
            state.complete_partition(store, (topic, *partition), lost);
        }
        if let Some(until_ms) = self.lost_until_ms(true) {
            state.complete_sums(store);
            state.complete_history(store, until_ms);
            state.complete_seconds(store, until_ms / 1000);
        }
        if let Some(until_ms) = self.lost_until_ms(false) {
            state.complete_weather(store, until_ms);
        }
        state
    }

    /// Where the store says more than any beginning could have led to; and `differences` in words of what is at least there.
    pub(super) fn bound(&self, store: &Dump, differences: &mut Vec<Difference>) {
        if self.lost_until_ms(true).is_some() {
            self.bound_sales(store, differences);
        }
        if self.lost_until_ms(false).is_some() {
            self.bound_reports(store, differences);
        }
    }

    fn complete_partition(&mut self, store: &Dump, (topic, partition): (&str, i32), lost: &Lost) {
        let place = (topic.to_owned(), partition);
        if !lost.is_begun {
            let keys = self.counted_keys.entry(place.clone()).or_default();
            lost.remember(&self.keys, (topic, partition), keys);
        }
        let stored = fields_of(store, &self.keys.last(topic)).and_then(|of| of.get(&partition.to_string()));
        let stored = stored.and_then(|text| LastRecord::parse(text));
        if let Some(last) = stored.filter(|last| last.offset < lost.begin) {
            self.last_records.entry(place).or_insert(last);
        }
    }

    fn complete_sums(&mut self, store: &Dump) {
        let keys = &self.keys;
        for category in Category::ALL {
            let name = category.to_string();
            let of = |key: &str| number(store, key, Some(&name));
            let counted = of(&keys.reports());
            if counted == 0 {
                continue;
            }
            let sums = self.sales.entry(category).or_default();
            sums.sales = sums.sales.max(counted);
            sums.price_cents = sums.price_cents.max(of(&keys.price_sum()));
            sums.revenue_cents = sums.revenue_cents.max(of(&keys.revenue_sum()));
            for product in fields_of(store, &keys.ranking_of(category)).into_iter().flat_map(BTreeMap::keys) {
                let units = number(store, &keys.ranking_of(category), Some(product));
                let at_least = sums.units_by_product.entry(product.clone()).or_default();
                *at_least = units.max(*at_least);
            }
            let is_exact = sums.units_by_product.values().all(|units| *units < EXACT);
            let by_product = sums.units_by_product.values().sum();
            sums.units = if is_exact { by_product } else { sums.units.max(of(&keys.units_sum())) };
        }
        self.units.clear();
        for (product, units) in self.sales.values().flat_map(|sums| &sums.units_by_product) {
            *self.units.entry(product.clone()).or_default() += units;
        }
        if !self.sales.is_empty() {
            self.prices = self.prices_beside(store);
        }
    }

    /// The lowest and the highest price, in cents: of the records that are left, or what the store says beyond them.
    fn prices_beside(&self, store: &Dump) -> Option<(u32, u32)> {
        let price = |key: &str| text(store, key).and_then(cents).and_then(|cents| u32::try_from(cents).ok());
        let stored = price(&self.keys.price_min()).zip(price(&self.keys.price_max()));
        match (self.prices, stored) {
            (Some((min, max)), Some((low, high))) => Some((min.min(low), max.max(high))),
            (prices, stored) => prices.or(stored),
        }
    }

    fn complete_history(&mut self, store: &Dump, until_ms: u64) {
        let most = self.config.bounds().history_len;
        for (category, sums) in &mut self.sales {
            for point in
                fields_of(store, &self.keys.history_of(*category)).into_iter().flat_map(BTreeMap::keys)
            {
                let mut parts = point.splitn(3, ':');
                let (Some(at), Some(id), Some(price)) = (parts.next(), parts.next(), parts.next()) else {
                    continue;
                };
                let at = at.parse().ok().filter(|at| *at <= until_ms);
                if let (Some(at), Ok(_), Some(_)) = (at, id.parse::<EventId>(), cents(price)) {
                    sums.history.insert((at, id.to_owned(), price.to_owned()));
                }
            }
            while sums.history.len() > most {
                sums.history.pop_first();
            }
        }
    }

    /// The prices by second, and the sales by second with them.
    fn complete_seconds(&mut self, store: &Dump, until: u64) {
        for (category, sums) in &mut self.sales {
            for (second, text) in fields_of(store, &self.keys.prices_of(*category)).into_iter().flatten() {
                let Some((second, stored)) = second.parse().ok().zip(Prices::parse(text)) else { continue };
                let undecided = self.undecided.seconds.get(&(*category, second)).copied().unwrap_or(0);
                let most = if second <= until { u128::MAX } else { undecided };
                if stored.can_be_with_more(sums.prices.get(&second), most) {
                    sums.prices.insert(second, stored);
                }
            }
        }
        self.seconds.clear();
        for (second, of) in self.sales.values().flat_map(|sums| &sums.prices) {
            *self.seconds.entry(*second).or_default() += of.sales;
        }
        self.forget_seconds();
    }

    fn complete_weather(&mut self, store: &Dump, until_ms: u64) {
        let by_country = self.keys.country_counts();
        for country in fields_of(store, &by_country).into_iter().flat_map(BTreeMap::keys) {
            let stored = number(store, &by_country, Some(country));
            if stored > 0 {
                let counted = self.countries.entry(country.clone()).or_default();
                *counted = stored.max(*counted);
            }
        }
        for (key, value) in store {
            if let Some(report) =
                self.report(key, value).filter(|report| report.accepted_at.millis() <= until_ms)
            {
                self.reports.entry(key.clone()).or_insert(report);
            }
        }
    }

    /// The report that this key holds, if it is one.
    fn report(&self, key: &str, value: &Value) -> Option<WeatherReport> {
        let Value::Expiring { value, .. } = value else { return None };
        let Value::Hash(fields) = &**value else { return None };
        let field = |name: &str| fields.get(name).cloned();
        let draft = WeatherDraft {
            description: field("description")?,
            country: field("country")?,
            weather: field("weather")?,
        };
        let (_, id) = key.rsplit_once(':')?;
        let accepted_at = field("timestamp")?.parse().ok().and_then(Timestamp::from_millis)?;
        let report = WeatherReport { id: id.parse().ok()?, accepted_at, draft, idempotency_key: None };
        (self.keys.weather(&report) == key).then_some(report)
    }

    fn bound_sales(&self, store: &Dump, differences: &mut Vec<Difference>) {
        let keys = &self.keys;
        let least = [keys.reports(), keys.price_sum(), keys.revenue_sum(), keys.price_max()];
        let of_products = Category::ALL.map(|category| keys.ranking_of(category));
        say(differences, "at least", |key| least.iter().chain(&of_products).any(|least| least == key));
        say(differences, "at most", |key| key == keys.price_min());
        let of = |key: &str, category: Category| number(store, key, Some(&category.to_string()));
        let counted = Category::ALL.map(|category| of(&keys.reports(), category));
        let room = self.room(true) + self.sales() + self.undecided.sales;
        exceeds(differences, keys.reports(), counted.iter().sum(), room);
        let prices = self.prices_beside(store).unwrap_or_default();
        let (min, max) = (u128::from(prices.0), u128::from(prices.1));
        for (category, sales) in Category::ALL.into_iter().zip(counted) {
            let units = of(&keys.units_sum(), category);
            let mut check = |key: String, least: u128, most: u128, show: fn(u128) -> String| {
                let found = of(&key, category);
                if !(least..=most).contains(&found) {
                    let (least, most) = (show(least), show(most));
                    let (field, found) = (Some(category.to_string()), Some(show(found)));
                    differences.push(Difference {
                        key,
                        field,
                        expected: Some(format!("{least} to {most}")),
                        found,
                    });
                }
            };
            check(keys.units_sum(), sales, sales.saturating_mul(MAX_QUANTITY.into()), |units| {
                units.to_string()
            });
            check(keys.price_sum(), sales.saturating_mul(min), sales.saturating_mul(max), decimal);
            check(keys.revenue_sum(), units.saturating_mul(min), units.saturating_mul(max), decimal);
        }
    }

    fn bound_reports(&self, store: &Dump, differences: &mut Vec<Difference>) {
        let by_country = self.keys.country_counts();
        say(differences, "at least", |key| key == by_country);
        let counted = fields_of(store, &by_country).into_iter().flat_map(BTreeMap::keys);
        let counted = counted.map(|country| number(store, &by_country, Some(country))).sum();
        let left: u128 = self.countries.values().sum();
        let room = self.room(false) + left + self.undecided.reports;
        exceeds(differences, self.keys.total_messages(), counted, room);
    }

    /// How many events may have been lost.
    fn room(&self, of_sales: bool) -> u128 {
        let lost = self.lost.values().filter(|lost| lost.of_sales == of_sales);
        lost.map(|lost| u128::try_from(lost.begin).unwrap_or(0)).sum()
    }
}

impl Prices {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ':');
        let sales: u64 = parts.next()?.parse().ok()?;
        let mut amount = || parts.next().and_then(cents).filter(|cents| *cents < MOST);
        let (cents, min, max) = (amount()?, amount()?, amount()?);
        let price = |cents: u128| u32::try_from(cents).ok();
        Some(Self { sales: sales.into(), cents, min: price(min)?, max: price(max)? })
    }

    /// Whether it can be what these prices and some more add up to, up to `most`.
    fn can_be_with_more(self, counted: Option<&Self>, most: u128) -> bool {
        let counted = counted.copied().unwrap_or(Self { sales: 0, cents: 0, ..self });
        let more = self.sales.checked_sub(counted.sales).zip(self.cents.checked_sub(counted.cents));
        more.is_some_and(|(sales, cents)| {
            (1..=most).contains(&sales)
                && self.min <= counted.min
                && self.max >= counted.max
                && (sales * u128::from(self.min)..=sales * u128::from(self.max)).contains(&cents)
        })
    }
}

/// The differences of these keys are about what is at least, or at most, there.
fn say(differences: &mut [Difference], bound: &str, is_bounded: impl Fn(&str) -> bool) {
    let is_number = |text: &&mut String| text.starts_with(|first: char| first.is_ascii_digit());
    let bounded = differences.iter_mut().filter(|difference| is_bounded(&difference.key));
    for expected in bounded.filter_map(|difference| difference.expected.as_mut()).filter(is_number) {
        *expected = format!("{bound} {expected}");
    }
}

fn exceeds(differences: &mut Vec<Difference>, key: String, found: u128, most: u128) {
    if found > most {
        let (expected, found) = (Some(format!("at most {most}")), Some(found.to_string()));
        differences.push(Difference { key, field: None, expected, found });
    }
}

/// A number of the store, without its point; 0 where there is none.
fn number(store: &Dump, key: &str, field: Option<&str>) -> u128 {
    let found = match field {
        Some(field) => fields_of(store, key).and_then(|fields| fields.get(field)),
        None => text(store, key),
    };
    found
        .and_then(|found| found.replacen('.', "", 1).parse().ok())
        .filter(|number| *number < MOST)
        .unwrap_or(0)
}

fn text<'a>(store: &'a Dump, key: &str) -> Option<&'a String> {
    match store.get(key)? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// `12.34` is 1234.
fn cents(decimal: impl AsRef<str>) -> Option<u128> {
    let (whole, cents) = decimal.as_ref().split_once('.')?;
    (cents.len() == 2).then(|| format!("{whole}{cents}").parse().ok()).flatten()
}
