//! What was compared, and where it differs. Each difference is a fault that is named with its place; what cannot be known is
//! said, and is not a fault.
//!
//! Of a log that retention has taken the beginning of, the rest is proved, and what is gone is said. That is not the whole
//! proof, and is taken for one only where the caller accepts it for a topic.

pub(crate) mod output;
mod receipts;

use std::collections::{BTreeMap, HashSet};

use blackfriday_receipts::Receipts;
use blackfriday_store::{Difference, Value};
use uuid::Uuid;

use crate::log::{Found, Log};
use crate::records::Place;
use crate::topics::Topics;
use crate::wait::Span;

/// What was compared, and where it differs.
#[derive(Debug, Default)]
pub struct Proof {
    accepted: u64,
    refused: u64,
    /// Events; an event may have several records.
    in_broker: u64,
    counted: u64,
    /// What the store should say was counted.
    to_be_counted: u64,
    repeated: u64,
    undecodable: u64,
    misplaced: u64,
    /// Records that count or not, as the store says.
    undecided: u64,
    /// Events of receipts that may be in what is gone of the log.
    not_compared: u64,
    unknown_written: u64,
    unknown_not_written: u64,
    unknown_unnamed: u64,
    lost: Vec<Uuid>,
    changed: Vec<Found>,
    told_twice: Vec<Uuid>,
    /// Acknowledged, and not counted: the key belongs to another event.
    told_in_conflict: Vec<Uuid>,
    /// All records whose key belongs to another event.
    conflicts: Vec<Found>,
    /// Refused by this status, and in the log.
    refused_and_written: Vec<(Found, u16)>,
    doubled: Vec<Found>,
    uncounted: Vec<Found>,
    /// Without a receipt.
    untold: Vec<Found>,
    /// Without a receipt, and not explained by an outcome that is not known: no client of these receipts sent them.
    surplus: Vec<Found>,
    /// Without a receipt, and with the content of an event that was refused before it had an identity.
    like_refused: Vec<Found>,
    dropped: Vec<Place>,
    past_end: Vec<Place>,
    /// The last counted records that the log does not hold.
    replaced: Vec<Place>,
    /// Positions before the first record that is left: what is in between was not counted, and is gone.
    gone_uncounted: Vec<Place>,
    /// Where partitions begin that retention has taken the beginning of.
    gone: Vec<Place>,
    /// Where partitions are stopped, and why.
    stopped: Vec<(Place, String)>,
    differences: Vec<Difference>,
    /// What nothing that is there can prove.
    unproved: Vec<String>,
    /// Topics whose beginning may be gone: that the rest of them holds is enough.
    pub retained_is_enough: Option<Topics>,
    /// A record without a receipt is a difference.
    pub only_these: bool,
    /// There are receipts to compare with.
    pub with_receipts: bool,
}

impl Proof {
    /// `buried`: where the records came from that are in the dead-letter topics.
    pub(crate) fn new(
        receipts: Receipts,
        mut log: Log,
        spans: &[Span],
        buried: &HashSet<Place>,
        dump: &BTreeMap<String, Value>,
        differences: Vec<Difference>,
    ) -> Self {
        let mut proof = Self {
            accepted: (receipts.sales.len() + receipts.weather.len()) as u64,
            refused: (receipts.refused.len() + receipts.refused_unnamed.len()) as u64,
            in_broker: log.events.len() as u64,
            counted: counted(dump),
            to_be_counted: log.counted,
            repeated: log.repeated,
            undecodable: log.undecodable.len() as u64,
            misplaced: log.misplaced.len() as u64,
            undecided: log.undecided,
            unknown_unnamed: receipts.unnamed.len() as u64,
            differences,
            with_receipts: true,
            ..Self::default()
        };
        proof.compare(&receipts, &mut log);
        proof.explain(log.untold(), receipts.unnamed, receipts.refused_unnamed);
        let is_missing = |place: &&Place| !buried.contains(place);
        proof.dropped = log.belongs_to_the_dead_letters().filter(is_missing).cloned().collect();
        proof.replaced = log.replaced().collect();
        proof.stopped = log.stopped;
        proof.doubled = log.doubled;
        proof.conflicts = log.conflicts;
        proof.uncounted = log.uncounted;
        let places = |is_meant: fn(&Span) -> bool, offset: fn(&Span) -> i64| {
            let place = |span: &Span| Place { partition: span.partition.clone(), offset: offset(span) };
            spans.iter().filter(|span| is_meant(span)).map(place).collect()
        };
        proof.past_end = places(|span| span.position > span.high, |span| span.position);
        proof.gone_uncounted = places(|span| span.position < span.low, |span| span.position);
        proof.gone = places(|span| span.low > 0, |span| span.low);
        for (topic, records) in log.by_producers_time {
            proof.unproved.push(format!(
                "{topic} keeps the producers' times: whether the keys of {records} records count once in 24 hours rests \
                on their clocks"
            ));
        }
        proof
    }

