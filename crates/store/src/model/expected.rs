use std::collections::BTreeMap;

use blackfriday_event::WeatherReport;

use super::admission::CountedWith;
use super::{Prices, State, Sums, Value, decimal};

/// Up to here the scores of a sorted set are exact; the ranking stops there.
pub(super) const EXACT: u128 = 1 << 53;

impl State {
    /// Every key with the value that it must have. A weather report is there until it expires.
    pub fn expected(&self) -> BTreeMap<String, Value> {
        self.expected_beside(&BTreeMap::new())
    }

    /// The same next to what is there: positions of 0 may be stored or not, and both say that nothing was counted.
    pub(super) fn expected_beside(&self, found: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        let mut expected = BTreeMap::new();
        self.expect_positions(found, &mut expected);
        self.expect_sales(&mut expected);
        self.expect_weather(&mut expected);
        expected
    }

    fn expect_positions(&self, found: &BTreeMap<String, Value>, expected: &mut BTreeMap<String, Value>) {
        let mut positions = BTreeMap::<_, BTreeMap<_, _>>::new();
        for ((topic, partition), position) in self.positions.iter().filter(|(_, position)| **position > 0) {
            let of = positions.entry(topic.as_str()).or_default();
            of.insert(partition.to_string(), position.to_string());
        }
        for (topic, partition) in self.zeros(found) {
            let of = positions.entry(topic).or_default();
            of.entry(partition.to_owned()).or_insert_with(|| "0".to_owned());
        }
        if !positions.is_empty() {
            let schema = self.config.schema().into_iter().map(|(name, value)| (name.to_owned(), value));
            let begun = positions.iter().flat_map(|(topic, of)| {
                of.keys().map(move |partition| (format!("particion:{topic}:{partition}"), "1".to_owned()))
            });
            expected.insert(self.keys.schema(), Value::Hash(schema.chain(begun).collect()));
        }
        for (topic, partitions) in positions {
            expected.insert(self.keys.position(topic), Value::Hash(partitions));
        }
        let last = self.last_records.iter();
        let last = last.map(|(of, record)| (of, event_text(record.offset, record.digest)));
        for (topic, partitions) in by_topic(last) {
            expected.insert(self.keys.last(topic), Value::Hash(partitions));
        }
        for (topic, partitions) in by_topic(self.stopped.iter().map(|(of, why)| (of, why.clone()))) {
            expected.insert(self.keys.stopped(topic), Value::Hash(partitions));
        }
        for ((topic, partition), keys) in self.counted_keys.iter().filter(|(_, keys)| !keys.by_key.is_empty())
        {
            let scores = keys.by_key.iter().map(|(key, counted)| (key.clone(), counted.at.to_string()));
            expected.insert(self.keys.idempotency(topic, *partition), Value::Sorted(scores.collect()));
            let event = |(key, counted): (&String, &CountedWith)| {
                (key.clone(), event_text(counted.offset, counted.digest))
            };
            let events = keys.by_key.iter().map(event).collect();
            expected.insert(self.keys.events(topic, *partition), Value::Hash(events));
        }
    }

