//! Questions that are answered by measuring, and the report that is written out of the answers.
//!
//! An experiment (`declared`) has variants that differ in one thing. Each variant has servers and services of its own, which run
//! side by side, idle but for the one whose turn it is; rounds go through them forwards and backwards in turns, so that what
//! slows the machine down for a while slows all of them. The result (`outcome`) is a file, written after every round: a run
//! that was stopped goes on where it was. A difference is called one only if its interval (`interval`) says so.
//!
//! Invariant: what a report says is in the results, as numbers or as a difference that they show.

mod artifact;
mod cluster;
mod condition;
mod declared;
mod interval;
mod origin;
mod outcome;
mod plot;
mod report;
mod results;
mod run;
mod show;
mod shown;
mod unmeasured;
mod value;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use blackfriday_service::Shutdown;
use blackfriday_stack::Valkey;
use blackfriday_terminal::failure::Interrupted;
use clap::ValueEnum as _;

pub use self::declared::Experiment;

const QUICK_ROUNDS: u32 = 2;
const QUICK_DURATION: Duration = Duration::from_secs(2);
const QUICK_WARM_UP: Duration = Duration::from_secs(2);

/// Compares by measuring: logs, stores, ways, numbers of writers and consumers.
#[derive(clap::Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
    blackfriday lab hops logs stores\n  \
    blackfriday lab --quick hops\n  \
    blackfriday lab --kubeconfig ~/.kube/config autoscaler recommendations\n  \
    blackfriday lab report\n  \
    blackfriday lab report --push registry.example:5000/workloads/friday:lab --workload registry.example:5000/workloads/friday:1\n  \
    blackfriday lab show oci://registry.example:5000/workloads/friday:lab\n\n\
    Build with --release: a debug build measures itself.\n\
    Exit code 0 if everything was measured and everything that was accepted was counted once, 69 if a program, a server,\n\
    or something in the cluster is missing, 77 if the cluster refuses."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// What to measure; everything without it, what needs a cluster only with `--kubeconfig`, and what needs the disk of the
    /// Valkey VM only where `BLACKFRIDAY_DISK` names one.
    #[arg(value_name = "EXPERIMENT")]
    experiments: Vec<Experiment>,
    /// Rounds; in each of them every variant has its turn.
    #[arg(long, value_name = "N", default_value_t = 6,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Length of a turn.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Before the first round each variant runs for so long, which is thrown away.
    #[arg(long, value_name = "DURATION", default_value = "8s", value_parser = humantime::parse_duration)]
    warm_up: Duration,
    /// Two rounds of two seconds, after two seconds that are thrown away.
    #[arg(long, conflicts_with_all = ["rounds", "duration", "warm_up"])]
    quick: bool,
    /// Where results are kept; what is there already in whole is not measured again.
    #[arg(long, value_name = "DIR", default_value = "lab")]
    out: PathBuf,
    /// Measure again what is there already.
    #[arg(long)]
    again: bool,
    /// How kubectl reaches the cluster in which the system is deployed, for what is measured there. Its gateways are scaled and
    /// a server of its store is started again meanwhile: it must be there for tests only.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// What is done with results.
#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Write a report out of a template and results, with a plot of each figure.
    Report(Box<report::Arguments>),
    /// Show results: those in a folder, or those that were pushed into a registry.
    Show(show::Arguments),
}

/// How long it is measured.
#[derive(Debug, Clone, Copy)]
struct Length {
    rounds: u32,
    duration: Duration,
    warm_up: Duration,
}

/// Carries the command out; true once everything is measured, written or shown.
///
/// # Errors
/// A program or a server is missing, a sale was refused or not counted once, a result cannot be read or written, a registry
/// refuses, or a signal came first.
pub async fn run(arguments: Arguments, shutdown: &Shutdown) -> Result<bool> {
    let work = async {
        match &arguments.command {
            Some(Command::Report(report)) => report::write(report).await,
            Some(Command::Show(shown)) => show::show(shown).await,
            None => run::all(&arguments).await,
        }
    };
    tokio::select! {
        done = work => done.map(|()| true),
        () = shutdown.begun() => Err(Interrupted.into()),
    }
}

impl Arguments {
    fn chosen(&self) -> Vec<Experiment> {
        if !self.experiments.is_empty() {
            return self.experiments.clone();
        }
        let all = Experiment::value_variants().iter().copied();
        let has_cluster = self.kubeconfig.is_some();
        all.filter(|experiment| has_cluster || experiment.in_cluster().is_none())
            .filter(|experiment| Valkey::disk_of_machine().is_some() || !experiment.needs_disk())
            .collect()
    }

    fn length(&self) -> Length {
        if self.quick {
            return Length { rounds: QUICK_ROUNDS, duration: QUICK_DURATION, warm_up: QUICK_WARM_UP };
        }
        Length { rounds: self.rounds, duration: self.duration, warm_up: self.warm_up }
    }
}
