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
    ///
    /// Where the beginning of a log is gone ([`State::lose`]), what must be there is what the rest leads to with what the store
    /// says of the lost records, as far as they can have led to it.
    pub fn compare(&self, found: &BTreeMap<String, Value>, now_ms: u64) -> Vec<Difference> {
        if self.lost.is_empty() {
            return self.compare_whole(found, now_ms);
        }
        let mut differences = self.completed(found).compare_whole(found, now_ms);
        self.bound(found, &mut differences);
        differences
    }

    fn compare_whole(&self, found: &BTreeMap<String, Value>, now_ms: u64) -> Vec<Difference> {
        let expected = self.expected_beside(found);
        let not_compared = self.not_compared();
        let mut differences = Vec::new();
        for (key, value) in expected.iter().filter(|(key, _)| !not_compared.contains(*key)) {
            match found.get(key) {
                None if may_have_expired(value, now_ms) => {}
                there => compare_values(key, Some(value), there, &mut differences),
            }
        }
        for (key, value) in found.iter().filter(|(key, _)| !expected.contains_key(*key)) {
            compare_values(key, None, Some(value), &mut differences);
        }
        differences.retain(|difference| !self.decides_nothing(difference, found));
        differences
    }

    /// Whether a difference is of no meaning to what is counted next.
    fn decides_nothing(&self, difference: &Difference, found: &BTreeMap<String, Value>) -> bool {
        let Difference { key, field: Some(field), expected, found: there } = difference else { return false };
        match (expected, there) {
            // Counting goes on without it: a resume takes it away, and the next record puts it there again.
            (Some(_), None) => self.positions.keys().any(|(topic, _)| *key == self.keys.last(topic)),
            (None, Some(_)) => self.is_forgettable(key, field, found) || self.is_old_note(key, field, found),
            _ => false,
        }
    }

    /// Whether a surplus is only what the function has not tidied up yet, as it does a bounded part of each time: an
    /// idempotency key that is too old to matter, with its event; or the mark below which all events' offsets are valid.
    fn is_forgettable(&self, key: &str, field: &str, found: &BTreeMap<String, Value>) -> bool {
        self.counted_keys.iter().any(|((topic, partition), keys)| {
            let set = self.keys.idempotency(topic, *partition);
            let is_old = || {
                let at = fields_of(found, &set).and_then(|scores| scores.get(field)?.parse::<u64>().ok());
                at.is_some_and(|at| at < keys.floor)
            };
            (key == set && is_old())
                || (key == self.keys.events(topic, *partition) && (field.is_empty() || is_old()))
        })
    }

    /// Whether it is the note of a batch that the position has passed: the next call takes it away.
    fn is_old_note(&self, key: &str, note: &str, found: &BTreeMap<String, Value>) -> bool {
        let Some((partition, to)) = note.split_once(':') else { return false };
        let Some(topic) = key.strip_prefix(&self.keys.begun("")) else { return false };
        let position = fields_of(found, &self.keys.position(topic)).and_then(|of| of.get(partition));
        let position = position.map_or(Ok(0), |position| position.parse::<i64>());
        to.parse::<i64>().ok().zip(position.ok()).is_some_and(|(to, position)| to <= position)
    }

    fn not_compared(&self) -> BTreeSet<String> {
        if self.config.series_ttl_s == 0 {
            return BTreeSet::new();
        }
        let of_category = |category| [self.keys.history_of(category), self.keys.prices_of(category)];
        Category::ALL.into_iter().flat_map(of_category).chain([self.keys.series()]).collect()
    }
}

pub(super) fn fields_of<'a>(
    found: &'a BTreeMap<String, Value>,
    key: &str,
) -> Option<&'a BTreeMap<String, String>> {
    match found.get(key)? {
        Value::Hash(fields) | Value::Sorted(fields) => Some(fields),
        Value::Text(_) | Value::Expiring { .. } => None,
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
