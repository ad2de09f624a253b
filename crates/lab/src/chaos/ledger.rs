//! What clients sent, and what they were told of it: the one side of every verdict.
//!
//! Each event has a name of its own, a sale in its product and a report in its description, by which it is found in the log
//! and in the store whatever identity it got. Invariant: an event is in the ledger before its first byte is sent, so that
//! nothing in the log can be a stranger; and what was told of one try is never improved by a refusal of a later one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use blackfriday_event::{EventId, IdempotencyKey};
use uuid::Uuid;

/// What clients sent and were told.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    entries: BTreeMap<String, Entry>,
    phase: usize,
    tallies: Vec<Tally>,
}

/// Answers in a phase of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Events acknowledged.
    pub(crate) accepted: u64,
    /// Events refused, with the promise that nothing was written.
    pub(crate) refused: u64,
    /// Events whose outcome was not told.
    pub(crate) unknown: u64,
}

/// What an event is, as its client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    /// A sale of the product that it is named after.
    Sale {
        /// 1 to 4.
        category: u8,
        /// Its price.
        cents: u32,
        /// Its quantity.
        units: u32,
    },
    /// A weather report with the description that it is named after.
    Weather {
        /// From where.
        country: &'static str,
        /// What kind.
        weather: &'static str,
    },
}

/// An event.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// What it is.
    pub(crate) sent: Sent,
    /// Its idempotency key, as the log has it.
    pub(crate) key: Option<IdempotencyKey>,
    /// What its client knows; nothing before the first answer.
    pub(crate) told: Option<Told>,
    /// The identity that an answer gave it.
    pub(crate) id: Option<Uuid>,
    /// What its client knows of it in Kafka and in RabbitMQ; nothing for a sale, or before the first answer.
    pub(crate) logs: Option<[Told; 2]>,
}

/// What became of an event, as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is durable.
    Accepted,
    /// It was not written, by any of its tries.
    Refused,
    /// It may have been written.
    Unknown,
}

impl Ledger {
    /// An event is about to be sent, or to be sent again.
    pub(crate) fn sending(&self, name: &str, sent: &Sent, key: Option<&IdempotencyKey>) {
        let entry = || Entry { sent: sent.clone(), key: key.cloned(), told: None, id: None, logs: None };
        self.book().entries.entry(name.to_owned()).or_insert_with(entry);
    }

    /// A client was told something of an event that it had sent.
    pub(crate) fn told(&self, name: &str, told: Told, id: Option<Uuid>) {
        let mut book = self.book();
        let phase = book.phase;
        if book.tallies.len() <= phase {
            book.tallies.resize(phase + 1, Tally::default());
        }
        book.tallies[phase].add(told);
        if let Some(entry) = book.entries.get_mut(name) {
            entry.told = Some(entry.told.map_or(told, |before| before.then(told)));
            entry.id = entry.id.or(id);
        }
    }

    /// A client was told of Kafka and of RabbitMQ what became of a report there.
    pub(crate) fn told_of_logs(&self, name: &str, told: [Told; 2]) {
        if let Some(entry) = self.book().entries.get_mut(name) {
            let [kafka, rabbitmq] = entry.logs.unwrap_or(told);
            entry.logs = Some([kafka.then(told[0]), rabbitmq.then(told[1])]);
        }
    }

    /// From now on answers belong to this phase.
    pub(crate) fn begin_phase(&self, phase: usize) {
        self.book().phase = phase;
    }

    /// The answers of a phase.
    #[must_use]
    pub(crate) fn tally(&self, phase: usize) -> Tally {
        self.book().tallies.get(phase).copied().unwrap_or_default()
    }

    /// The answers of all phases.
    #[must_use]
    pub(crate) fn total(&self) -> Tally {
        self.book().tallies.iter().fold(Tally::default(), |sum, tally| sum.plus(*tally))
    }

    /// All that was sent.
    #[must_use]
    pub(crate) fn entries(&self) -> BTreeMap<String, Entry> {
        self.book().entries.clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// What its client may rely on.
    #[must_use]
    pub(crate) fn known(&self) -> Told {
        self.told.unwrap_or(Told::Unknown)
    }

    /// Its identity, if an answer or its key gives it one.
    #[must_use]
    pub(crate) fn identity(&self) -> Option<Uuid> {
        self.id.or_else(|| self.key.as_ref().map(|key| EventId::of_key(key).as_uuid()))
    }
}

impl Told {
    /// What is known after one more try under the same key.
    #[must_use]
    pub(crate) fn then(self, later: Self) -> Self {
        match (self, later) {
            (Self::Accepted, _) | (_, Self::Accepted) => Self::Accepted,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Refused, Self::Refused) => Self::Refused,
        }
    }
}

impl Tally {
    fn add(&mut self, told: Told) {
        match told {
            Told::Accepted => self.accepted += 1,
            Told::Refused => self.refused += 1,
            Told::Unknown => self.unknown += 1,
        }
    }

    /// Both together.
    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            refused: self.refused + other.refused,
            unknown: self.unknown + other.unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALE: Sent = Sent::Sale { category: 1, cents: 100, units: 1 };

    #[test]
    fn a_refusal_of_a_later_try_does_not_undo_what_may_have_been_written() {
        let ledger = Ledger::default();
        for (name, told, known) in [
            ("a", &[][..], Told::Unknown),
            ("b", &[Told::Refused, Told::Refused], Told::Refused),
            ("c", &[Told::Unknown, Told::Refused], Told::Unknown),
            ("d", &[Told::Refused, Told::Unknown], Told::Unknown),
            ("e", &[Told::Unknown, Told::Accepted], Told::Accepted),
            ("f", &[Told::Accepted, Told::Refused], Told::Accepted),
        ] {
            ledger.sending(name, &SALE, None);
            told.iter().for_each(|told| ledger.told(name, *told, None));
            assert_eq!(ledger.entries()[name].known(), known, "{name}");
        }
    }

    #[test]
    fn what_one_answer_said_of_a_log_is_not_forgotten_at_the_next() {
        let ledger = Ledger::default();
        ledger.sending("a", &SALE, None);
        assert_eq!(ledger.entries()["a"].logs, None);
        ledger.told_of_logs("a", [Told::Refused, Told::Unknown]);
        assert_eq!(ledger.entries()["a"].logs, Some([Told::Refused, Told::Unknown]));
        ledger.told_of_logs("a", [Told::Accepted, Told::Refused]);
        assert_eq!(ledger.entries()["a"].logs, Some([Told::Accepted, Told::Unknown]));
    }

    #[test]
    fn answers_belong_to_the_phase_in_which_they_came() {
        let ledger = Ledger::default();
        ledger.sending("a", &SALE, None);
        ledger.told("a", Told::Refused, None);
        ledger.begin_phase(2);
        ledger.told("a", Told::Accepted, None);
        assert_eq!(ledger.tally(0), Tally { refused: 1, ..Tally::default() });
        assert_eq!(ledger.tally(2), Tally { accepted: 1, ..Tally::default() });
        assert_eq!(ledger.total(), Tally { accepted: 1, refused: 1, unknown: 0 });
    }
}
