//! Faults by a seeded schedule, under load, and the verdicts.
//!
//! Real servers and every service as a process (`field`); clients of all kinds with a ledger of what they were told
//! (`clients`, `ledger`); one or two faults at a time (`kind`, `schedule`, `inject`), after each of which everything has
//! to work again by itself (`recovery`). Then the load ends, everything is counted, and the ledger is held against the log
//! and the store (`judge`).
//!
//! Invariant: the same seed gives the same schedule and the same clients; and however a run ends, nothing that it started
//! goes on.

mod aside;
mod bounds;
mod clients;
mod field;
mod inject;
mod judge;
mod kind;
mod ledger;
mod recovery;
mod report;
mod schedule;
mod setup;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blackfriday_broker::EventLog;
use blackfriday_service::Shutdown;
use blackfriday_terminal::failure::Usage;
use blackfriday_terminal::output;

use self::bounds::Watch;
use self::clients::{Clients, Probe};
use self::field::Field;
use self::judge::judge;
pub use self::kind::Kind;
use self::ledger::Ledger;
use self::recovery::recover;
use self::report::{Met, Report};
use self::schedule::{Planned, Step, schedule};
pub use self::setup::{Setup, StoreKind};
use crate::told::written;

/// What a service says that cannot listen.
const PORT_TAKEN: &str = "Address already in use";

/// Breaks everything by a seeded schedule while clients send, and proves what they were told.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday chaos\n  \
    blackfriday chaos --seed 7 --faults 200 --log rabbitmq --store redis\n  \
    blackfriday chaos --only kill-writer --only log-killed --faults 20\n  \
    blackfriday chaos --list\n\n\
    Exit code 0 if every verdict holds, 1 if one does not, 69 if a program or a server is missing or does not start.")]
pub struct Arguments {
    /// Seed of the schedule and of the clients.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Faults, each kind as often as any other.
    #[arg(long, value_name = "N", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    faults: u32,
    /// Only this kind; may be given several times.
    #[arg(long, value_name = "KIND")]
    only: Vec<Kind>,
    /// The log of the sales; reports go to the other one, too.
    #[arg(long, value_name = "LOG", value_enum, default_value_t = EventLog::Kafka)]
    log: EventLog,
    /// Brokers of Kafka, with as many copies of each partition; a majority has to be in sync.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(1..=5))]
    brokers: u8,
    /// The store.
    #[arg(long, value_name = "STORE", value_enum, default_value_t = StoreKind::Valkey)]
    store: StoreKind,
    /// Print the kinds of faults instead of meeting them.
    #[arg(long)]
    list: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Carries the command out; true if every verdict holds.
///
/// # Errors
/// A program or a server is missing or does not start, or a signal came first.
pub async fn run(arguments: Arguments, shutdown: &Shutdown) -> Result<bool> {
    if arguments.list {
        list();
        return Ok(true);
    }
    let report =
        written(report(&arguments), arguments.json, Report::to_json, Report::print, shutdown).await?;
    Ok(report.holds())
}

/// A run while it lasts.
struct Run {
    field: Field,
    ledger: Arc<Ledger>,
    probe: Probe,
    watch: Watch,
    met: Vec<Met>,
    phase: usize,
}

async fn report(arguments: &Arguments) -> Result<Report> {
    let begin = Instant::now();
    let kinds = arguments.kinds()?;
    let steps = schedule(arguments.seed, usize::try_from(arguments.faults)?, &kinds);
    output::note(format_args!("seed {}: starting the servers and the services", arguments.seed));
    let mut run = Run::start(arguments, &kinds).await?;
    let clients = Clients::start(&run.field.doors(), &run.ledger, arguments.seed);
    for step in &steps {
        if !run.meet(step).await? {
            break;
        }
    }
    clients.finish().await?;
    output::note("judging");
    let verdicts = judge(&run.field, &run.ledger).await?;
    Ok(Report {
        seed: arguments.seed,
        total: run.ledger.total(),
        faults: run.met,
        verdicts,
        bounds: run.watch.finish(&run.field).await,
        complaints: run.field.complaints().to_vec(),
        took: begin.elapsed(),
    })
}

impl Run {
    async fn start(arguments: &Arguments, kinds: &[Kind]) -> Result<Self> {
        let field = start(arguments.setup(kinds)).await?;
        let ledger = Arc::<Ledger>::default();
        let probe = Probe::new(&ledger, arguments.seed, field.doors().gateway);
        let watch = Watch::start(&field).await;
        Ok(Self { field, ledger, probe, watch, met: Vec::new(), phase: 0 })
    }

