//! The proof for people, as a table and lines, and for programs, as JSON.
//!
//! Each fault is named with its place, up to as many as are asked for; the counts are of all.

use std::fmt;

use blackfriday_store::Difference;
use blackfriday_terminal::output::{self, count, grouped};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Proof, Verdict};
use crate::log::Found;
use crate::records::Place;

/// In place of what the store counted, where that was counted from another log.
const OF_ANOTHER_LOG: &str = "of another log";

impl Proof {
    /// Lists have `show` entries at the most, next to their full length.
    pub fn to_json(&self, show: usize) -> Value {
        let founds = |all: &[Found]| list(all, show, "records", of_found);
        let places = |all: &[Place]| list(all, show, "records", of_place);
        let ids = |all: &[Uuid]| list(all, show, "ids", |id| json!(id));
        json!({
            "holds": self.holds(),
            "verdict": self.verdict().name(),
            "unproved": self.unproved,
            "accepted": self.with_receipts.then_some(self.accepted),
            "refused": self.with_receipts.then_some(self.refused),
            "in_broker": self.in_broker,
            "counted": if self.is_of_another_log() { Value::Null } else { self.counted.into() },
            "repeated_under_a_key": self.repeated,
            "undecodable": self.undecodable,
            "of_another_topic": self.misplaced,
            "undecided": self.undecided,
            "not_compared": self.not_compared,
            "begins_at": places(&self.gone),
            "unknown": {"written": self.unknown_written, "not_written": self.unknown_not_written,
                        "without_id": self.unknown_unnamed},
            "lost": ids(&self.lost),
            "changed": founds(&self.changed),
            "acknowledged_twice": ids(&self.told_twice),
            "acknowledged_in_conflict": ids(&self.told_in_conflict),
            "conflicts": founds(&self.conflicts),
            "refused_and_written": list(&self.refused_and_written, show, "records", of_refused),
            "refused_without_id_and_written": if self.only_these { founds(&self.like_refused) } else { Value::Null },
            "doubled": founds(&self.doubled),
            "uncounted": founds(&self.uncounted),
            "without_receipt": if self.with_receipts { founds(&self.untold) } else { Value::Null },
            "dropped": places(&self.dropped),
            "past_end": places(&self.past_end),
            "gone_before_counted": places(&self.gone_uncounted),
            "counted_from_another_log": places(&self.replaced),
            "stopped": list(&self.stopped, show, "partitions", of_stopped),
            "differences": list(&self.differences, show, "keys", of_difference),
        })
    }

    /// Prints it for people. Lists have `show` entries at the most.
    pub fn print(&self, show: usize) {
        let of_another_log = self.is_of_another_log();
        let counted = if of_another_log { OF_ANOTHER_LOG.to_owned() } else { grouped(self.counted) };
        let mut head = vec!["in the log", "counted"];
        let mut row = vec![grouped(self.in_broker), counted];
        if self.with_receipts {
            head.insert(0, "accepted");
            row.insert(0, grouped(self.accepted));
        }
        output::table(&head, [row]);
        self.print_notes(show);
        self.print_faults(show);
        let faults = self.faults();
        let faults: Vec<_> = faults.iter().filter(|(_, count)| *count > 0).collect();
        each(&self.unproved, usize::MAX, |what| format!("not proved: {what}"));
        each(&self.gone, usize::MAX, |Place { partition, offset }| {
            format!(
                "not proved: {partition} offsets 0 to {offset} are gone by retention; what they led to is the store's word"
            )
        });
        let of_receipts = if self.with_receipts { "every accepted event is in the log, and " } else { "" };
        match self.verdict() {
            Verdict::DoesNotHold => {
                let fault = |(name, count): &&(&str, usize)| format!("{name} {}", grouped(*count as u64));
                let faults: Vec<_> = faults.iter().map(fault).collect();
                output::line(format_args!("{}: {}", output::bad("DOES NOT HOLD"), faults.join(", ")));
            }
            Verdict::NotProved => output::line(format_args!(
                "{}: nothing differs, as far as can be seen",
                output::doubtful("NOT PROVED")
            )),
            Verdict::RetainedOnly => output::line(format_args!(
                "{}: nothing differs from what the rest of the log proves",
                output::doubtful("RETAINED ONLY")
            )),
            Verdict::Holds => output::line(format_args!(
                "{}: {of_receipts}every key of the store is what the log adds up to",
                output::good("holds")
            )),
        }
    }

    /// The totals of log and store are of different logs, so that equal ones would mean nothing.
    fn is_of_another_log(&self) -> bool {
        !(self.past_end.is_empty() && self.replaced.is_empty())
    }

