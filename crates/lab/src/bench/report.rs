use std::collections::BTreeMap;

use blackfriday_terminal::output::{self, grouped};
use serde_json::{Value, json};

use super::Arguments;
use super::measure::Measure;
use super::subject::Subject;
use crate::median::median;

const HEAD: [&str; 9] = [
    "what",
    "sales/s",
    "min to max",
    "p50 ms",
    "p99 ms",
    "of the handler",
    "CPU µs a sale",
    "log, store",
    "of these",
];
/// Less is noise of the clock's ticks.
const LEAST_US: f64 = 0.05;

/// Every measure of every subject.
pub(super) struct Report<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) cores: usize,
    pub(super) measured: BTreeMap<Subject, Vec<Measure>>,
}

impl Report<'_> {
    pub(super) fn print(&self) {
        output::table(&HEAD, self.measured.iter().map(|(subject, rounds)| self.row(*subject, rounds)));
        output::line(format_args!(
            "{} rounds in turns, medians; {} connections, {} for batches of {}; {} products, {} partitions; {} cores, the client on them, too",
            self.arguments.rounds,
            self.arguments.connections,
            self.arguments.batch_connections,
            self.arguments.batch,
            self.arguments.products,
            self.arguments.partitions,
            self.cores
        ));
    }

    pub(super) fn to_json(&self) -> Value {
        let subjects: serde_json::Map<_, _> = self
            .measured
            .iter()
            .map(|(subject, rounds)| {
                let all: Vec<_> = rounds.iter().map(Measure::to_json).collect();
                let median = json!({"sales_per_s": median(rounds.iter().map(Measure::sales_per_s)),
                                    "cpu_us_per_sale": cpu(rounds)});
                (subject.title().to_owned(), json!({"median": median, "rounds": all}))
            })
            .collect();
        json!({"cores": self.cores, "log": self.arguments.log.name(), "subjects": subjects})
    }

    fn row(&self, subject: Subject, rounds: &[Measure]) -> Vec<String> {
        let rates = || rounds.iter().map(Measure::sales_per_s);
        let latency = |at: usize| {
            let all: Vec<_> = rounds.iter().filter_map(|round| round.latency_ms).map(|ms| ms[at]).collect();
            if all.is_empty() { String::new() } else { format!("{:.1}", median(all.into_iter())) }
        };
        let bare = self
            .measured
            .get(&Subject::Handler)
            .map(|rounds| median(rounds.iter().map(Measure::sales_per_s)));
        let cpu = cpu(rounds);
        let sum = |names: &[&str]| names.iter().filter_map(|name| cpu.get(name)).sum::<f64>();
        let own: f64 = sum(&Subject::SERVICES)
            + sum(&["gateway to writers", "gateway to log", "handler", "peer", "part"]);
        let others = format!("{:.1}, {:.1}", sum(&["log"]), sum(&["store"]));
        let each = cpu.iter().filter(|(name, us)| **us >= LEAST_US && !["log", "store"].contains(*name));
        let each: Vec<_> = each.map(|(name, us)| format!("{name} {us:.1}")).collect();
        vec![
            subject.title().to_owned(),
            rounded(median(rates())),
            format!(
                "{} to {}",
                rounded(rates().fold(f64::MAX, f64::min)),
                rounded(rates().fold(0.0, f64::max))
            ),
            latency(0),
            latency(1),
            bare.map(|bare| format!("{:.2}", median(rates()) / bare)).unwrap_or_default(),
            format!("{own:.1}"),
            others,
            each.join(", "),
        ]
    }
}

/// The median of each process.
fn cpu(rounds: &[Measure]) -> BTreeMap<&'static str, f64> {
    let names = rounds.iter().flat_map(|round| round.cpu_us.keys().copied());
    let of = |name: &'static str| {
        median(rounds.iter().map(|round| round.cpu_us.get(name).copied().unwrap_or_default()))
    };
    names.map(|name| (name, of(name))).collect()
}

fn rounded(rate: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are positive and small"
    )]
    let hundreds = (rate / 100.0).round() as u64;
    grouped(hundreds * 100)
}