    /// One or two faults: they begin together, end one after the other, and then everything has to work again. False if it does
    /// not.
    async fn meet(&mut self, step: &Step) -> Result<bool> {
        tokio::time::sleep(step.lull).await;
        self.phase += 1;
        self.ledger.begin_phase(self.phase);
        for fault in &step.faults {
            inject::begin(&mut self.field, fault).await.with_context(|| format!("{} begins", fault.kind))?;
        }
        let mut waited = Duration::ZERO;
        for fault in by_end(step) {
            tokio::time::sleep(fault.lasts.saturating_sub(waited)).await;
            waited = fault.lasts;
            inject::heal(&mut self.field, &fault).await.with_context(|| format!("{} ends", fault.kind))?;
        }
        for (service, status) in self.field.revive()? {
            self.field.complain(format!("{service:?} ended by itself with {status}"));
        }
        self.watch.follow(&self.field);
        let recovery = recover(&mut self.field, &mut self.probe, self.ledger.total().accepted).await;
        self.tell(step, recovery);
        let answers = self.ledger.tally(self.phase);
        self.met.extend(step.faults.iter().map(|fault| Met { kind: fault.kind, recovery, answers }));
        self.phase += 1;
        self.ledger.begin_phase(self.phase);
        Ok(recovery.is_some())
    }

    fn tell(&self, step: &Step, recovery: Option<Duration>) {
        let names: Vec<_> = step
            .faults
            .iter()
            .map(|fault| format!("{} for {:.1} s", fault.kind, fault.lasts.as_secs_f64()))
            .collect();
        let recovered = recovery.map_or_else(
            || "does not recover".to_owned(),
            |time| format!("works again after {:.1} s", time.as_secs_f64()),
        );
        output::note(format_args!("{:>4}  {}: {recovered}", self.met.len() + 1, names.join(" and ")));
    }
}

/// The field; once more with other ports where somebody has taken one between its choice and its use.
async fn start(setup: Setup) -> Result<Field> {
    match Field::start(setup).await {
        Err(error) if format!("{error:#}").contains(PORT_TAKEN) => Field::start(setup).await,
        started => started,
    }
}

impl Arguments {
    /// For these kinds.
    fn setup(&self, kinds: &[Kind]) -> Setup {
        let clocks = kinds.iter().any(|kind| matches!(kind, Kind::Clock(_)));
        Setup { log: self.log, brokers: self.brokers, store: self.store, clocks }
    }

    fn kinds(&self) -> Result<Vec<Kind>> {
        let chosen = if self.only.is_empty() { Kind::ALL.to_vec() } else { self.only.clone() };
        let fitting: Vec<_> = chosen.into_iter().filter(|kind| kind.fits(&self.setup(&[]))).collect();
        ensure!(!fitting.is_empty(), Usage("none of these can be met with these servers".to_owned()));
        Ok(fitting)
    }
}

/// In the order in which they end.
fn by_end(step: &Step) -> Vec<Planned> {
    let mut faults = step.faults.clone();
    faults.sort_by_key(|fault| fault.lasts);
    faults
}

fn list() {
    let row = |kind: Kind| vec![kind.name().to_owned(), kind.docs().join(" ")];
    output::table(&["fault", "what it is, and what is to be seen"], Kind::ALL.map(row));
}
