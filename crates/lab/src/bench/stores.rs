//! The way past the one store, tried: a group of the partitions in each of several stores, with positions and counters of its
//! own, added up when they are read.
//!
//! The same sales are applied to one, two, four servers by the store's own function, each step of a group in one call, as a
//! consumer of that group would do it. Keys have a prefix with a hash tag, under which a group is in one slot of a cluster.
//!
//! Invariant: what is added up is what was applied, in every part that is shown, or the run fails.

mod totals;
mod workload;

use std::ops::Range;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blackfriday_event::{Category, SALES};
use blackfriday_stack::{Valkey, ValkeyOptions};
use blackfriday_store::{Outcome, SnapshotRequest, Store, StoreConfig, ValkeyConfig};
use blackfriday_terminal::failure::Usage;
use blackfriday_terminal::output;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::totals::Totals;
use self::workload::Workload;
use super::Arguments;
use super::figures::{Figures, rounded};
use super::measure::{Measure, per_sale};
use super::usage::Watched;
use crate::median::median;

const NUMBERS: [u8; 3] = [1, 2, 4];
/// As tables call them.
const NAMES: [&str; 8] =
    ["store 1", "store 2", "store 3", "store 4", "store 5", "store 6", "store 7", "store 8"];
const HEAD: [&str; 8] = [
    "stores",
    "sales/s",
    "min to max",
    "CPU µs a sale: stores",
    "each",
    "client",
    "sales/s of the busiest one's CPU",
    "read and added up ms",
];

/// What was measured of each number of stores.
pub(super) struct Stores {
    cores: usize,
    rounds: u32,
    sales: u64,
    partitions: i32,
    products: u64,
    batch: u64,
    measured: Vec<Number>,
}

struct Number {
    stores: u8,
    rounds: Vec<Measure>,
    read_ms: Vec<f64>,
}

/// A server, and the store on it.
struct Server {
    valkey: Valkey,
    store: Store,
}

impl Stores {
    /// Applies the same sales to each of these numbers of stores, in turns, or to 1, 2 and 4.
    pub(super) async fn measure(arguments: &Arguments, numbers: &[u8]) -> Result<Self> {
        let numbers = if numbers.is_empty() { &NUMBERS[..] } else { numbers };
        let groups = numbers.iter().map(|stores| Ok((*stores, groups(arguments.partitions, *stores)?)));
        let groups = groups.collect::<Result<Vec<_>>>()?;
        let servers = Servers::start(arguments, numbers.iter().max().copied().unwrap_or(1)).await?;
        output::note("making the sales");
        let (batch, products) = (arguments.batch, arguments.products);
        let bounds = StoreConfig::default().bounds();
        let workload = Arc::new(Workload::make(arguments.partitions, batch, products, bounds)?);
        let expected = Totals::of_tally(&workload.whole);
        let run = Run { servers, workload, expected, products };
        let none =
            |(stores, _): &(u8, _)| Number { stores: *stores, rounds: Vec::new(), read_ms: Vec::new() };
        let mut measured: Vec<_> = groups.iter().map(none).collect();
        for (stores, groups) in &groups {
            output::note(format_args!("warming up: {stores} stores"));
            run.turn(groups).await.with_context(|| format!("warming up {stores} stores"))?;
        }
        for round in 1..=arguments.rounds {
            for (number, (stores, groups)) in measured.iter_mut().zip(&groups) {
                let turn = run.turn(groups).await;
                let (measure, read) = turn.with_context(|| format!("round {round}: {stores} stores"))?;
                let rate = measure.sales_per_s();
                output::note(format_args!("round {round}: {stores} stores: {rate:.0} sales/s"));
                number.rounds.push(measure);
                number.read_ms.push(read.as_secs_f64() * 1_000.0);
            }
        }
        Ok(Self {
            cores: available_parallelism()?.get(),
            rounds: arguments.rounds,
            sales: run.workload.whole.sales(),
            partitions: arguments.partitions,
            products,
            batch,
            measured,
        })
    }

    pub(super) fn print(&self) {
        output::table(&HEAD, self.measured.iter().map(Number::row));
        output::line(format_args!(
            "{} rounds in turns, medians; {} sales of {} products in {} partitions, {} of each in a step; each time the stores' \
             totals added up to what was applied; {} cores, the client on them, too",
            self.rounds,
            output::grouped(self.sales),
            output::grouped(self.products),
            self.partitions,
            self.batch,
            self.cores
        ));
    }

    pub(super) fn to_json(&self) -> Value {
        let numbers: Vec<_> = self.measured.iter().map(Number::to_json).collect();
        json!({"cores": self.cores, "sales": self.sales, "partitions": self.partitions, "batch": self.batch,
               "products": self.products, "stores": numbers})
    }
}

/// As many partitions in each, next to each other.
fn groups(partitions: i32, stores: u8) -> Result<Vec<Range<usize>>> {
    let (partitions, stores) = (usize::try_from(partitions)?, usize::from(stores));
    let uneven = || Usage(format!("--partitions {partitions}: must be a multiple of --stores {stores}"));
    ensure!(partitions.is_multiple_of(stores), uneven());
    let each = partitions / stores;
    Ok((0..stores).map(|store| store * each..(store + 1) * each).collect())
}

