use std::collections::{BTreeMap, HashSet};

use blackfriday_store::{Difference, Value};
use serde_json::json;
use uuid::Uuid;

use super::log::{Found, Kind, Log, Place};
use super::wait::Span;
use crate::output::{self, grouped};
use crate::receipts::Receipts;

/// What was compared, and where it differs.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    accepted: u64,
    /// Events; an event may have several records.
    in_broker: u64,
    counted: u64,
    /// What the store should say was counted.
    to_be_counted: u64,
    repeated: u64,
    undecodable: u64,
    unknown_written: u64,
    unknown_not_written: u64,
    unknown_unnamed: u64,
    lost: Vec<Uuid>,
    told_twice: Vec<Uuid>,
    doubled: Vec<Found>,
    uncounted: Vec<Found>,
    untold: Vec<Found>,
    dropped: Vec<Place>,
    past_end: Vec<Place>,
    differences: Vec<Difference>,
    /// A record without a receipt is a difference.
    pub(crate) only_these: bool,
    /// There are receipts to compare with.
    pub(crate) with_receipts: bool,
}

impl Proof {
    /// `buried`: where the records came from that lie in the dead-letter topics.
    pub(super) fn new(
        receipts: Receipts,
        mut log: Log,
        spans: &[Span],
        buried: &HashSet<Place>,
        dump: &BTreeMap<String, Value>,
        differences: Vec<Difference>,
    ) -> Self {
        let mut proof = Self {
            accepted: (receipts.sales.len() + receipts.weather.len()) as u64,
            in_broker: log.events.len() as u64,
            counted: counted(dump),
            to_be_counted: log.records - log.repeated - log.uncounted.len() as u64,
            repeated: log.repeated,
            undecodable: log.undecodable.len() as u64,
            unknown_unnamed: receipts.unnamed,
            differences,
            with_receipts: true,
            ..Self::default()
        };
        let sales = receipts.sales.into_iter().map(|id| (id, Kind::Sale));
        let weather = receipts.weather.into_iter().map(|id| (id, Kind::Weather));
        for (id, kind) in sales.chain(weather) {
            match log.events.get_mut(&id).filter(|seen| seen.kind == kind) {
                None => proof.lost.push(id),
                // One record cannot be two sales. Under a key it is the same sale, told again.
                Some(seen) if seen.told && !seen.keyed => proof.told_twice.push(id),
                Some(seen) => seen.told = true,
            }
        }
        for id in receipts.unknown {
            match log.events.get_mut(&id) {
                None => proof.unknown_not_written += 1,
                Some(seen) => {
                    seen.told = true;
                    proof.unknown_written += 1;
                }
            }
        }
        proof.untold = log.untold();
        proof.doubled = log.doubled;
        proof.uncounted = log.uncounted;
        proof.dropped = log.undecodable.into_iter().filter(|place| !buried.contains(place)).collect();
        let past_end = spans.iter().filter(|span| span.position > span.high);
        let place = |span: &Span| Place { partition: span.partition.clone(), offset: span.position };
        proof.past_end = past_end.map(place).collect();
        proof
    }

    /// Nothing is lost, doubled, uncounted or different.
    pub(crate) fn holds(&self) -> bool {
        self.faults().iter().all(|(_, count)| *count == 0)
    }

