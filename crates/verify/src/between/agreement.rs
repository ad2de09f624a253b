//! Where two logs differ, and where they differ from what clients were told.

use std::collections::{HashMap, HashSet};

use blackfriday_receipts::{Content, Receipt, Receipts, Refusal};
use uuid::Uuid;

use super::each_side;
use super::pair::{Pair, SIDES};
use crate::log::{Event, Found, Kind};

/// What was compared, and where it differs. Of two numbers or lists the first is of the first log.
#[derive(Debug, Default)]
pub struct Agreement {
    pub(super) names: [&'static str; 2],
    pub(super) accepted: u64,
    /// Events that each log holds.
    pub(super) held: [u64; 2],
    pub(super) in_both: u64,
    /// Records that hold no event of their topic.
    pub(super) no_events: [u64; 2],
    /// Acknowledged, and not here.
    pub(super) lost: [Vec<Uuid>; 2],
    /// Acknowledged, and something else here.
    pub(super) changed: [Vec<Found>; 2],
    /// Refused with this status, and here.
    pub(super) refused_and_written: [Vec<(Found, u16)>; 2],
    /// Here, and not in the other log.
    pub(super) only_here: [Vec<Found>; 2],
    /// The same, and its client knows that the outcome is unknown.
    pub(super) half: [Vec<Found>; 2],
    /// In both, and not the same: where each log has it.
    pub(super) different: Vec<[Found; 2]>,
    /// Without a receipt.
    pub(super) untold: Vec<Found>,
    /// In one log, and maybe gone from the other by retention; or newer than the comparison.
    pub(super) not_compared: u64,
    /// What nothing that is there can prove.
    pub(super) unproved: Vec<String>,
    /// An event without a receipt is a difference.
    pub only_these: bool,
    /// There are receipts to compare with.
    pub with_receipts: bool,
}

/// What clients know of an event.
#[derive(Default)]
struct Known {
    accepted: HashSet<Event>,
    /// Refused, and in a log: the fault is named already.
    refused_and_written: HashSet<Event>,
    /// Told in these words by a receipt, whatever it says.
    contents: HashMap<Event, Vec<Option<Content>>>,
    /// Outcomes that are not known and have no identity.
    unnamed: HashMap<Option<Content>, usize>,
}

impl Agreement {
    pub(super) fn new(names: [&'static str; 2], pair: &Pair, receipts: Receipts) -> Self {
        let mut agreement = Self {
            names,
            accepted: (receipts.sales.len() + receipts.weather.len()) as u64,
            held: each_side(|side| pair.count(side)),
            no_events: pair.no_events,
            ..Self::default()
        };
        let mut known = agreement.compare_receipts(pair, &receipts);
        known.unnamed = amounts(receipts.unnamed);
        // In the order of the logs, so that the same is said each time.
        let mut events: Vec<_> = pair.events.keys().copied().collect();
        events.sort_unstable();
        for event in events {
            agreement.compare(pair, event, &mut known);
        }
        agreement
    }

    /// Says that a topic's records may be fewer than were written.
    pub(super) fn is_compacted(&mut self, log: &str, topic: &str) {
        self.unproved
            .push(format!("{topic} is compacted in {log}: records may be gone that were acknowledged"));
    }

    /// Both logs are the same, and what clients were told.
    pub fn holds(&self) -> bool {
        self.unproved.is_empty() && self.faults().iter().all(|(_, count)| *count == 0)
    }

    /// Events that were acknowledged.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Events that both logs hold.
    pub fn in_both(&self) -> u64 {
        self.in_both
    }

    /// Events that one log alone holds, and whose clients know that their outcome is unknown.
    pub fn half(&self) -> u64 {
        self.half.iter().map(|half| half.len() as u64).sum()
    }

    /// Every kind of fault with how often it was found.
    pub(super) fn faults(&self) -> Vec<(String, usize)> {
        let mut faults = Vec::new();
        for side in SIDES {
            let name = self.names[side];
            faults.push((format!("acknowledged and not in {name}"), self.lost[side].len()));
            faults.push((format!("changed in {name}"), self.changed[side].len()));
            faults.push((format!("refused and in {name}"), self.refused_and_written[side].len()));
            faults.push((format!("only in {name}"), self.only_here[side].len()));
        }
        faults.push(("different".to_owned(), self.different.len()));
        let untold = if self.only_these { self.untold.len() } else { 0 };
        faults.push(("without a receipt".to_owned(), untold));
        faults
    }

    /// Acknowledgements first: what was refused once may have been accepted by another try.
    fn compare_receipts(&mut self, pair: &Pair, receipts: &Receipts) -> Known {
        let mut known = Known::default();
        let sales = receipts.sales.iter().map(|receipt| ((Kind::Sale, receipt.id), receipt));
        let weather = receipts.weather.iter().map(|receipt| ((Kind::Weather, receipt.id), receipt));
        for (event, receipt) in sales.chain(weather) {
            self.compare_accepted(pair, event, receipt.content);
            known.accepted.insert(event);
            known.contents.entry(event).or_default().push(receipt.content);
        }
        for receipt in &receipts.unknown {
            known.contents.entry(event_of(pair, receipt)).or_default().push(receipt.content);
        }
        for Refusal { receipt, status } in &receipts.refused {
            let event = event_of(pair, receipt);
            if known.explains(&event, receipt.content) {
                continue;
            }
            for side in SIDES.into_iter().filter(|side| pair.holds(&event, *side, receipt.content)) {
                let found = pair.found(&event, side);
                self.refused_and_written[side].extend(found.map(|found| (found, *status)));
                known.refused_and_written.insert(event);
            }
        }
        known
    }

    fn compare_accepted(&mut self, pair: &Pair, event: Event, content: Option<Content>) {
        for side in SIDES.into_iter().filter(|side| !pair.holds(&event, *side, content)) {
            match pair.found(&event, side) {
                Some(found) => self.changed[side].push(found),
                None if pair.may_be_gone(&event, side) => self.not_compared += 1,
                None => self.lost[side].push(event.1),
            }
        }
    }

    fn compare(&mut self, pair: &Pair, event: Event, known: &mut Known) {
        let found = SIDES.map(|side| pair.found(&event, side));
        if !known.contents.contains_key(&event) && !known.refused_and_written.contains(&event) {
            self.untold.extend(found.iter().flatten().next().cloned());
        }
        match found {
            [Some(first), Some(second)] => {
                self.in_both += 1;
                self.compare_both(pair, event, [first, second], known);
            }
            [Some(found), None] => self.compare_one(pair, event, (0, found), known),
            [None, Some(found)] => self.compare_one(pair, event, (1, found), known),
            [None, None] => {}
        }
    }

    fn compare_both(&mut self, pair: &Pair, event: Event, found: [Found; 2], known: &Known) {
        let surplus = SIDES.map(|side| pair.surplus(&event, side));
        let is_explained = |content: &Content| known.explains(&event, Some(*content));
        let counts = SIDES.map(|side| pair.counts(&event, side));
        if surplus.iter().all(Vec::is_empty) {
            // Each has all of it, and counts what it has first.
            if counts[0] != counts[1] {
                self.different.push(found);
            }
        } else if !known.accepted.contains(&event) && surplus.iter().flatten().all(is_explained) {
            for (side, found) in found.into_iter().enumerate().filter(|(side, _)| !surplus[*side].is_empty())
            {
                self.half[side].push(found);
            }
        } else {
            self.different.push(found);
        }
    }

    fn compare_one(&mut self, pair: &Pair, event: Event, (side, found): (usize, Found), known: &mut Known) {
        // Its receipt was compared with both.
        if known.accepted.contains(&event) || known.refused_and_written.contains(&event) {
            return;
        }
        if pair.is_of_another_time(&event, side) {
            self.not_compared += 1;
            return;
        }
        let explained = pair
            .surplus(&event, side)
            .iter()
            .all(|content| known.explains(&event, Some(*content)) || known.takes_unnamed(*content));
        if explained { self.half[side].push(found) } else { self.only_here[side].push(found) }
    }
}

impl Known {
    /// Whether a receipt other than a refusal says of an event that this was sent, or may have been.
    fn explains(&self, event: &Event, content: Option<Content>) -> bool {
        let told = self.contents.get(event);
        told.is_some_and(|told| {
            content.is_none() || told.iter().any(|told| told.is_none() || *told == content)
        })
    }

    /// Whether one of the outcomes without an identity may be this one's. It is used up.
    fn takes_unnamed(&mut self, content: Content) -> bool {
        [Some(content), None].into_iter().any(|content| {
            let amount = self.unnamed.get_mut(&content).filter(|amount| **amount > 0);
            amount.map(|amount| *amount -= 1).is_some()
        })
    }
}

/// A receipt of unknown outcome may be of a sale or of a report: what the logs have.
fn event_of(pair: &Pair, receipt: &Receipt) -> Event {
    let sale = (Kind::Sale, receipt.id);
    if pair.events.contains_key(&sale) { sale } else { (Kind::Weather, receipt.id) }
}

fn amounts(contents: Vec<Option<Content>>) -> HashMap<Option<Content>, usize> {
    let mut amounts = HashMap::new();
    for content in contents {
        *amounts.entry(content).or_default() += 1;
    }
    amounts
}
