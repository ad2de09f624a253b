use std::collections::BTreeMap;

use blackfriday_terminal::output;
use serde_json::{Value, json};

use super::Arguments;
use super::figures::Figures;
use super::measure::Measure;
use super::memory::Memory;
use super::open_loop::OpenLoop;
use super::subject::Subject;

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

/// Every measure of every subject.
pub(super) struct Report<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) cores: usize,
    pub(super) measured: BTreeMap<Subject, Vec<Measure>>,
    pub(super) memory: Memory,
    pub(super) open_loop: Option<OpenLoop>,
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
        self.memory.print();
        if let Some(open_loop) = &self.open_loop {
            open_loop.print();
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let subjects: serde_json::Map<_, _> = self
            .measured
            .iter()
            .map(|(subject, rounds)| (subject.title().to_owned(), Figures(rounds).to_json()))
            .collect();
        let open_loop = self.open_loop.as_ref().map(OpenLoop::to_json);
        json!({"cores": self.cores, "log": self.arguments.log.name(), "subjects": subjects,
               "memory": self.memory.to_json(), "open_loop": open_loop})
    }

    fn row(&self, subject: Subject, rounds: &[Measure]) -> Vec<String> {
        let bare = self.measured.get(&Subject::Handler).map(|rounds| Figures(rounds).rate());
        let of = Figures(rounds);
        let mut cells = vec![subject.title().to_owned()];
        cells.extend(of.speed());
        cells.push(bare.map(|bare| format!("{:.2}", of.rate() / bare)).unwrap_or_default());
        cells.extend(of.cost());
        cells
    }
}
