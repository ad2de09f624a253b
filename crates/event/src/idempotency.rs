use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::{FieldError, Timestamp};

/// For how long a key is remembered, measured on the records' own times of acceptance: 24 hours.
pub const IDEMPOTENCY_WINDOW_MS: u64 = 24 * 60 * 60 * 1000;

/// The key under which a client may repeat a request: 1–128 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// The longest key, in characters.
    pub const MAX_BYTES: usize = 128;

    /// Checks and takes a key.
    ///
    /// # Errors
    /// Empty, longer than [`IdempotencyKey::MAX_BYTES`], or with a space or anything but visible ASCII.
    pub fn new(text: &str) -> Result<Self, FieldError> {
        if (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(FieldError::new("idempotency_key", "must be 1 to 128 visible ASCII characters"))
        }
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Decides, record by record in the order of one partition, which keyed records count.
///
/// A record counts unless its key was counted within [`IDEMPOTENCY_WINDOW_MS`] before the newest counted
/// time of the partition. "Newest" is the highest time among the counted keys and the record itself, so
/// the decision is a function of the partition's prefix: replays and other batch sizes decide the same.
///
/// It starts from the part of the stored set that a batch needs: the newest stored time, and the
/// stored times of the batch's own keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyWindow {
    newest: Option<Timestamp>,
    seen: HashMap<IdempotencyKey, Timestamp>,
    added: HashMap<IdempotencyKey, Timestamp>,
}

impl KeyWindow {
    /// A window over what the store holds: its newest time, and the times of the keys asked for.
    pub fn new(newest: Option<Timestamp>, seen: HashMap<IdempotencyKey, Timestamp>) -> Self {
        Self { newest, seen, added: HashMap::new() }
    }

    /// Whether the record with this key counts; if so, the key is remembered from here on.
    pub fn admit(&mut self, key: &IdempotencyKey, accepted_at: Timestamp) -> bool {
        let newest = self.newest.map_or(accepted_at, |newest| newest.max(accepted_at));
        let floor = newest.minus_millis(IDEMPOTENCY_WINDOW_MS);
        if self.seen.get(key).is_some_and(|counted_at| *counted_at >= floor) {
            return false;
        }
        self.newest = Some(newest);
        self.seen.insert(key.clone(), accepted_at);
        self.added.insert(key.clone(), accepted_at);
        true
    }

    /// The newest counted time, or `None` if no key was ever counted.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Keys below this time no longer decide anything and may be dropped from the stored set.
    pub fn floor(&self) -> Option<Timestamp> {
        self.newest.map(|newest| newest.minus_millis(IDEMPOTENCY_WINDOW_MS))
    }

    /// The keys counted since the window was made, with their times: what the store must add.
    pub fn added(&self) -> &HashMap<IdempotencyKey, Timestamp> {
        &self.added
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::new(text).expect("a key")
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis).expect("in range")
    }

    #[test]
    fn keys_outside_of_the_limits_are_refused() {
        for text in ["", " ", "a b", "ñ", &"x".repeat(129)] {
            assert_eq!(IdempotencyKey::new(text).expect_err("bad key").field, "idempotency_key");
        }
    }

    #[test]
    fn a_key_counts_once_within_the_window_and_again_after_it() {
        let mut window = KeyWindow::default();
        assert!(window.admit(&key("a"), at(1000)));
        assert!(!window.admit(&key("a"), at(1000)));
        assert!(!window.admit(&key("a"), at(1000 + IDEMPOTENCY_WINDOW_MS)));
        assert!(window.admit(&key("b"), at(1001 + IDEMPOTENCY_WINDOW_MS)));
        assert!(window.admit(&key("a"), at(500)), "expired by the newest time, not by its own");
    }

    proptest! {
        /// The stored set may be trimmed and reloaded between any two records without changing a decision.
        #[test]
        fn decisions_do_not_depend_on_batches(
            records in prop::collection::vec((0_u8..6, 0_u64..40), 0..60),
            split in 1_usize..10,
        ) {
            let hours = |h: u64| at(h * 2 * 60 * 60 * 1000);
            let mut whole = KeyWindow::default();
            let expected: Vec<_> =
                records.iter().map(|(k, h)| whole.admit(&key(&k.to_string()), hours(*h))).collect();

            let mut stored: HashMap<IdempotencyKey, Timestamp> = HashMap::new();
            let mut decided = Vec::new();
            for batch in records.chunks(split) {
                let newest = stored.values().max().copied();
                let wanted = batch.iter().map(|(k, _)| key(&k.to_string()));
                let seen = wanted.filter_map(|k| stored.get(&k).map(|t| (k.clone(), *t))).collect();
                let mut window = KeyWindow::new(newest, seen);
                for (k, h) in batch {
                    decided.push(window.admit(&key(&k.to_string()), hours(*h)));
                }
                stored.extend(window.added().iter().map(|(k, t)| (k.clone(), *t)));
                if let Some(floor) = window.floor() {
                    stored.retain(|_, t| *t >= floor);
                }
            }
            prop_assert_eq!(decided, expected);
        }
    }
}
