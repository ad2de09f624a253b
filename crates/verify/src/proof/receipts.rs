//! What clients were told against what is in the log.

use std::collections::HashMap;

use blackfriday_receipts::{Content, Receipt, Receipts, Refusal};

use super::Proof;
use crate::log::told::Told;
use crate::log::{Found, Kind, Log};

impl Proof {
    /// Each receipt with an identity against the log. Acknowledgements first: what was refused once may have been accepted
    /// by another try.
    pub(super) fn compare(&mut self, receipts: &Receipts, log: &mut Log) {
        let sales = receipts.sales.iter().map(|receipt| (Kind::Sale, receipt));
        for (kind, receipt) in sales.chain(receipts.weather.iter().map(|receipt| (Kind::Weather, receipt))) {
            match log.tell((kind, receipt.id), receipt.content) {
                None if log.may_be_gone((kind, receipt.id)) => self.not_compared += 1,
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
        let may_be_gone = |receipt: &Receipt, log: &Log| {
            [Kind::Sale, Kind::Weather].iter().any(|kind| log.may_be_gone((*kind, receipt.id)))
        };
        let is_elsewhere = |receipt: &&Receipt| log.holds_only_others(event(receipt, log), receipt.content);
        let (elsewhere, rest): (Vec<_>, Vec<_>) = receipts.iter().partition(is_elsewhere);
        for receipt in rest {
            // Whether it was written twice or in vain, no client got a wrong answer.
            match log.tell(event(receipt, log), receipt.content) {
                None if may_be_gone(receipt, log) => self.not_compared += 1,
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
            // What it was sent as may be gone, and what is left another try under its key.
            Told::Changed if log.may_be_gone((kind, receipt.id)) => self.not_compared += 1,
            Told::Changed => {
                let seen = log.events.get(&(kind, receipt.id));
                self.changed.extend(seen.map(|seen| log.found(receipt.id, seen)));
            }
        }
    }

    /// Which events without a receipt may be those whose outcome or whose refusal had no identity: by their content, if the
    /// receipts have it.
    pub(super) fn explain(
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
