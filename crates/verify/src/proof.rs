//! What was compared, and where it differs. Each difference is a fault that is named with its place; what cannot be known is
//! said, and is not a fault.

mod output;

use std::collections::{BTreeMap, HashMap, HashSet};

use blackfriday_receipts::{Content, Receipt, Receipts, Refusal};
use blackfriday_store::{Difference, Value};
use uuid::Uuid;

use crate::log::told::Told;
use crate::log::{Found, Kind, Log};
use crate::records::Place;
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
    /// Where partitions are stopped, and why.
    stopped: Vec<(Place, String)>,
    differences: Vec<Difference>,
    /// What nothing that is there can prove.
    unproved: Vec<String>,
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
        let past_end = spans.iter().filter(|span| span.position > span.high);
        let place = |span: &Span| Place { partition: span.partition.clone(), offset: span.position };
        proof.past_end = past_end.map(place).collect();
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

    /// Each receipt with an identity against the log. Acknowledgements first: what was refused once may have been accepted
    /// by another try.
    fn compare(&mut self, receipts: &Receipts, log: &mut Log) {
        let sales = receipts.sales.iter().map(|receipt| (Kind::Sale, receipt));
        for (kind, receipt) in sales.chain(receipts.weather.iter().map(|receipt| (Kind::Weather, receipt))) {
            match log.tell((kind, receipt.id), receipt.content) {
                None => self.lost.push(receipt.id),
                Some(told) => self.note(told, kind, receipt, log),
            }
        }
        self.compare_unknown(&receipts.unknown, log);
        for Refusal { receipt, status } in &receipts.refused {
            let event = (kind_of(receipt, log), receipt.id);
            self.refused_and_written
                .extend(log.refused(event, receipt.content).map(|found| (found, *status)));
        }
    }

    /// Those that were written first: they explain what the log has under an identity, and what was also sent under the
    /// same key was not written.
    fn compare_unknown(&mut self, receipts: &[Receipt], log: &mut Log) {
        let event = |receipt: &Receipt, log: &Log| (kind_of(receipt, log), receipt.id);
        let is_elsewhere = |receipt: &&Receipt| log.holds_only_others(event(receipt, log), receipt.content);
        let (elsewhere, rest): (Vec<_>, Vec<_>) = receipts.iter().partition(is_elsewhere);
        for receipt in rest {
            // Whether it was written twice or in vain, no client got a wrong answer.
            match log.tell(event(receipt, log), receipt.content) {
                None => self.unknown_not_written += 1,
                Some(_) => self.unknown_written += 1,
            }
        }
        let mut changed = Vec::new();
        for receipt in elsewhere {
            if log.events.get(&event(receipt, log)).is_some_and(|seen| seen.told) {
                self.unknown_not_written += 1;
            } else {
                changed.push(receipt);
            }
        }
        for receipt in changed {
            self.unknown_written += 1;
            let event = event(receipt, log);
            if let Some(told) = log.tell(event, receipt.content) {
                self.note(told, event.0, receipt, log);
            }
        }
    }

    fn note(&mut self, told: Told, kind: Kind, receipt: &Receipt, log: &Log) {
        match told {
            Told::Right => {}
            Told::Again => self.told_twice.push(receipt.id),
            Told::InConflict => self.told_in_conflict.push(receipt.id),
            Told::Changed => {
                let seen = log.events.get(&(kind, receipt.id));
                self.changed.extend(seen.map(|seen| log.found(receipt.id, seen)));
            }
        }
    }

    /// Which events without a receipt may be those whose outcome or whose refusal had no identity: by their content, if the
    /// receipts have it.
    fn explain(
        &mut self,
        untold: Vec<(Found, Content)>,
        unnamed: Vec<Option<Content>>,
        refused: Vec<Option<Content>>,
    ) {
        let (mut unnamed, mut refused) = (amounts(unnamed), amounts(refused));
        let mut left = Vec::new();
        for (found, content) in untold {
            self.untold.push(found.clone());
            if !take(&mut unnamed, Some(content)) {
                left.push((found, content));
            }
        }
        for (found, content) in left {
            if take(&mut unnamed, None) {
                continue;
            }
            let like_refused = take(&mut refused, Some(content));
            if like_refused { self.like_refused.push(found) } else { self.surplus.push(found) }
        }
    }

    /// Nothing is lost, doubled, uncounted or different, and all of that is proved.
    pub fn holds(&self) -> bool {
        self.unproved.is_empty() && self.faults().iter().all(|(_, count)| *count == 0)
    }

    /// Every kind of fault with how often it was found.
    fn faults(&self) -> [(&'static str, usize); 15] {
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
            ("counted from another log", self.replaced.len()),
            ("stopped", self.stopped.len()),
            ("without a receipt", of_these(&self.surplus)),
            ("keys that differ", self.differences.len()),
            (
                "totals that differ",
                usize::from(self.differences.is_empty() && self.counted != self.to_be_counted),
            ),
        ]
    }
}

/// Receipts whose event may be a sale or a report: what the log has.
fn kind_of(receipt: &Receipt, log: &Log) -> Kind {
    if log.events.contains_key(&(Kind::Sale, receipt.id)) { Kind::Sale } else { Kind::Weather }
}

fn amounts(contents: Vec<Option<Content>>) -> HashMap<Option<Content>, usize> {
    let mut amounts = HashMap::new();
    for content in contents {
        *amounts.entry(content).or_default() += 1;
    }
    amounts
}

/// Takes one of these away, if there is one.
fn take(amounts: &mut HashMap<Option<Content>, usize>, content: Option<Content>) -> bool {
    let amount = amounts.get_mut(&content).filter(|amount| **amount > 0);
    amount.map(|amount| *amount -= 1).is_some()
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
