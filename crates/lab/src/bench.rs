//! How fast each way from HTTP into a counted number is, next to the bare parts that it is made of, in one run on one machine.
//!
//! Real servers and every service as a process (`field`), next to them bare parts (`part`); a client (`client`) that drives one
//! after the other, in turns over several rounds; and what each process used meanwhile, from `/proc` (`usage`). Rates say
//! what this machine gives, ratios and CPU microseconds a sale what another one would.
//!
//! Invariant: what the services accepted is counted, each sale once, before the next subject begins; else the run fails.

mod boot;
mod client;
mod descriptors;
mod failover;
mod field;
mod fields;
mod figures;
mod freshness;
mod growth;
mod measure;
mod memory;
mod open_loop;
mod part;
mod price;
mod publisher;
mod report;
mod server;
mod stores;
mod subject;
mod traffic;
mod usage;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blackfriday_broker::EventLog;
use blackfriday_service::Shutdown;
use blackfriday_stack::ValkeyKind;
use blackfriday_terminal::failure::Usage;
use blackfriday_terminal::output;
use clap::builder::ArgPredicate;

pub(crate) use self::field::{Acks, Field, Setup};
pub(crate) use self::fields::{Fields, Variant, turns};
use self::growth::{Axis, Growth};
pub(crate) use self::measure::{Bench, Demand, Measure};
use self::memory::Memory;
use self::open_loop::OpenLoop;
pub use self::part::{Part, run as run_part};
pub(crate) use self::publisher::Queue;
use self::report::Report;
use self::stores::Stores;
pub use self::subject::Subject;
pub(crate) use self::traffic::Traffic;
use crate::told::written;

/// Measures every way from HTTP into a counted number, and the bare parts that limit it.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday bench\n  \
    blackfriday bench --only log --only handler --rounds 5\n  \
    blackfriday bench --log rabbitmq --store redis\n  \
    blackfriday bench --peer 'java -jar bench/peers/gateway/target/gateway.jar'\n  \
    blackfriday bench --only log --only backlog --open-loop\n  \
    blackfriday bench --growth connections\n  \
    blackfriday bench --stores 1 2 4\n\n\
    A peer has KAFKA_BROKERS, TOPIC and PORT in its environment, and in VALKEY_URL a database to count in.\n\
    Build with --release: a debug build measures itself.\n\
    Exit code 0 if everything that was accepted was counted once, 69 if a program or a server is missing.")]
pub struct Arguments {
    /// Rounds; in each of them every subject has its turn.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Length of a turn.
    #[arg(long, value_name = "DURATION", default_value = "6s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Before the first round each way is driven for so long, in which Kafka's JVM compiles.
    #[arg(long, value_name = "DURATION", default_value = "8s", value_parser = humantime::parse_duration)]
    warm_up: Duration,
    /// Only this; may be given several times.
    #[arg(long, value_name = "WHAT")]
    only: Vec<Subject>,
    /// Connections of single sales.
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..=20_000))]
    connections: u16,
    /// Connections of batches.
    #[arg(long, value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    batch_connections: u16,
    /// Sales in a batch.
    #[arg(long, value_name = "N", default_value_t = 500,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
    /// Sales a second, and latency from when each was meant to be sent; without it as many as are answered.
    #[arg(long, value_name = "N")]
    rate: Option<Rate>,
    /// Products that are sold.
    #[arg(long, value_name = "N", default_value_t = 400,
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    products: u64,
    /// Partitions of the topic of sales; a multiple of each number of --stores, and 8 with it.
    #[arg(long, value_name = "N", default_value_t = 6, default_value_if("stores", ArgPredicate::IsPresent, "8"), value_parser = clap::value_parser!(i32).range(1..=64))]
    partitions: i32,
    /// Then each way again on four times the connections: at 70 % of its top rate, with latency from when each request was
    /// meant to be sent, and at 50 %, with how long a sale takes from its answer until the read API has it.
    #[arg(long, conflicts_with = "rate")]
    open_loop: bool,
    /// Instead of all that, how the ways change along an axis; along each without one: 1, 4, 16 partitions; 1, 2, 4 writers;
    /// 100, 10,000, 1,000,000 products; 1, 64, 1,000, 8,000 connections. With the ways that fit it, or those of --only.
    #[arg(long, value_name = "AXIS", num_args = 0.., conflicts_with_all = ["rate", "open_loop", "peer"])]
    growth: Option<Vec<Axis>>,
    /// Instead of all that, the same sales applied to so many stores, each with a group of the partitions, and added up when
    /// read; to 1, 2 and 4 without a number.
    #[arg(long, value_name = "N", num_args = 0.., value_parser = clap::value_parser!(u8).range(1..=8),
          conflicts_with_all = ["rate", "open_loop", "peer", "growth", "only"])]
    stores: Option<Vec<u8>>,
    /// The log.
    #[arg(long, value_name = "LOG", value_enum, default_value_t = EventLog::Kafka)]
    log: EventLog,
    /// The store.
    #[arg(long, value_name = "STORE", value_enum, default_value_t = StoreKind::Valkey)]
    store: StoreKind,
    /// Somebody's gateway, a shell command: it has to answer POST /venta on 127.0.0.1 with 202.
    #[arg(long, value_name = "CMD")]
    peer: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Which server counts.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum StoreKind {
    Valkey,
    Redis,
}

