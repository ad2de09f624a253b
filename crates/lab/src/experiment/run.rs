use std::io::{IsTerminal as _, stderr};

use anyhow::{Context as _, Result};
use blackfriday_terminal::output;
use indicatif::{ProgressBar, ProgressStyle};

use super::declared::{Experiment, Variant};
use super::origin::programs;
use super::outcome::{Outcome, Path};
use super::{Arguments, Length};
use crate::bench::{Bench, Demand, Field, Measure, Setup, Subject};

/// Measures whatever is not there yet.
pub(super) async fn all(arguments: &Arguments) -> Result<()> {
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("make the folder {}", arguments.out.display()))?;
    let (chosen, length) = (arguments.chosen(), arguments.length());
    let (programs, progress) = (programs()?, Progress::over(&chosen, length));
    for experiment in chosen {
        let path = Path::of(&arguments.out, experiment);
        let begun = if arguments.again { None } else { path.read()? };
        let outcome = Outcome::begin(experiment, length, &programs, begun)?;
        measure(experiment, length, outcome, &path, &progress).await.with_context(|| experiment.name())?;
    }
    progress.end();
    Ok(())
}

async fn measure(
    experiment: Experiment,
    length: Length,
    mut outcome: Outcome,
    path: &Path,
    progress: &Progress,
) -> Result<()> {
    let variants = experiment.variants();
    let done = outcome.rounds;
    progress.skip(variants.len(), done.min(length.rounds));
    if done >= length.rounds {
        progress.note(format_args!("{} is in {path} already", experiment.name()));
        return Ok(());
    }
    progress.note(format_args!("{}: starting servers and services", experiment.name()));
    let mut fields = Fields::start(&variants).await?;
    outcome.servers = fields.versions().await?;
    for variant in &variants {
        fields.warm_up(variant, length).await.with_context(|| format!("warming up {}", variant.name))?;
    }
    for round in done + 1..=length.rounds {
        let mut turn: Vec<_> = variants.iter().enumerate().collect();
        if round % 2 == 0 {
            turn.reverse();
        }
        let mut measures: Vec<Option<Measure>> = vec![None; variants.len()];
        for (at, variant) in turn {
            let measure = fields.measure(variant, length).await;
            let measure = measure.with_context(|| format!("round {round}: {}", variant.name))?;
            progress.turn(experiment, round, variant, &measure);
            measures[at] = Some(measure);
        }
        outcome.add(measures.into_iter().flatten())?;
        path.write(&outcome)?;
    }
    outcome.conclude()?;
    path.write(&outcome)
}

/// What runs: one of each setup, however many variants share it.
struct Fields(Vec<(Setup, Bench)>);

impl Fields {
    async fn start(variants: &[Variant]) -> Result<Self> {
        let mut fields = Self(Vec::new());
        for variant in variants {
            if fields.0.iter().all(|(setup, _)| *setup != variant.setup) {
                let field = Field::start(&variant.setup).await.with_context(|| variant.name)?;
                let bench = Bench { field, demand: Demand::default(), accepted: 0 };
                fields.0.push((variant.setup.clone(), bench));
            }
        }
        Ok(fields)
    }

    fn of(&mut self, variant: &Variant) -> Result<&mut Bench> {
        let found = self.0.iter_mut().find(|(setup, _)| *setup == variant.setup);
        found.map(|(_, bench)| bench).context("every variant has a field")
    }

    async fn measure(&mut self, variant: &Variant, length: Length) -> Result<Measure> {
        let bench = self.of(variant)?;
        bench.demand = variant.demand;
        bench.measure(variant.subject, length.duration).await
    }

    /// What is thrown away. For who counts a backlog it makes one, once.
    async fn warm_up(&mut self, variant: &Variant, length: Length) -> Result<()> {
        let bench = self.of(variant)?;
        bench.demand = variant.demand;
        let subject = match variant.subject {
            Subject::Backlog if bench.accepted > 0 => return Ok(()),
            Subject::Backlog => Subject::LogBatch,
            other => other,
        };
        bench.measure(subject, length.warm_up).await.map(drop)
    }

    async fn versions(&self) -> Result<Vec<String>> {
        let mut versions = Vec::new();
        for (_, bench) in &self.0 {
            versions.extend(bench.field.versions().await?);
        }
        versions.sort();
        versions.dedup();
        Ok(versions)
    }
}

/// How far it is, on standard error: a bar on a terminal, lines elsewhere.
struct Progress(ProgressBar);

impl Progress {
    fn over(experiments: &[Experiment], length: Length) -> Self {
        let turns: usize = experiments.iter().map(|experiment| experiment.variants().len()).sum();
        if !stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{bar:24} {pos} of {len} turns, {eta} left  {wide_msg}");
        let bar = ProgressBar::new(turns as u64 * u64::from(length.rounds));
        Self(bar.with_style(style.expect("a template of indicatif")))
    }

    fn skip(&self, variants: usize, rounds: u32) {
        self.0.inc(variants as u64 * u64::from(rounds));
    }

    fn turn(&self, experiment: Experiment, round: u32, variant: &Variant, measure: &Measure) {
        let rate = measure.sales_per_s();
        let text = format!("{}: round {round}: {}: {rate:.0} sales/s", experiment.name(), variant.name);
        self.0.inc(1);
        self.0.set_message(text.clone());
        self.note(format_args!("{text}"));
    }

    fn note(&self, text: std::fmt::Arguments<'_>) {
        self.0.suspend(|| output::note(text));
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