    /// Every kind of fault with how often it was found.
    fn faults(&self) -> [(&'static str, usize); 8] {
        [
            ("lost", self.lost.len()),
            ("acknowledged twice", self.told_twice.len()),
            ("doubled", self.doubled.len()),
            ("uncounted", self.uncounted.len()),
            ("dropped", self.dropped.len()),
            ("positions past the log's end", self.past_end.len()),
            ("without a receipt", self.surplus()),
            ("keys that differ", self.differences.len().max(usize::from(self.counted != self.to_be_counted))),
        ]
    }

    /// Records that nobody sent. One without a receipt may be one whose outcome the client does not know.
    fn surplus(&self) -> usize {
        let unnamed = usize::try_from(self.unknown_unnamed).unwrap_or(usize::MAX);
        if self.only_these { self.untold.len().saturating_sub(unnamed) } else { 0 }
    }

    /// Lists have `show` entries at the most, beside their full length.
    pub(crate) fn to_json(&self, show: usize) -> serde_json::Value {
        let found = |all: &[Found]| {
            let one = |found: &Found| {
                let Place { partition, offset } = &found.place;
                json!({"id": found.id, "topic": &*partition.topic, "partition": partition.partition,
                       "offset": offset})
            };
            json!({"count": all.len(), "records": all.iter().take(show).map(one).collect::<Vec<_>>()})
        };
        let places = |all: &[Place]| {
            let one = |place: &Place| {
                json!({"topic": &*place.partition.topic, "partition": place.partition.partition,
                       "offset": place.offset})
            };
            json!({"count": all.len(), "records": all.iter().take(show).map(one).collect::<Vec<_>>()})
        };
        let ids = |all: &[Uuid]| json!({"count": all.len(), "ids": &all[..all.len().min(show)]});
        let difference = |difference: &Difference| {
            json!({"key": difference.key, "field": difference.field, "expected": difference.expected,
                   "found": difference.found})
        };
        json!({
            "holds": self.holds(),
            "accepted": self.accepted,
            "in_broker": self.in_broker,
            "counted": self.counted,
            "repeated_under_a_key": self.repeated,
            "undecodable": self.undecodable,
            "unknown": {"written": self.unknown_written, "not_written": self.unknown_not_written,
                        "without_id": self.unknown_unnamed},
            "lost": ids(&self.lost),
            "acknowledged_twice": ids(&self.told_twice),
            "doubled": found(&self.doubled),
            "uncounted": found(&self.uncounted),
            "without_receipt": if self.with_receipts { found(&self.untold) } else { json!(null) },
            "dropped": places(&self.dropped),
            "past_end": places(&self.past_end),
            "differences": {"count": self.differences.len(),
                            "keys": self.differences.iter().take(show).map(difference).collect::<Vec<_>>()},
        })
    }

    pub(crate) fn print(&self, show: usize) {
        let mut head = vec!["in the broker", "counted"];
        let mut row = vec![grouped(self.in_broker), grouped(self.counted)];
        if self.with_receipts {
            head.insert(0, "accepted");
            row.insert(0, grouped(self.accepted));
        }
        output::table(&head, [row]);
        self.print_notes();
        self.print_faults(show);
        let faults = self.faults();
        let faults: Vec<_> = faults.iter().filter(|(_, count)| *count > 0).collect();
        if faults.is_empty() {
            let receipts =
                if self.with_receipts { "every accepted event is in the broker, and " } else { "" };
            output::line(format_args!("holds: {receipts}every key of the store is what the log adds up to"));
        } else {
            let faults: Vec<_> = faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
            output::line(format_args!("DOES NOT HOLD: {}", faults.join(", ")));
        }
    }

    fn print_notes(&self) {
        let untold = if self.with_receipts && !self.only_these { self.untold.len() as u64 } else { 0 };
        let notes = [
            (self.repeated, "records repeat an event under an idempotency key, and count once"),
            (self.undecodable, "records cannot be decoded, and belong to the dead letters"),
            (self.unknown_written, "events of unknown outcome were written"),
            (self.unknown_not_written, "events of unknown outcome were not written"),
            (self.unknown_unnamed, "requests have an unknown outcome and no identity"),
            (untold, "events in the broker have no receipt here"),
        ];
        for (count, note) in notes.into_iter().filter(|(count, _)| *count > 0) {
            output::line(format_args!("{} {note}", grouped(count)));
        }
    }

    fn print_faults(&self, show: usize) {
        let found = |all: &[Found], what: &str| {
            for Found { id, place } in all.iter().take(show) {
                output::line(format_args!("{what}: {id} at {} offset {}", place.partition, place.offset));
            }
        };
        for id in self.lost.iter().take(show) {
            output::line(format_args!("lost: {id} was acknowledged and is not in the broker"));
        }
        for id in self.told_twice.iter().take(show) {
            output::line(format_args!("acknowledged twice: {id} has two receipts and one record"));
        }
        found(&self.doubled, "doubled: once more");
        found(&self.uncounted, "uncounted");
        if self.surplus() > 0 {
            found(&self.untold, "without a receipt");
        }
        for Place { partition, offset } in self.dropped.iter().take(show) {
            output::line(format_args!(
                "dropped: {partition} offset {offset} cannot be decoded and is not in the dead letters"
            ));
        }
        for Place { partition, offset } in self.past_end.iter().take(show) {
            output::line(format_args!(
                "past the end: {partition} is counted up to {offset}, and ends before"
            ));
        }
        if self.counted != self.to_be_counted {
            let (counted, expected) = (grouped(self.counted), grouped(self.to_be_counted));
            output::line(format_args!(
                "the store says {counted} events; those below its positions are {expected}"
            ));
        }
        for Difference { key, field, expected, found } in self.differences.iter().take(show) {
            let field = field.as_deref().map(|field| format!(" {field}")).unwrap_or_default();
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            output::line(format_args!(
                "differs: {key}{field} holds {}, and should hold {}",
                text(found),
                text(expected)
            ));
        }
    }
}

/// What the store itself says was counted: sales of all categories, and weather reports.
fn counted(dump: &BTreeMap<String, Value>) -> u64 {
    let number = |text: &String| text.parse::<u64>().unwrap_or(0);
    let ends = |name: &str| dump.iter().find(|(key, _)| key.ends_with(name)).map(|(_, value)| value);
    let sales: u64 = match ends("reportes:total") {
        Some(Value::Hash(fields)) => fields.values().map(number).sum(),
        _ => 0,
    };
    let reports = match ends("total_messages") {
        Some(Value::Text(text)) => number(text),
        _ => 0,
    };
    sales + reports
}

#[cfg(test)]
mod tests;