    /// The partitions with a stored position of 0.
    fn zeros<'a>(&self, found: &'a BTreeMap<String, Value>) -> Vec<(&'a str, &'a str)> {
        let prefix = self.keys.position("");
        let positions = found.iter().filter_map(|(key, value)| match value {
            Value::Hash(stored) => Some((key.strip_prefix(&prefix)?, stored)),
            _ => None,
        });
        let zeros = positions.flat_map(|(topic, stored)| {
            let zeros = stored.iter().filter(|(id, position)| *position == "0" && id.parse::<i32>().is_ok());
            zeros.map(move |(partition, _)| (topic, partition.as_str()))
        });
        zeros.collect()
    }

    fn expect_sales(&self, expected: &mut BTreeMap<String, Value>) {
        let Some((min, max)) = self.prices else { return };
        let keys = &self.keys;
        expected.insert(keys.price_min(), Value::Text(decimal(min.into())));
        expected.insert(keys.price_max(), Value::Text(decimal(max.into())));
        expected.insert(keys.ranking(), ranking(&self.units));
        let series = self.seconds.iter().map(|(second, n)| (format!("{second}:{n}"), second.to_string()));
        expected.insert(keys.series(), Value::Sorted(series.collect()));
        let by_category = |text: &dyn Fn(&Sums) -> String| {
            let texts = self.sales.iter().map(|(category, sums)| (category.to_string(), text(sums)));
            Value::Hash(texts.collect())
        };
        expected.insert(keys.reports(), by_category(&|sums| sums.sales.to_string()));
        expected.insert(keys.price_sum(), by_category(&|sums| decimal(sums.price_cents)));
        expected.insert(keys.units_sum(), by_category(&|sums| sums.units.to_string()));
        expected.insert(keys.revenue_sum(), by_category(&|sums| decimal(sums.revenue_cents)));
        let price_mean = by_category(&|sums| decimal(half_up(sums.price_cents, sums.sales)));
        expected.insert(keys.price_mean(), price_mean);
        let units_mean = by_category(&|sums| decimal(half_up(sums.units * 100, sums.sales)));
        expected.insert(keys.units_mean(), units_mean);
        for (category, sums) in &self.sales {
            expected.insert(keys.reports_of(*category), Value::Text(sums.sales.to_string()));
            expected.insert(keys.ranking_of(*category), ranking(&sums.units_by_product));
            let point =
                |(at, id, price): &(u64, String, String)| (format!("{at}:{id}:{price}"), at.to_string());
            expected
                .insert(keys.history_of(*category), Value::Sorted(sums.history.iter().map(point).collect()));
            if !sums.prices.is_empty() {
                let of_second = |(second, of): (&u64, &Prices)| (second.to_string(), of.to_text());
                let prices = sums.prices.iter().map(of_second).collect();
                expected.insert(keys.prices_of(*category), Value::Hash(prices));
            }
        }
    }

    fn expect_weather(&self, expected: &mut BTreeMap<String, Value>) {
        if self.countries.is_empty() {
            return;
        }
        let counts = self.countries.iter().map(|(country, n)| (country.clone(), n.to_string()));
        expected.insert(self.keys.country_counts(), Value::Hash(counts.collect()));
        let total: u128 = self.countries.values().sum();
        expected.insert(self.keys.total_messages(), Value::Text(total.to_string()));
        for (key, report) in &self.reports {
            let at_ms = report.accepted_at.millis() + u64::from(self.config.weather_ttl_s) * 1000;
            expected.insert(key.clone(), Value::Expiring { at_ms, value: Box::new(weather(report)) });
        }
    }
}

impl Prices {
    fn to_text(self) -> String {
        let Self { sales, cents, min, max } = self;
        format!("{sales}:{}:{}:{}", decimal(cents), decimal(min.into()), decimal(max.into()))
    }
}

/// A text for each partition, by topic.
fn by_topic<'a>(
    all: impl Iterator<Item = (&'a (String, i32), String)>,
) -> BTreeMap<&'a str, BTreeMap<String, String>> {
    let mut by_topic = BTreeMap::<_, BTreeMap<_, _>>::new();
    for ((topic, partition), text) in all {
        by_topic.entry(topic.as_str()).or_default().insert(partition.to_string(), text);
    }
    by_topic
}

fn ranking(units: &BTreeMap<String, u128>) -> Value {
    let score = |(product, units): (&String, &u128)| (product.clone(), (*units).min(EXACT).to_string());
    Value::Sorted(units.iter().map(score).collect())
}

fn weather(report: &WeatherReport) -> Value {
    let draft = &report.draft;
    let fields = [
        ("description", draft.description.clone()),
        ("country", draft.country.clone()),
        ("weather", draft.weather.clone()),
        ("timestamp", report.accepted_at.to_string()),
    ];
    Value::Hash(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn half_up(sum: u128, count: u128) -> u128 {
    (2 * sum + count) / (2 * count)
}

fn event_text(offset: i64, digest: [u8; 8]) -> String {
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{offset}:{digest}")
}