impl StoreKind {
    fn kind(self) -> ValkeyKind {
        match self {
            Self::Valkey => ValkeyKind::Valkey,
            Self::Redis => ValkeyKind::Redis,
        }
    }
}

/// Sales a second.
#[derive(Debug, Clone, Copy)]
struct Rate(f64);

/// Carries the command out; true once everything is measured.
///
/// # Errors
/// A program or a server is missing or does not start, a sale was refused or not counted once, or a signal came first.
pub async fn run(arguments: Arguments, shutdown: &Shutdown) -> Result<bool> {
    let json = arguments.json;
    if let Some(numbers) = &arguments.stores {
        let measured = Stores::measure(&arguments, numbers);
        written(measured, json, Stores::to_json, Stores::print, shutdown).await?;
    } else if let Some(axes) = &arguments.growth {
        let measured = Growth::measure(&arguments, axes);
        written(measured, json, Growth::to_json, Growth::print, shutdown).await?;
    } else {
        written(report(&arguments), json, Report::to_json, Report::print, shutdown).await?;
    }
    Ok(true)
}

async fn report(arguments: &Arguments) -> Result<Report<'_>> {
    let subjects = arguments.subjects()?;
    for (flag, connections) in
        [("--connections", arguments.connections), ("--batch-connections", arguments.batch_connections)]
    {
        let needed = if arguments.open_loop { OpenLoop::connections(connections) } else { connections };
        if let Some(too_few) = descriptors::allow(needed)? {
            return Err(Usage(format!("{flag} {connections}: {too_few}")).into());
        }
    }
    output::note("starting the servers and the services");
    let field = Field::start(&Setup { with_api: true, ..arguments.setup() }).await?;
    let mut memory = Memory::idle(&field)?;
    let mut bench = Bench::of(field, arguments.demand());
    for subject in subjects.iter().filter(|subject| subject.is_driven()) {
        output::note(format_args!("warming up: {}", subject.title()));
        bench.measure(*subject, arguments.warm_up).await?;
    }
    let mut measured = BTreeMap::<Subject, Vec<Measure>>::new();
    for round in 1..=arguments.rounds {
        for subject in &subjects {
            let measure = bench.measure(*subject, arguments.duration).await;
            let measure = measure.with_context(|| format!("round {round}: {}", subject.title()))?;
            let rate = measure.sales_per_s();
            output::note(format_args!("round {round}: {}: {rate:.0} sales/s", subject.title()));
            measured.entry(*subject).or_default().push(measure);
            memory.look(&bench.field, *subject == Subject::Backlog)?;
        }
    }
    let open_loop = if arguments.open_loop {
        Some(OpenLoop::measure(&mut bench, &measured, arguments.duration).await?)
    } else {
        None
    };
    if let Err(error) = bench.field.end().await {
        output::note(format_args!("{error:#}"));
    }
    Ok(Report { arguments, cores: available_parallelism()?.get(), measured, memory, open_loop })
}

impl Arguments {
    fn setup(&self) -> Setup {
        let (store, peer) = (self.store.kind(), self.peer.clone());
        Setup { log: self.log, store, partitions: self.partitions, peer, ..Setup::default() }
    }

    fn demand(&self) -> Demand {
        Demand {
            connections: self.connections,
            batch_connections: self.batch_connections,
            batch: self.batch,
            rate: self.rate.map(|Rate(rate)| rate),
            products: self.products,
            ..Demand::default()
        }
    }

    fn subjects(&self) -> Result<Vec<Subject>> {
        let chosen = if self.only.is_empty() { Subject::ALL.to_vec() } else { self.only.clone() };
        let fits = |subject: &Subject| {
            (self.log == EventLog::Kafka || !subject.needs_kafka())
                && (self.peer.is_some() || *subject != Subject::Peer)
        };
        let fitting: Vec<_> = chosen.into_iter().filter(fits).collect();
        let asked_for_all = self.only.is_empty() || fitting.len() == self.only.len();
        ensure!(
            asked_for_all,
            Usage("a peer needs --peer; peer, producer and consumer need Kafka".to_owned())
        );
        Ok(fitting)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
        rate.map(Self).ok_or_else(|| "must be a number above 0".to_owned())
    }
}
