//! What the functions do to where a partition is, naively: a consumer's protocol can be tried on it without a server.

use crate::apply::{LastRecord, Outcome};
use crate::partitions::StoredPartition;

/// Where a partition is in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Place(pub StoredPartition);

impl Place {
    /// A batch that starts at one position and leads to another, with its last record.
    pub fn apply(&mut self, from: i64, to: i64, last: Option<LastRecord>) -> Outcome {
        self.unless_stopped(from, |place| {
            place.next = to;
            place.last = last.or(place.last);
        })
    }

    /// A stop at a position.
    pub fn stop(&mut self, position: i64, reason: &str) -> Outcome {
        self.unless_stopped(position, |place| place.stopped = Some(reason.to_owned()))
    }

    /// A move of the position, which ends a stop.
    pub fn resume(&mut self, from: i64, to: i64) -> Outcome {
        self.at(from, |place| *place = StoredPartition { next: to, last: None, stopped: None })
    }

    fn unless_stopped(&mut self, from: i64, change: impl FnOnce(&mut StoredPartition)) -> Outcome {
        match &self.0.stopped {
            Some(reason) => Outcome::Stopped { reason: reason.clone() },
            None => self.at(from, change),
        }
    }

    fn at(&mut self, from: i64, change: impl FnOnce(&mut StoredPartition)) -> Outcome {
        if self.0.next != from {
            return Outcome::Refused { stored: self.0.next };
        }
        change(&mut self.0);
        Outcome::Applied
    }
}
