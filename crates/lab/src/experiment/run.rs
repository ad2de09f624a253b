//! Carries experiments out, one after the other: those whose servers and services are started here, and those that a cluster
//! answers. A result is written after every round.

use std::io::{IsTerminal as _, stderr};

use anyhow::{Context as _, Result, bail};
use blackfriday_stack::Valkey;
use blackfriday_terminal::failure::{Unavailable, Usage};
use blackfriday_terminal::output;
use indicatif::{ProgressBar, ProgressStyle};

use super::cluster::{Cluster, Kind, Metrics, Question};
use super::declared::Experiment;
use super::origin::{Machine, Origin, programs, workload};
use super::outcome::{Outcome, metrics};
use super::results::Path;
use super::{Arguments, Length};
use crate::bench::{Fields, turns};

/// Measures whatever is not there yet.
pub(super) async fn all(arguments: &Arguments) -> Result<()> {
    let cluster = arguments.kubeconfig.as_deref().map(Cluster::at);
    let (chosen, length) = (arguments.chosen(), arguments.length());
    let without = chosen.iter().find(|experiment| experiment.in_cluster().is_some() && cluster.is_none());
    if let Some(experiment) = without {
        bail!(Usage(format!(
            "{} is measured in a cluster: --kubeconfig FILE says in which",
            experiment.name()
        )));
    }
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("make the folder {}", arguments.out.display()))?;
    let progress = Progress::over(&chosen, length);
    for experiment in chosen {
        let path = Path::of(&arguments.out, experiment);
        let begun = if arguments.again { None } else { path.read()? };
        let task = Task { experiment, path: &path, progress: &progress };
        let measured = match (experiment.in_cluster(), &cluster) {
            (Some(question), Some(cluster)) => task.ask(question, cluster, length, begun).await,
            _ => task.measure(length, begun).await,
        };
        measured.with_context(|| experiment.name())?;
    }
    progress.end();
    Ok(())
}

/// An experiment, and where its result goes.
struct Task<'a> {
    experiment: Experiment,
    path: &'a Path,
    progress: &'a Progress,
}

