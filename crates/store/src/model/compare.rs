use std::collections::{BTreeMap, BTreeSet};

use blackfriday_event::Category;

use super::{Difference, State, Value};

/// How far our clock may be from Valkey's, which decides when a report expires.
const CLOCK_SKEW_MS: u64 = 60_000;
const EXPIRY: &str = "(expires at)";

impl State {
    /// Where a dump of the store differs from what it must be.
    ///
    /// `now_ms`, in milliseconds since the Unix epoch, is a time after the dump: what must have expired by then, or will
    /// within a minute, may be missing from it. What the dump does hold is compared in any case, its expiry included. With
    /// a time to live for the bounded series, those are not compared: what is missing may have expired.
    pub fn compare(&self, found: &BTreeMap<String, Value>, now_ms: u64) -> Vec<Difference> {
        let expected = self.expected();
        let not_compared = self.not_compared();
        let mut differences = Vec::new();
        for (key, value) in expected.iter().filter(|(key, _)| !not_compared.contains(*key)) {
            match found.get(key) {
                None if may_have_expired(value, now_ms) => {}
                there => compare_values(key, Some(value), there, &mut differences),
            }
        }
        differences.retain(|difference| !self.decides_nothing(difference, found));
        for (key, value) in found.iter().filter(|(key, _)| !expected.contains_key(*key)) {
            compare_values(key, None, Some(value), &mut differences);
        }
        differences
    }

    /// Whether a difference is only what the function has not tidied up yet, as it does a bounded part of each time: an
    /// idempotency key that is too old to matter, with its event; or the mark below which all events' offsets are valid.
    fn decides_nothing(&self, difference: &Difference, found: &BTreeMap<String, Value>) -> bool {
        let (Some(field), None, Some(_)) = (&difference.field, &difference.expected, &difference.found)
        else {
            return false;
        };
        self.counted_keys.iter().any(|((topic, partition), keys)| {
            let set = self.keys.idempotency(topic, *partition);
            let is_old = || match found.get(&set) {
                Some(Value::Sorted(scores)) => scores
                    .get(field)
                    .and_then(|score| score.parse::<u64>().ok())
                    .is_some_and(|at| at < keys.floor),
                _ => false,
            };
            (difference.key == set && is_old())
                || (difference.key == self.keys.events(topic, *partition) && (field.is_empty() || is_old()))
        })
    }

    fn not_compared(&self) -> BTreeSet<String> {
        if self.config.series_ttl_s == 0 {
            return BTreeSet::new();
        }
        let histories = Category::ALL.into_iter().map(|category| self.keys.history_of(category));
        histories.chain([self.keys.series()]).collect()
    }
}

fn may_have_expired(value: &Value, now_ms: u64) -> bool {
    matches!(value, Value::Expiring { at_ms, .. } if *at_ms <= now_ms + CLOCK_SKEW_MS)
}

fn compare_values(
    key: &str,
    expected: Option<&Value>,
    found: Option<&Value>,
    differences: &mut Vec<Difference>,
) {
    let mut differ = |field: Option<String>, expected, found| {
        differences.push(Difference { key: key.to_owned(), field, expected, found });
    };
    let (kind, found_kind) = (expected.map(kind), found.map(kind));
    if kind.is_some() && found_kind.is_some() && kind != found_kind {
        return differ(None, kind.map(str::to_owned), found_kind.map(str::to_owned));
    }
    let fields = expected.map(fields).unwrap_or_default();
    let found_fields = found.map(self::fields).unwrap_or_default();
    let names: BTreeSet<_> = fields.keys().chain(found_fields.keys()).collect();
    for name in names {
        let (expected, found) = (fields.get(name), found_fields.get(name));
        if expected != found {
            differ(name.clone(), expected.cloned(), found.cloned());
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "a string",
        Value::Hash(_) => "a hash",
        Value::Sorted(_) => "a sorted set",
        Value::Expiring { value, .. } => kind(value),
    }
}

fn fields(value: &Value) -> BTreeMap<Option<String>, String> {
    match value {
        Value::Text(text) => BTreeMap::from([(None, text.clone())]),
        Value::Hash(fields) | Value::Sorted(fields) => {
            fields.iter().map(|(name, value)| (Some(name.clone()), value.clone())).collect()
        }
        Value::Expiring { at_ms, value } => {
            let mut all = fields(value);
            all.insert(Some(EXPIRY.to_owned()), at_ms.to_string());
            all
        }
    }
}
