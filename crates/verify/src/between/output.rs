use blackfriday_terminal::output::{self, count, grouped};
use serde_json::{Map, Value, json};

use super::Agreement;
use super::pair::SIDES;
use crate::log::Found;
use crate::proof::output::{InWords, each, list, of_found, of_refused};

impl Agreement {
    /// Lists have `show` entries at the most, next to their full length.
    pub fn to_json(&self, show: usize) -> Value {
        let logs: Map<_, _> =
            SIDES.into_iter().map(|side| (self.names[side].to_owned(), self.side(side, show))).collect();
        json!({
            "holds": self.holds(),
            "unproved": self.unproved,
            "accepted": self.with_receipts.then_some(self.accepted),
            "in_both": self.in_both,
            "logs": logs,
            "different": list(&self.different, show, "records", |found| self.places(found)),
            "without_receipt": if self.with_receipts {
                list(&self.untold, show, "records", of_found)
            } else {
                Value::Null
            },
            "not_compared": self.not_compared,
        })
    }

    fn side(&self, side: usize, show: usize) -> Value {
        let founds = |all: &[Found]| list(all, show, "records", of_found);
        json!({
            "events": self.held[side],
            "no_events": self.no_events[side],
            "lost": list(&self.lost[side], show, "ids", |id| json!(id)),
            "changed": founds(&self.changed[side]),
            "refused_and_written": list(&self.refused_and_written[side], show, "records", of_refused),
            "only_here": founds(&self.only_here[side]),
            "only_here_with_unknown_outcome": founds(&self.half[side]),
        })
    }

    fn places(&self, found: &[Found; 2]) -> Value {
        Value::Object(
            SIDES.into_iter().map(|side| (self.names[side].to_owned(), of_found(&found[side]))).collect(),
        )
    }

    /// Prints it for people. Lists have `show` entries at the most.
    pub fn print(&self, show: usize) {
        let [first, second] = self.names;
        let (in_first, in_second) = (format!("in {first}"), format!("in {second}"));
        let mut head = vec![in_first.as_str(), in_second.as_str(), "in both"];
        let mut row = vec![grouped(self.held[0]), grouped(self.held[1]), grouped(self.in_both)];
        if self.with_receipts {
            head.insert(0, "accepted");
            row.insert(0, grouped(self.accepted));
        }
        output::table(&head, [row]);
        self.print_differences(show);
        self.print_verdict();
    }

    /// A line for each that differs, up to `show` of a kind, and for what is of note.
    pub fn print_differences(&self, show: usize) {
        for side in SIDES {
            let name = self.names[side];
            if self.no_events[side] > 0 {
                let records = count(
                    self.no_events[side],
                    "record holds no event of its topic",
                    "records hold no event of their topic",
                );
                output::line(format_args!("{records} in {name}"));
            }
            each(&self.half[side], show, |found| {
                format!("only in {name}, as its client knows: {} has an unknown outcome", InWords(found))
            });
            each(&self.lost[side], show, |id| format!("lost: {id} was acknowledged and is not in {name}"));
            each(&self.changed[side], show, |found| {
                format!("changed: {} in {name} holds something else than was sent", InWords(found))
            });
            each(&self.refused_and_written[side], show, |(found, status)| {
                format!("refused and written: {} in {name} was answered with {status}", InWords(found))
            });
            each(&self.only_here[side], show, |found| format!("only in {name}: {}", InWords(found)));
        }
        let [first, second] = self.names;
        each(&self.different, show, |[in_first, in_second]| {
            format!("different: {} in {first}, {} in {second}", InWords(in_first), InWords(in_second))
        });
        if self.only_these {
            each(&self.untold, show, |found| format!("without a receipt: {}", InWords(found)));
        }
        if self.not_compared > 0 {
            let events = count(self.not_compared, "event is not compared", "events are not compared");
            output::line(format_args!(
                "{events}: what came while this ran, or is gone from one log by retention"
            ));
        }
        each(&self.unproved, usize::MAX, |what| format!("not proved: {what}"));
    }

    fn print_verdict(&self) {
        let faults: Vec<_> = self.faults().into_iter().filter(|(_, count)| *count > 0).collect();
        if faults.is_empty() && !self.unproved.is_empty() {
            let not_proved = output::doubtful("NOT PROVED");
            output::line(format_args!("{not_proved}: nothing differs, as far as can be seen"));
        } else if faults.is_empty() {
            let [first, second] = self.names;
            let receipts = if self.with_receipts { "every accepted event is in both logs, and " } else { "" };
            let same = match self.half.iter().map(Vec::len).sum::<usize>() {
                0 => String::new(),
                half => format!(", but for {} of unknown outcome", grouped(half as u64)),
            };
            let holds = output::good("holds");
            output::line(format_args!("{holds}: {receipts}{first} and {second} have the same events{same}"));
        } else {
            let faults: Vec<_> =
                faults.iter().map(|(name, count)| format!("{name} {}", grouped(*count as u64))).collect();
            output::line(format_args!("{}: {}", output::bad("DOES NOT HOLD"), faults.join(", ")));
        }
    }
}
