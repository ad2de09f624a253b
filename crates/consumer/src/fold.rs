//! First stage: a batch of records becomes what the store can add up.
//!
//! Sales without an idempotency key are folded at once, while the previous batch is still being applied: the fold
//! does not depend on order. Keyed ones wait for the second stage, because whether they count depends on what the
//! store has seen. What cannot be decoded is set aside for the dead letters.

use blackfriday_broker::Record;
use blackfriday_event::{
    Bounds, IdempotencyKey, KeyWindow, Sale, SaleTally, Timestamp, WeatherReport, WeatherTally,
};
use blackfriday_proto::{DecodeError, Event, decode_record};
use blackfriday_store::BatchTally;

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
    /// Keyed events in the order of their offsets.
    pub(crate) keyed: Vec<Event>,
    /// Records that cannot be counted.
    pub(crate) rejected: Vec<Rejected>,
    /// Trace contexts of sampled records, at most [`MAX_LINKS`].
    pub(crate) traceparents: Vec<String>,
    pub(crate) newest: Option<Timestamp>,
    pub(crate) records: u64,
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
        }
    }

    fn add(&mut self, kind: Kind, record: Record) {
        self.records += 1;
        match decode_record(&record.payload) {
            Ok(event) if kind.holds(&event) => {
                self.newest = self.newest.max(Some(accepted_at(&event)));
                if let Some(traceparent) = record.traceparent
                    && self.traceparents.len() < MAX_LINKS
                {
                    self.traceparents.push(traceparent);
                }
                if key_of(&event).is_some() {
                    self.keyed.push(event)
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

    /// The keys whose stored times decide about the keyed events.
    pub(crate) fn keys(&self) -> Vec<IdempotencyKey> {
        self.keyed.iter().filter_map(|event| key_of(event).cloned()).collect()
    }

    /// Second stage: folds the keyed events that count by `window`, and returns how many did not.
    pub(crate) fn admit(&mut self, window: &mut KeyWindow) -> u64 {
        let mut repeated = 0;
        for event in self.keyed.drain(..) {
            match key_of(&event) {
                Some(key) if !window.admit(key, accepted_at(&event)) => repeated += 1,
                _ => fold_event(&mut self.tally, event),
            }
        }
        repeated
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

fn key_of(event: &Event) -> Option<&IdempotencyKey> {
    match event {
        Event::Sale(Sale { idempotency_key, .. }) | Event::Weather(WeatherReport { idempotency_key, .. }) => {
            idempotency_key.as_ref()
        }
    }
}

fn accepted_at(event: &Event) -> Timestamp {
    match event {
        Event::Sale(Sale { accepted_at, .. }) | Event::Weather(WeatherReport { accepted_at, .. }) => {
            *accepted_at
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
