//! What a run has shown, for people and as JSON.
//!
//! A run holds if every sale was accepted and is counted once, by `verify` and the receipts; if the page was told the counters
//! all the while; and if memory, descriptors and threads of each service are flat: the line through them does not rise by
//! more than two standard errors, or has not risen by more than a limit in all. Latencies of the first and the last quarter
//! are shown and not judged: what else a machine does decides them.

use std::time::Duration;

use anyhow::Result;
use blackfriday_terminal::output::{self, grouped};
use serde_json::{Value, json};

use super::page::Seen;
use super::samples::{Grown, Measure};

/// What a run has shown.
pub(super) struct Report {
    pub(super) rate: u32,
    pub(super) quarters: Vec<Quarter>,
    pub(super) grown: Vec<Grown>,
    pub(super) page: Seen,
    /// Of `verify`; an error is what it has printed.
    pub(super) proof: Result<Value>,
    pub(super) took: Duration,
}

/// A quarter's load.
#[derive(Debug)]
pub(super) struct Quarter {
    sent: u64,
    accepted: u64,
    not_sent: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// What is judged, and what contradicts it.
struct Verdict {
    name: &'static str,
    faults: Vec<String>,
}

impl Quarter {
    /// Out of what `load --json` prints. A number that is not there makes the quarter one in which nothing was accepted.
    pub(super) fn of(result: &Value) -> Self {
        let number = |name: &str| result[name].as_u64().unwrap_or(0);
        let millis = |name: &str| result["latency_ms"][name].as_f64().unwrap_or(f64::INFINITY);
        Self {
            sent: number("sent"),
            accepted: number("accepted"),
            not_sent: number("not_sent"),
            p50_ms: millis("p50"),
            p99_ms: millis("p99"),
            max_ms: millis("max"),
        }
    }

    fn is_good(&self) -> bool {
        self.accepted > 0 && self.accepted == self.sent && self.not_sent == 0
    }

    fn to_json(&self) -> Value {
        json!({"sent": self.sent, "accepted": self.accepted, "not_sent": self.not_sent,
               "latency_ms": {"p50": self.p50_ms, "p99": self.p99_ms, "max": self.max_ms}})
    }
}

impl std::fmt::Display for Quarter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (accepted, sent) = (grouped(self.accepted), grouped(self.sent + self.not_sent));
        write!(f, "{accepted} of {sent} accepted, p50 {:.1} ms, p99 {:.1} ms", self.p50_ms, self.p99_ms)
    }
}

impl Report {
    /// Every verdict holds.
    pub(super) fn holds(&self) -> bool {
        self.verdicts().iter().all(|verdict| verdict.faults.is_empty())
    }

    fn verdicts(&self) -> [Verdict; 4] {
        let bad = self.quarters.iter().enumerate().filter(|(_, quarter)| !quarter.is_good());
        let bad = bad.map(|(at, quarter)| format!("quarter {}: {quarter}", at + 1)).collect();
        let unproved = self.proof.as_ref().err().map(|error| format!("{error:#}"));
        [
            Verdict { name: "every sale is accepted", faults: bad },
            Verdict { name: "accepted = in the log = counted", faults: unproved.into_iter().collect() },
            Verdict { name: "an open page is told the counters all the while", faults: self.page.faults() },
            Verdict {
                name: "memory, descriptors and threads are flat",
                faults: self.grown.iter().flat_map(Grown::faults).collect(),
            },
        ]
    }

    fn accepted(&self) -> u64 {
        self.quarters.iter().map(|quarter| quarter.accepted).sum()
    }

    pub(super) fn to_json(&self) -> Value {
        let verdict = |Verdict { name, faults }: &Verdict| json!({"name": name, "holds": faults.is_empty(), "faults": faults});
        json!({
            "holds": self.holds(),
            "rate": self.rate,
            "seconds": self.took.as_secs(),
            "accepted": self.accepted(),
            "quarters": self.quarters.iter().map(Quarter::to_json).collect::<Vec<_>>(),
            "services": self.grown.iter().map(Grown::to_json).collect::<Vec<_>>(),
            "page": self.page.to_json(),
            "proof": self.proof.as_ref().ok(),
            "verdicts": self.verdicts().iter().map(verdict).collect::<Vec<_>>(),
        })
    }

    pub(super) fn print(&self) {
        self.print_services();
        self.print_quarters();
        output::line(format_args!("page: {}", self.page));
        for Verdict { name, faults } in self.verdicts() {
            let holds = output::verdict(faults.is_empty(), "holds", "FAILS");
            output::line(format_args!("{holds}: {name}"));
            faults.iter().for_each(|fault| output::line(format_args!("  {fault}")));
        }
        output::line(format_args!(
            "{}: {} sales in {} s, {} a second",
            output::verdict(self.holds(), "ok", "FAILED"),
            grouped(self.accepted()),
            self.took.as_secs(),
            grouped(u64::from(self.rate)),
        ));
    }

    fn print_services(&self) {
        let mib = |kib: u64| format!("{}.{}", kib / 1024, kib % 1024 * 10 / 1024);
        let slope =
            |measure: &Measure| measure.slope.map_or_else(|| "ended".to_owned(), |slope| slope.to_string());
        let row = |grown: &Grown| {
            let Grown { service, memory_kib, descriptors, threads, .. } = grown;
            let change = |measure: &Measure| format!("{} → {}", measure.first, measure.last);
            let memory = format!(
                "{} → {}, most {}",
                mib(memory_kib.first),
                mib(memory_kib.last),
                mib(memory_kib.most)
            );
            let mut cells = vec![format!("{service:?}"), memory, slope(memory_kib)];
            for measure in [descriptors, threads] {
                cells.extend([change(measure), slope(measure)]);
            }
            cells
        };
        let head = ["service", "memory, MiB", "KiB an hour", "descriptors", "an hour", "threads", "an hour"];
        output::table(&head, self.grown.iter().map(row));
    }

    fn print_quarters(&self) {
        let row = |(at, quarter): (usize, &Quarter)| {
            let times = [quarter.p50_ms, quarter.p99_ms, quarter.max_ms].map(|ms| format!("{ms:.1} ms"));
            let mut cells = vec![(at + 1).to_string(), grouped(quarter.accepted)];
            cells.extend(times);
            cells
        };
        output::table(
            &["quarter", "accepted", "p50", "p99", "max"],
            self.quarters.iter().enumerate().map(row),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_good_if_all_was_sent_and_accepted() {
        let result = |accepted, not_sent| json!({"sent": 10, "accepted": accepted, "not_sent": not_sent, "latency_ms": {"p50": 1.0, "p99": 2.0, "max": 3.0}});
        assert!(Quarter::of(&result(10, 0)).is_good());
        assert!(!Quarter::of(&result(9, 0)).is_good() && !Quarter::of(&result(10, 1)).is_good());
        assert!(!Quarter::of(&json!({})).is_good());
    }
}
