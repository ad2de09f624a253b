//! First stage: a batch of records becomes what the store can add up.
//!
//! Sales without an idempotency key are folded at once, while the previous batch is still being applied: the fold
//! does not depend on order. Keyed ones wait for the second stage, because whether they count depends on what the
//! store has seen. What cannot be decoded is set aside for the dead letters.

use blackfriday_broker::Record;
use blackfriday_event::{Admission, Bounds, IdempotencyKey, KeyWindow, SaleTally, Timestamp, WeatherTally};
use blackfriday_proto::{DecodeError, Event, decode_record};
use blackfriday_store::{BatchTally, LastRecord};

/// The most trace contexts that one batch's span links to.
const MAX_LINKS: usize = 128;

/// What a topic's records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sales,
    Weather,
}

/// A decoded batch of one partition: everything between two positions.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) kind: Kind,
    pub(crate) tally: BatchTally,
    /// Keyed events with their records, in the order of their offsets.
    pub(crate) keyed: Vec<(Event, Record)>,
    /// Records that cannot be counted.
    pub(crate) rejected: Vec<Rejected>,
    /// Trace contexts of sampled records, at most [`MAX_LINKS`].
    pub(crate) traceparents: Vec<String>,
    pub(crate) newest: Option<Timestamp>,
    pub(crate) records: u64,
    pub(crate) last: Option<LastRecord>,
}

/// A record that cannot be counted.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) record: Record,
    pub(crate) reason: String,
}

/// Decodes and folds the records of one partition's batch.
pub(crate) fn fold(kind: Kind, bounds: Bounds, records: Vec<Record>) -> Folded {
    let mut folded = Folded::new(kind, bounds);
    for record in records {
        folded.add(kind, record);
    }
    folded
}

impl Folded {
    fn new(kind: Kind, bounds: Bounds) -> Self {
        let tally = kind.empty(bounds);
        Self {
            kind,
            tally,
            keyed: Vec::new(),
            rejected: Vec::new(),
            traceparents: Vec::new(),
            newest: None,
            records: 0,
            last: None,
        }
    }

    fn add(&mut self, kind: Kind, record: Record) {
        self.records += 1;
        self.last = Some(LastRecord { offset: record.offset, digest: record.digest() });
        let Some(accepted_at) = Timestamp::from_log(record.timestamp_ms) else {
            return self.reject(record, "the log has no time of the record".to_owned());
        };
        match decode_record(&record.payload, accepted_at) {
            Ok(event) if kind.holds(&event) => {
                self.newest = self.newest.max(Some(accepted_at));
                if let Some(traceparent) = &record.traceparent
                    && self.traceparents.len() < MAX_LINKS
                {
                    self.traceparents.push(traceparent.clone());
                }
                if event.idempotency_key().is_some() {
                    self.keyed.push((event, record))
                } else {
                    fold_event(&mut self.tally, event)
                }
            }
            Ok(_) => self.reject(record, "the record's event does not belong to this topic".to_owned()),
            Err(error) => self.reject(record, reason(&error)),
        }
    }

    fn reject(&mut self, record: Record, reason: String) {
        self.rejected.push(Rejected { record, reason });
    }

    /// The keys whose past decides about the keyed events.
    pub(crate) fn keys(&self) -> Vec<IdempotencyKey> {
        self.keyed.iter().filter_map(|(event, _)| event.idempotency_key().cloned()).collect()
    }

    /// Second stage: folds the keyed events that count by `window`. Returns how many repeat one, and those that belong to
    /// the dead letters because their key was counted with another event.
    pub(crate) fn admit(&mut self, window: &mut KeyWindow) -> (u64, Vec<Rejected>) {
        let (mut repeated, mut conflicting) = (0, Vec::new());
        for (event, record) in self.keyed.drain(..) {
            let admission = event.idempotency_key().map_or(Admission::Counts, |key| {
                window.admit(key, event.digest(), event.accepted_at(), record.offset)
            });
            match admission {
                Admission::Counts => fold_event(&mut self.tally, event),
                Admission::Repeats => repeated += 1,
                Admission::Conflicts { counted } => {
                    let reason = format!(
                        "its idempotency key was counted with another event, of the record at offset {counted}"
                    );
                    conflicting.push(Rejected { record, reason });
                }
            }
        }
        (repeated, conflicting)
    }
}

impl Kind {
    /// The tally of no events.
    pub(crate) fn empty(self, bounds: Bounds) -> BatchTally {
        match self {
            Self::Sales => BatchTally::Sales(Box::new(SaleTally::new(bounds))),
            Self::Weather => BatchTally::Weather(WeatherTally::default()),
        }
    }

    fn holds(self, event: &Event) -> bool {
        matches!((self, event), (Self::Sales, Event::Sale(_)) | (Self::Weather, Event::Weather(_)))
    }
}

/// Adds one event; its kind was checked when it was decoded.
fn fold_event(tally: &mut BatchTally, event: Event) {
    match (tally, event) {
        (BatchTally::Sales(tally), Event::Sale(sale)) => tally.fold(&sale),
        (BatchTally::Weather(tally), Event::Weather(report)) => tally.fold(report),
        (BatchTally::Sales(_), Event::Weather(_)) | (BatchTally::Weather(_), Event::Sale(_)) => {
            debug_assert!(false, "an event of another topic was not rejected");
        }
    }
}

/// The error and its causes in one line.
fn reason(error: &DecodeError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