    /// Says that a topic's records may be fewer than were written.
    pub(crate) fn is_compacted(&mut self, topic: &str) {
        self.unproved
            .push(format!("{topic} is compacted: records may be gone that were acknowledged or counted"));
    }

    /// Events that were acknowledged.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Events that the log holds.
    pub fn in_log(&self) -> u64 {
        self.in_broker
    }

    /// Events that the store has counted, as it says itself.
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// Nothing is lost, doubled, uncounted or different, and all of that is proved.
    pub fn holds(&self) -> bool {
        self.verdict() == Verdict::Holds
    }

    /// It holds, or what retention has left does, of topics where that is enough.
    pub fn is_enough(&self) -> bool {
        matches!(self.verdict(), Verdict::Holds | Verdict::RetainedOnly)
    }

    fn verdict(&self) -> Verdict {
        let is_accepted = |place: &Place| {
            self.retained_is_enough.is_some_and(|topics| topics.holds(&place.partition.topic))
        };
        if self.faults().iter().any(|(_, count)| *count > 0) {
            Verdict::DoesNotHold
        } else if !self.unproved.is_empty() || !self.gone.iter().all(is_accepted) {
            Verdict::NotProved
        } else if self.gone.is_empty() {
            Verdict::Holds
        } else {
            Verdict::RetainedOnly
        }
    }

    /// Every kind of fault with how often it was found.
    fn faults(&self) -> [(&'static str, usize); 16] {
        let of_these = |found: &Vec<Found>| if self.only_these { found.len() } else { 0 };
        [
            ("lost", self.lost.len()),
            ("changed", self.changed.len()),
            ("acknowledged twice", self.told_twice.len()),
            ("acknowledged in conflict", self.told_in_conflict.len()),
            ("refused and written", self.refused_and_written.len()),
            ("refused without an identity and written", of_these(&self.like_refused)),
            ("doubled", self.doubled.len()),
            ("uncounted", self.uncounted.len()),
            ("dropped", self.dropped.len()),
            ("positions past the log's end", self.past_end.len()),
            ("gone before they were counted", self.gone_uncounted.len()),
            ("counted from another log", self.replaced.len()),
            ("stopped", self.stopped.len()),
            ("without a receipt", of_these(&self.surplus)),
            ("keys that differ", self.differences.len()),
            ("totals that differ", usize::from(self.differences.is_empty() && self.totals_differ())),
        ]
    }

    /// Of a log whose beginning is gone nobody knows the total.
    fn totals_differ(&self) -> bool {
        self.gone.is_empty() && self.counted != self.to_be_counted
    }
}

/// What a proof comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Holds,
    /// What retention has left holds, which is enough.
    RetainedOnly,
    /// Nothing differs, and not everything is proved.
    NotProved,
    DoesNotHold,
}

/// What the store itself says was counted: sales of all categories, and weather reports.
fn counted(dump: &BTreeMap<String, Value>) -> u64 {
    let number = |text: &String| text.parse::<u64>().unwrap_or(0);
    let ends = |name: &str| dump.iter().find(|(key, _)| key.ends_with(name)).map(|(_, value)| value);
    let sales: u64 = match ends("reportes:total") {
        Some(Value::Hash(fields)) => fields.values().map(number).fold(0, u64::saturating_add),
        _ => 0,
    };
    let reports = match ends("total_messages") {
        Some(Value::Text(text)) => number(text),
        _ => 0,
    };
    sales.saturating_add(reports)
}

#[cfg(test)]
mod tests;