impl Task<'_> {
    /// With servers and services that are started here.
    async fn measure(&self, length: Length, begun: Option<Outcome>) -> Result<()> {
        let variants = self.experiment.variants();
        let disk = Valkey::disk_of_machine().filter(|_| self.experiment.needs_disk());
        let origin = Origin {
            programs: programs(disk)?,
            workload: workload(variants.iter().map(|variant| variant.demand.products)),
            machine: Machine::this()?,
        };
        let mut outcome = Outcome::begin(self.experiment, length, origin, begun)?;
        if self.is_there(&outcome, length) {
            return Ok(());
        }
        self.note(format_args!("starting servers and services"));
        let mut fields = Fields::start(&variants).await?;
        outcome.servers = fields.versions().await?;
        for variant in &variants {
            fields
                .warm_up(variant, length.warm_up)
                .await
                .with_context(|| format!("warming up {}", variant.name))?;
        }
        for round in outcome.rounds + 1..=length.rounds {
            let mut measures = vec![None; variants.len()];
            for at in turns(variants.len(), round) {
                let variant = &variants[at];
                let measure = fields.measure(variant, length.duration).await;
                let measure = measure.with_context(|| format!("round {round}: {}", variant.name))?;
                self.turn(round, variant.name, format_args!("{:.0} sales/s", measure.sales_per_s()));
                measures[at] = Some(metrics(&measure));
            }
            outcome.add(measures.into_iter().flatten())?;
            self.path.write(&outcome)?;
        }
        outcome.conclude()?;
        self.path.write(&outcome)
    }

    /// In a cluster.
    async fn ask(
        &self,
        question: Question,
        cluster: &Cluster,
        length: Length,
        begun: Option<Outcome>,
    ) -> Result<()> {
        let length = question.length(length);
        if begun.as_ref().is_some_and(|begun| self.is_there(begun, length)) {
            return Ok(());
        }
        cluster.has_all_for(question).await?;
        let mut outcome = Outcome::begin(self.experiment, length, cluster.origin().await?, begun)?;
        outcome.servers = cluster.versions().await?;
        if question == Question::Machine {
            return self.ask_what_there_is(cluster, length, outcome).await;
        }
        let names = question.names();
        for round in outcome.rounds + 1..=length.rounds {
            let mut measured = vec![None; names.len()];
            for at in turns(names.len(), round) {
                measured[at] =
                    Some(self.ask_once(question, cluster, names[at], round, length, &mut outcome).await?);
            }
            outcome.add(measured.into_iter().flatten())?;
            self.path.write(&outcome)?;
        }
        outcome.conclude()?;
        self.path.write(&outcome)
    }

    /// A cluster has one of the two kinds of stores; the result is whole once both were measured on the same nodes.
    async fn ask_what_there_is(&self, cluster: &Cluster, length: Length, mut outcome: Outcome) -> Result<()> {
        let kind = cluster.kind().await?;
        for round in outcome.rounds_of(kind.name()) + 1..=length.rounds {
            let metrics =
                self.ask_once(Question::Machine, cluster, kind.name(), round, length, &mut outcome).await?;
            outcome.add_to(kind.name(), metrics)?;
            self.path.write(&outcome)?;
        }
        outcome.conclude()?;
        self.path.write(&outcome)?;
        let lacks = |kind: &Kind| outcome.rounds_of(kind.name()) < length.rounds;
        let Some(missing) = Kind::ALL.into_iter().find(lacks) else { return Ok(()) };
        let (kept, path, lacking) = (kind.name(), self.path, missing.name());
        let why = cluster.why_without(missing).await?;
        bail!(Unavailable(format!("what was measured of {kept} is in {path}; {lacking} is missing: {why}")))
    }

    async fn ask_once(
        &self,
        question: Question,
        cluster: &Cluster,
        name: &str,
        round: u32,
        length: Length,
        outcome: &mut Outcome,
    ) -> Result<Metrics> {
        let turn = cluster.measure(question, name, length).await;
        let turn = turn.with_context(|| format!("round {round}: {name}"))?;
        outcome.sold(turn.workload)?;
        let told: Vec<_> =
            turn.metrics.iter().map(|(metric, value)| format!("{metric} {value:.1}")).collect();
        self.turn(round, name, format_args!("{}", told.join(", ")));
        Ok(turn.metrics)
    }

    fn is_there(&self, outcome: &Outcome, length: Length) -> bool {
        self.progress.skip(outcome.variants.len(), outcome.rounds.min(length.rounds));
        let is_there = outcome.rounds >= length.rounds;
        if is_there {
            self.progress.note(format_args!("{} is in {} already", self.experiment.name(), self.path));
        }
        is_there
    }

    fn turn(&self, round: u32, variant: &str, told: std::fmt::Arguments<'_>) {
        self.progress.turn(&format!("{}: round {round}: {variant}: {told}", self.experiment.name()));
    }

    fn note(&self, text: std::fmt::Arguments<'_>) {
        self.progress.note(format_args!("{}: {text}", self.experiment.name()));
    }
}

/// How far it is, on standard error: a bar on a terminal, lines elsewhere.
struct Progress(ProgressBar);

impl Progress {
    fn over(experiments: &[Experiment], length: Length) -> Self {
        let rounds = |experiment: &Experiment| {
            let length = experiment.in_cluster().map_or(length, |question| question.length(length));
            experiment.names().len() as u64 * u64::from(length.rounds)
        };
        let turns = experiments.iter().map(rounds).sum();
        if !stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{bar:24} {pos} of {len} turns, {eta} left  {wide_msg}");
        let bar = ProgressBar::new(turns);
        Self(bar.with_style(style.expect("a template of indicatif")))
    }

    fn skip(&self, variants: usize, rounds: u32) {
        self.0.inc(variants as u64 * u64::from(rounds));
    }

    fn turn(&self, text: &str) {
        self.0.inc(1);
        self.0.set_message(text.to_owned());
        self.note(format_args!("{text}"));
    }

    fn note(&self, text: std::fmt::Arguments<'_>) {
        self.0.suspend(|| output::note(text));
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