/// What each turn has in common.
struct Run {
    servers: Servers,
    workload: Arc<Workload>,
    expected: Totals,
    products: u64,
}

impl Run {
    /// Applies everything to empty stores, a group to each; how long it took to read them and to add them up.
    async fn turn(&self, groups: &[Range<usize>]) -> Result<(Measure, Duration)> {
        let servers = self.servers.0.get(..groups.len()).context("a server for each group")?;
        let mut watched = Watched::default();
        watched.add_self("client");
        for (name, server) in NAMES.into_iter().zip(servers) {
            server.valkey.command(&["FLUSHALL"]).await?;
            watched.add(name, server.valkey.pid().context("the store runs")?);
        }
        let before = watched.used()?;
        let began = Instant::now();
        let mut applying = JoinSet::new();
        for (server, group) in servers.iter().zip(groups) {
            applying.spawn(apply(server.store.clone(), Arc::clone(&self.workload), group.clone()));
        }
        while let Some(applied) = applying.join_next().await {
            applied??;
        }
        let took = began.elapsed();
        let sales = self.workload.whole.sales();
        let measure = Measure {
            sales,
            took,
            cpu_us: per_sale(&before, &watched.used()?, sales),
            resident_mib: watched.resident_mib(),
            ..Measure::default()
        };
        Ok((measure, self.check(servers).await?))
    }

    /// Reads every store and adds them up.
    async fn check(&self, servers: &[Server]) -> Result<Duration> {
        let bounds = self.expected.bounds();
        let began = Instant::now();
        let mut reading = JoinSet::new();
        for server in servers {
            let (store, top) = (server.store.clone(), usize::try_from(self.products)?);
            let histories = Category::ALL.to_vec();
            let request = SnapshotRequest { top, histories, topic: SALES.to_owned() };
            reading.spawn(async move { Totals::of_store(&store.snapshot(request).await?, bounds) });
        }
        let mut sum = Totals::new(bounds);
        while let Some(read) = reading.join_next().await {
            sum.add(read??);
        }
        let took = began.elapsed();
        let differs = sum.differs_in(&self.expected);
        ensure!(differs.is_none(), "added up, the stores differ from what was applied: {differs:?}");
        Ok(took)
    }
}

/// Applies a group's steps one after the other, each in one call.
async fn apply(store: Store, workload: Arc<Workload>, group: Range<usize>) -> Result<()> {
    for step in &workload.steps {
        let outcomes = store.apply(&step[group.clone()]).await?;
        ensure!(outcomes.iter().all(|outcome| *outcome == Outcome::Applied), "refused: {outcomes:?}");
    }
    Ok(())
}

struct Servers(Vec<Server>);

impl Servers {
    async fn start(arguments: &Arguments, number: u8) -> Result<Self> {
        output::note(format_args!("starting {number} stores"));
        let kind = arguments.store.kind();
        let mut servers = Vec::new();
        for group in 0..number {
            let valkey = Valkey::start_with(ValkeyOptions { kind, ..ValkeyOptions::default() }).await?;
            let mut config = ValkeyConfig::new(valkey.url()).map_err(anyhow::Error::msg)?;
            config.key_prefix = format!("{{{group}}}:");
            let store = Store::new(&config, &StoreConfig::default())?;
            servers.push(Server { valkey, store });
        }
        Ok(Self(servers))
    }
}

impl Number {
    fn row(&self) -> Vec<String> {
        let of = Figures(&self.rounds);
        let [rate, range, ..] = of.speed();
        let (cpu, stores) = (of.cpu(), self.of_stores());
        let each: Vec<_> = stores.iter().map(|us| format!("{us:.1}")).collect();
        vec![
            self.stores.to_string(),
            rate,
            range,
            format!("{:.1}", stores.iter().sum::<f64>()),
            each.join(", "),
            format!("{:.1}", cpu.get("client").copied().unwrap_or_default()),
            rounded(self.limit()),
            format!("{:.1}", median(self.read_ms.iter().copied())),
        ]
    }

    fn to_json(&self) -> Value {
        json!({"stores": self.stores, "measured": Figures(&self.rounds).to_json(), "read_ms": self.read_ms,
               "busiest_cpu_limit_sales_per_s": self.limit()})
    }

    /// CPU microseconds of each for a sale of any of them.
    fn of_stores(&self) -> Vec<f64> {
        let cpu = Figures(&self.rounds).cpu();
        NAMES.iter().filter_map(|name| cpu.get(name).copied()).collect()
    }

    /// Sales a second of all together when the busiest one uses a whole core.
    fn limit(&self) -> f64 {
        let busiest = self.of_stores().into_iter().fold(0.0, f64::max);
        if busiest > 0.0 { 1e6 / busiest } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_disjoint_and_have_every_partition() {
        assert_eq!(groups(8, 4).expect("even"), [0..2, 2..4, 4..6, 6..8]);
        let one = groups(8, 1).expect("even");
        assert!(one.len() == 1 && one[0] == (0..8), "{one:?}");
        let error = groups(6, 4).expect_err("uneven").to_string();
        assert!(error.contains("--partitions 6") && error.contains("--stores 4"), "{error}");
    }
}