    fn print_notes(&self, show: usize) {
        let untold = if self.with_receipts && !self.only_these { self.untold.len() as u64 } else { 0 };
        let notes = [
            (self.refused, "event was refused", "events were refused"),
            (
                self.repeated,
                "record repeats an event under an idempotency key, and counts once",
                "records repeat an event under an idempotency key, and count once",
            ),
            (
                self.conflicts.len() as u64,
                "record has the key of another event, and belongs to the dead letters",
                "records have the key of another event, and belong to the dead letters",
            ),
            (
                self.undecodable,
                "record cannot be decoded, and belongs to the dead letters",
                "records cannot be decoded, and belong to the dead letters",
            ),
            (
                self.misplaced,
                "record holds an event of another topic, and belongs to the dead letters",
                "records hold an event of another topic, and belong to the dead letters",
            ),
            (
                self.undecided,
                "record may repeat one that is gone from the log: whether it counts is the store's word",
                "records may repeat one that is gone from the log: whether they count is the store's word",
            ),
            (
                self.not_compared,
                "event of receipts may be gone from the log, and is not compared",
                "events of receipts may be gone from the log, and are not compared",
            ),
            (
                self.unknown_written,
                "event of unknown outcome was written",
                "events of unknown outcome were written",
            ),
            (
                self.unknown_not_written,
                "event of unknown outcome was not written",
                "events of unknown outcome were not written",
            ),
            (
                self.unknown_unnamed,
                "request has an unknown outcome and no identity",
                "requests have an unknown outcome and no identity",
            ),
            (untold, "event in the log has no receipt here", "events in the log have no receipt here"),
        ];
        for (number, one, more) in notes.into_iter().filter(|(number, ..)| *number > 0) {
            output::line(count(number, one, more));
        }
        each(&self.conflicts, show, |found| format!("in conflict: {}", InWords(found)));
    }

    fn print_faults(&self, show: usize) {
        each(&self.lost, show, |id| format!("lost: {id} was acknowledged and is not in the log"));
        each(&self.changed, show, |found| {
            format!("changed: {} holds something else than was sent", InWords(found))
        });
        each(&self.told_twice, show, |id| {
            format!("acknowledged twice: {id} has two receipts and one record")
        });
        each(&self.told_in_conflict, show, |id| {
            format!(
                "acknowledged in conflict: {id} is not counted as it was sent, its key belongs to another event"
            )
        });
        each(&self.refused_and_written, show, |(found, status)| {
            format!("refused and written: {} was answered with {status}", InWords(found))
        });
        if self.only_these {
            each(&self.like_refused, show, |found| {
                format!("refused and written: {} is what was refused without an identity", InWords(found))
            });
        }
        each(&self.doubled, show, |found| format!("doubled: once more: {}", InWords(found)));
        each(&self.uncounted, show, |found| format!("uncounted: {}", InWords(found)));
        if self.only_these {
            each(&self.surplus, show, |found| format!("without a receipt: {}", InWords(found)));
        }
        each(&self.dropped, show, |Place { partition, offset }| {
            format!("dropped: {partition} offset {offset} cannot be counted and is not in the dead letters")
        });
        each(&self.past_end, show, |Place { partition, offset }| {
            format!("past the end: {partition} is counted up to {offset}, and ends before")
        });
        each(&self.gone_uncounted, show, |Place { partition, offset }| {
            format!("gone: {partition} is counted up to {offset}, and the log begins after that")
        });
        each(&self.replaced, show, |Place { partition, offset }| {
            format!(
                "another log: the record at {partition} offset {offset} is not the one that was counted there: the log lost \
                its tail, or the topic was made again"
            )
        });
        each(&self.stopped, show, |(Place { partition, offset }, why)| {
            format!("stopped: {partition} at offset {offset}: {why}")
        });
        if self.totals_differ() {
            let (counted, expected) = (grouped(self.counted), grouped(self.to_be_counted));
            output::line(format_args!(
                "the store says {counted}; the log has {expected} below its positions"
            ));
        }
        each(&self.differences, show, difference_in_words);
    }
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::RetainedOnly => "retained only",
            Self::NotProved => "not proved",
            Self::DoesNotHold => "does not hold",
        }
    }
}

/// A record as the lines name it.
pub(crate) struct InWords<'a>(pub(crate) &'a Found);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { id, place } = self.0;
        write!(f, "{id} at {} offset {}", place.partition, place.offset)
    }
}

pub(crate) fn each<T>(all: &[T], show: usize, line: impl Fn(&T) -> String) {
    all.iter().take(show).for_each(|one| output::line(line(one)));
}

fn difference_in_words(Difference { key, field, expected, found }: &Difference) -> String {
    let field = field.as_deref().map(|field| format!(" {field}")).unwrap_or_default();
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    format!("differs: {key}{field} holds {}, and should hold {}", text(found), text(expected))
}

pub(crate) fn list<T>(all: &[T], show: usize, name: &str, one: impl Fn(&T) -> Value) -> Value {
    json!({"count": all.len(), name: all.iter().take(show).map(one).collect::<Vec<_>>()})
}

fn of_place(place: &Place) -> Value {
    let Place { partition, offset } = place;
    json!({"topic": &*partition.topic, "partition": partition.partition, "offset": offset})
}

pub(crate) fn of_found(found: &Found) -> Value {
    let mut json = of_place(&found.place);
    json["id"] = json!(found.id);
    json
}

fn of_stopped((place, why): &(Place, String)) -> Value {
    let mut json = of_place(place);
    json["reason"] = json!(why);
    json
}

pub(crate) fn of_refused((found, status): &(Found, u16)) -> Value {
    let mut json = of_found(found);
    json["status"] = json!(status);
    json
}

fn of_difference(difference: &Difference) -> Value {
    json!({"key": difference.key, "field": difference.field, "expected": difference.expected,
           "found": difference.found})
}
