//! First stage: records become a tally, keyed events, whose keys the store has to be asked about, and what cannot be decoded,
//! which is set aside for the dead letters.

use std::collections::HashSet;

use blackfriday_broker::dead_letter::CONFLICT;
use blackfriday_broker::{LastRead, Record, TopicPartition, WEATHER};
use blackfriday_event::{
    Admission, Bounds, Event, IdempotencyKey, KeyWindow, SaleTally, Timestamp, WeatherTally,
};
use blackfriday_proto::{DecodeError, decode_record};
use blackfriday_store::BatchTally;
use blackfriday_telemetry::sampled::EveryNth;

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
    pub(crate) keyed: Vec<Keyed>,
    /// Records that cannot be counted, and are not in the dead letters yet.
    pub(crate) rejected: Vec<Rejected>,
    /// Trace contexts of sampled records, at most [`MAX_LINKS`].
    pub(crate) traceparents: Vec<String>,
    pub(crate) newest: Option<Timestamp>,
    pub(crate) records: u64,
    /// Records whose time their producer gave.
    pub(crate) of_producers_time: u64,
    /// The last record; none if the log's own records are all there is.
    pub(crate) last: Option<LastRead>,
    /// Events that are to have a line of the log once they are counted.
    pub(crate) told: Vec<String>,
    /// Which these are.
    lines: Option<EveryNth>,
    /// Offsets of conflicting events that are in the dead letters.
    buried: HashSet<i64>,
}

/// An event with a key, and its record.
#[derive(Debug)]
pub(crate) struct Keyed {
    event: Event,
    record: Record,
}

/// A record that cannot be counted.
#[derive(Debug, Clone)]
pub(crate) struct Rejected {
    pub(crate) record: Record,
    pub(crate) reason: String,
}

/// What became of the keyed events.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    /// Events that their key had counted already.
    pub(crate) repeated: u64,
    /// Events under the key of another event.
    pub(crate) conflicting: u64,
}

/// Decodes and folds the records of one partition's batch.
pub(crate) fn fold(kind: Kind, bounds: Bounds, records: Vec<Record>, lines: Option<EveryNth>) -> Folded {
    let mut folded = Folded::new(kind, bounds, lines);
    folded.last = records.last().map(|record| LastRead { offset: record.offset, digest: record.digest() });
    for record in records {
        folded.add(kind, record);
    }
    folded
}

impl Folded {
    fn new(kind: Kind, bounds: Bounds, lines: Option<EveryNth>) -> Self {
        let tally = kind.empty(bounds);
        Self {
            kind,
            tally,
            keyed: Vec::new(),
            rejected: Vec::new(),
            traceparents: Vec::new(),
            newest: None,
            records: 0,
            of_producers_time: 0,
            last: None,
            told: Vec::new(),
            lines,
            buried: HashSet::new(),
        }
    }

    fn add(&mut self, kind: Kind, mut record: Record) {
        self.records += 1;
        self.of_producers_time += u64::from(!record.appended);
        let Some(accepted_at) = Timestamp::from_log(record.timestamp_ms) else {
            return self.reject(record, "the log has no time of the record".to_owned());
        };
        match decode_record(&record.payload, accepted_at) {
            Ok(event) if kind.holds(&event) => {
                self.newest = self.newest.max(Some(accepted_at));
                if let Some(traceparent) = record.traceparent.take_if(|_| self.traceparents.len() < MAX_LINKS)
                {
                    self.traceparents.push(traceparent);
                }
                if event.idempotency_key().is_some() {
                    self.keyed.push(Keyed { event, record });
                } else {
                    self.count(event);
                }
            }
            Ok(_) => self.reject(record, "the record's event does not belong to this topic".to_owned()),
            Err(error) => self.reject(record, reason(&error)),
        }
    }

    fn count(&mut self, event: Event) {
        if self.lines.as_ref().is_some_and(EveryNth::takes_next) {
            self.told.push(match &event {
                Event::Sale(sale) => sale.draft.to_string(),
                Event::Weather(report) => report.draft.to_string(),
            });
        }
        fold_event(&mut self.tally, event);
    }

    fn reject(&mut self, record: Record, reason: String) {
        self.rejected.push(Rejected { record, reason });
    }

    /// The keys whose past decides about the keyed events.
    pub(crate) fn keys(&self) -> Vec<IdempotencyKey> {
        self.keyed.iter().filter_map(|keyed| keyed.event.idempotency_key().cloned()).collect()
    }

    /// Takes the records that go to the dead letters.
    pub(crate) fn take_rejected(&mut self) -> Vec<Rejected> {
        let rejected = std::mem::take(&mut self.rejected);
        self.buried.extend(rejected.iter().map(|rejected| rejected.record.offset));
        rejected
    }

    /// Second stage: folds the keyed events that count by `window`. Conflicting ones must be in the dead letters first: where
    /// they are not, nothing is folded, they are set aside as rejected, and there is no decision yet.
    pub(crate) fn admit(&mut self, window: &mut KeyWindow) -> Option<Decided> {
        let decide = |Keyed { event, record }: &Keyed| match event.idempotency_key() {
            Some(key) => window.admit(key, event.digest(), event.accepted_at(), record.offset),
            None => Admission::Counts,
        };
        let decisions: Vec<_> = self.keyed.iter().map(decide).collect();
        for (keyed, decision) in self.keyed.iter().zip(&decisions) {
            if let Admission::Conflicts { counted } = decision
                && !self.buried.contains(&keyed.record.offset)
            {
                let reason = format!("{CONFLICT}, of the record at offset {counted}");
                self.rejected.push(Rejected { record: keyed.record.clone(), reason });
            }
        }
        if !self.rejected.is_empty() {
            return None;
        }
        let mut decided = Decided::default();
        for (keyed, decision) in std::mem::take(&mut self.keyed).into_iter().zip(decisions) {
            match decision {
                Admission::Counts => self.count(keyed.event),
                Admission::Repeats => decided.repeated += 1,
                Admission::Conflicts { .. } => decided.conflicting += 1,
            }
        }
        Some(decided)
    }
}

impl Kind {
    /// What a partition's records are.
    pub(crate) fn of(partition: &TopicPartition) -> Self {
        if *partition.topic == *WEATHER { Self::Weather } else { Self::Sales }
    }

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
