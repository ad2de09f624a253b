//! What is kept of each event, by its identity.

use blackfriday_event::{IDEMPOTENCY_WINDOW_MS, Timestamp};
use blackfriday_receipts::Content;
use blackfriday_store::Recorded;

use super::{Event, Found, Kind, Log};

/// An event in the log.
pub(crate) struct Seen {
    pub(super) keyed: bool,
    /// A client has a receipt for it.
    pub(crate) told: bool,
    /// Of the record that was counted last.
    pub(super) content: Content,
    /// A client has a receipt for this very content.
    pub(super) content_told: bool,
    /// All that is left of it belongs to the key of another event, which is gone.
    pub(super) in_conflict: bool,
    /// Where its first record is.
    pub(super) partition: u32,
    pub(super) offset: i64,
    /// A record of it counts that is left.
    pub(super) counts: bool,
    /// Time of acceptance of the record that was counted last; of the first one, if none is left that counts.
    pub(super) counted_at: Timestamp,
}

/// A further record of an event.
pub(super) struct Other {
    pub(super) content: Content,
    /// It counts as an event of its own: its key was free by then. Without, its key belongs to another event.
    pub(super) counts: bool,
    /// A client has a receipt for it.
    pub(super) told: bool,
}

/// What is kept of a record's event.
pub(crate) struct Facts {
    pub(crate) event: Event,
    pub(super) keyed: bool,
    pub(crate) content: Content,
    pub(super) accepted_at: Timestamp,
}

impl Facts {
    pub(crate) fn of(event: &blackfriday_event::Event) -> Self {
        let (kind, content) = match event {
            blackfriday_event::Event::Sale(sale) => (Kind::Sale, Content::of_sale(&sale.draft)),
            blackfriday_event::Event::Weather(report) => (Kind::Weather, Content::of_weather(&report.draft)),
        };
        Self {
            event: (kind, event.id().as_uuid()),
            keyed: event.idempotency_key().is_some(),
            content,
            accepted_at: event.accepted_at(),
        }
    }
}

impl Log {
    /// Keeps what the proof needs of a record.
    pub(super) fn note(&mut self, facts: Facts, found: Found, recorded: Option<Recorded>) {
        let Facts { event, keyed, content, accepted_at } = facts;
        let admitted = recorded.map_or(!keyed, |recorded| recorded == Recorded::Counted);
        // What is beyond the position will count, as far as this knows.
        let counts = recorded.is_none_or(|recorded| recorded == Recorded::Counted);
        let partition = self.number_of(&found.place.partition);
        let Some(seen) = self.events.get_mut(&event) else {
            let offset = found.place.offset;
            let in_conflict = recorded == Some(Recorded::Conflicting);
            let (told, content_told, counted_at) = (false, false, accepted_at);
            let seen = Seen {
                keyed,
                told,
                content,
                content_told,
                in_conflict,
                partition,
                offset,
                counts,
                counted_at,
            };
            self.events.insert(event, seen);
            return;
        };
        let is_other = seen.content != content;
        if admitted {
            // Under a key it counts once more only after the keys' window, as was promised, wherever it is.
            let apart_ms = seen.counted_at.millis().abs_diff(accepted_at.millis());
            if seen.counts && (!keyed || apart_ms <= IDEMPOTENCY_WINDOW_MS) {
                self.doubled.push(found);
            }
            let was_in_conflict = std::mem::replace(&mut seen.in_conflict, false);
            (seen.counts, seen.counted_at) = (true, accepted_at);
            let before = std::mem::replace(&mut seen.content, content);
            if is_other {
                self.others.entry(event).or_default().push(Other {
                    content: before,
                    counts: !was_in_conflict,
                    told: false,
                });
            }
        } else if is_other {
            let may_count = recorded == Some(Recorded::Undecided);
            self.others.entry(event).or_default().push(Other { content, counts: may_count, told: false });
        }
    }
}
