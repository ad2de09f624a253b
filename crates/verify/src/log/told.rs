//! What the log says of receipts.

use super::{Event, Found, Log, Seen};
use blackfriday_receipts::Content;

/// What the log says of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It has what was sent.
    Right,
    /// It has one event for two receipts, without a key that would make them the same.
    Again,
    /// What was sent is in the log and does not count: its key belongs to another event.
    InConflict,
    /// What was sent is not in the log; under its identity there is something else.
    Changed,
}

impl Log {
    /// What became of what a client sent under an identity; `None` if the log has no such event.
    pub(crate) fn tell(&mut self, event: Event, content: Option<Content>) -> Option<Told> {
        let seen = self.events.get_mut(&event)?;
        let again = std::mem::replace(&mut seen.told, true);
        let Some(content) = content.filter(|content| *content != seen.content) else {
            seen.content_told = true;
            return Some(match (seen.in_conflict, again && !seen.keyed) {
                (true, _) => Told::InConflict,
                (false, true) => Told::Again,
                (false, false) => Told::Right,
            });
        };
        let mut others = self.others.get_mut(&event).into_iter().flatten();
        let Some(other) = others.find(|other| other.content == content) else { return Some(Told::Changed) };
        other.told = true;
        Some(if other.counts { Told::Right } else { Told::InConflict })
    }

    /// Whether something is there under an identity, and what a client sent under it, as far as it is known, is not.
    pub(crate) fn holds_only_others(&self, event: Event, content: Option<Content>) -> bool {
        let Some(content) = content else { return false };
        let is_there = |seen: &Seen| {
            let mut others = self.others.get(&event).into_iter().flatten();
            seen.content == content || others.any(|other| other.content == content)
        };
        self.events.get(&event).is_some_and(|seen| !is_there(seen))
    }

    /// What was refused and is in the log all the same, while no other answer explains it. From then on this one does.
    pub(crate) fn refused(&mut self, event: Event, content: Option<Content>) -> Option<Found> {
        if self.holds_only_others(event, content) {
            return None;
        }
        let seen = self.events.get(&event)?;
        let mut others = self.others.get(&event).into_iter().flatten();
        let is_explained = match content {
            None => seen.told,
            Some(content) if content == seen.content => seen.content_told,
            Some(content) => others.any(|other| other.content == content && other.told),
        };
        let found = (!is_explained).then(|| self.found(event.1, seen))?;
        self.tell(event, content);
        Some(found)
    }

    /// Events that no client has a receipt for, in the order of the log.
    pub(crate) fn untold(&self) -> Vec<(Found, Content)> {
        let untold = self.events.iter().filter(|(_, seen)| !seen.told);
        let mut untold: Vec<_> =
            untold.map(|((_, id), seen)| (self.found(*id, seen), seen.content)).collect();
        untold.sort_by(|(a, _), (b, _)| a.place.cmp(&b.place));
        untold
    }
}
