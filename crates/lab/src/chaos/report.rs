//! What a run has shown, for people and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use blackfriday_terminal::output::{self, grouped};
use serde_json::{Value, json};

use super::bounds::Bound;
use super::judge::{SHOWN, Verdict};
use super::kind::Kind;
use super::ledger::Tally;

/// A fault that was met.
#[derive(Debug, Clone)]
pub(crate) struct Met {
    pub(crate) kind: Kind,
    /// From its end until everything worked again; nothing if it never did.
    pub(crate) recovery: Option<Duration>,
    /// Answers from its begin until everything worked again.
    pub(crate) answers: Tally,
}

/// What a run has shown.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) faults: Vec<Met>,
    pub(crate) total: Tally,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) bounds: Vec<Bound>,
    pub(crate) complaints: Vec<String>,
    pub(crate) took: Duration,
}

/// All faults of a kind.
#[derive(Debug, Default)]
struct Row {
    recoveries: Vec<Duration>,
    answers: Tally,
}

impl Report {
    /// Every verdict holds, everything recovered, and the bounds were kept.
    pub(crate) fn holds(&self) -> bool {
        self.verdicts.iter().all(Verdict::holds)
            && self.complaints.is_empty()
            && self.over_bounds().is_empty()
    }

    pub(crate) fn to_json(&self) -> Value {
        let kind = |(kind, row): (Kind, Row)| {
            json!({"kind": kind.name(), "injected": row.recoveries.len(), "recovery_ms": {
                        "p50": millis(row.median()), "max": millis(row.longest())},
                   "accepted": row.answers.accepted, "refused": row.answers.refused, "unknown": row.answers.unknown})
        };
        json!({
            "holds": self.holds(),
            "seed": self.seed,
            "seconds": self.took.as_secs(),
            "faults": self.faults.len(),
            "accepted": self.total.accepted,
            "refused": self.total.refused,
            "unknown": self.total.unknown,
            "kinds": self.rows().into_iter().map(kind).collect::<Vec<_>>(),
            "verdicts": self.verdicts.iter().map(Verdict::to_json).collect::<Vec<_>>(),
            "bounds": self.bounds.iter().map(Bound::to_json).collect::<Vec<_>>(),
            "complaints": self.complaints.iter().chain(&self.over_bounds()).collect::<Vec<_>>(),
        })
    }

    pub(crate) fn print(&self) {
        self.print_kinds();
        self.print_bounds();
        for verdict in &self.verdicts {
            let holds = output::verdict(verdict.holds(), "holds", "FAILS");
            let of = grouped(verdict.of as u64);
            output::line(format_args!("{holds}: {} ({of})", verdict.name));
            verdict.faults.iter().take(SHOWN).for_each(|fault| output::line(format_args!("  {fault}")));
            if verdict.faults.len() > SHOWN {
                output::line(format_args!("  and {} more", verdict.faults.len() - SHOWN));
            }
        }
        for complaint in self.complaints.iter().chain(&self.over_bounds()) {
            output::line(format_args!("{}: {complaint}", output::bad("FAILS")));
        }
        let Tally { accepted, refused, unknown } = self.total;
        output::line(format_args!(
            "{}: seed {}, {} faults in {} s; {} accepted, {} refused, {} unknown",
            output::verdict(self.holds(), "ok", "FAILED"),
            self.seed,
            self.faults.len(),
            self.took.as_secs(),
            grouped(accepted),
            grouped(refused),
            grouped(unknown),
        ));
    }

    fn print_kinds(&self) {
        let row = |(kind, row): (Kind, Row)| {
            let Tally { accepted, refused, unknown } = row.answers;
            let mut cells = vec![kind.name().to_owned(), row.recoveries.len().to_string()];
            cells.extend([row.median(), row.longest()].map(seconds));
            cells.extend([accepted, refused, unknown].map(grouped));
            cells
        };
        let head = ["fault", "times", "recovery p50", "max", "accepted", "refused", "unknown"];
        output::table(&head, self.rows().into_iter().map(row));
    }

    fn print_bounds(&self) {
        let row = |bound: &Bound| {
            let change = |[before, after]: [u64; 2]| format!("{before} → {after}");
            let memory = format!("{} of {} MiB", bound.peak_mib, Bound::limit_mib());
            let changes = [bound.descriptors, bound.threads, bound.tasks].map(change);
            [format!("{:?}", bound.service), memory].into_iter().chain(changes).collect::<Vec<_>>()
        };
        output::table(
            &["service", "most memory", "descriptors", "threads", "tasks"],
            self.bounds.iter().map(row),
        );
    }

    fn over_bounds(&self) -> Vec<String> {
        self.bounds.iter().flat_map(Bound::faults).collect()
    }

    fn rows(&self) -> BTreeMap<Kind, Row> {
        let mut rows = BTreeMap::<Kind, Row>::new();
        for met in &self.faults {
            let row = rows.entry(met.kind).or_default();
            row.recoveries.push(met.recovery.unwrap_or(Duration::MAX));
            row.answers = row.answers.plus(met.answers);
        }
        rows.values_mut().for_each(|row| row.recoveries.sort_unstable());
        rows
    }
}

impl Row {
    fn median(&self) -> Duration {
        self.recoveries.get(self.recoveries.len() / 2).copied().unwrap_or_default()
    }

    fn longest(&self) -> Duration {
        self.recoveries.last().copied().unwrap_or_default()
    }
}

fn seconds(time: Duration) -> String {
    if time == Duration::MAX { "never".to_owned() } else { format!("{:.1} s", time.as_secs_f64()) }
}

fn millis(time: Duration) -> Value {
    if time == Duration::MAX {
        Value::Null
    } else {
        json!(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}
