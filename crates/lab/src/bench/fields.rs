use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use blackfriday_terminal::failure::Unavailable;

use super::descriptors;
use super::field::{Field, Setup};
use super::measure::{Bench, Demand, Measure};
use super::subject::Subject;

/// One of several things that are measured in turns.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) setup: Setup,
    pub(crate) subject: Subject,
    pub(crate) demand: Demand,
}

/// What runs side by side: one of each setup, however many variants share it, idle but for the one whose turn it is.
pub(crate) struct Fields(Vec<(Setup, Bench)>);

impl Fields {
    pub(crate) async fn start(variants: &[Variant]) -> Result<Self> {
        let mut fields = Self(Vec::new());
        for variant in variants {
            let most = variant.demand.connections.max(variant.demand.batch_connections);
            if let Some(too_few) = descriptors::allow(most)? {
                bail!(Unavailable(format!("{}: {most} connections: {too_few}", variant.name)));
            }
            if fields.0.iter().all(|(setup, _)| *setup != variant.setup) {
                let field = Field::start(&variant.setup).await.with_context(|| variant.name)?;
                fields.0.push((variant.setup.clone(), Bench::of(field, Demand::default())));
            }
        }
        Ok(fields)
    }

    pub(crate) async fn measure(&mut self, variant: &Variant, lasts: Duration) -> Result<Measure> {
        let bench = self.of(variant)?;
        bench.demand = variant.demand;
        bench.measure(variant.subject, lasts).await
    }

    /// What is thrown away. For who counts a backlog it makes one, once; for a failover or a boot
    /// nothing fails.
    pub(crate) async fn warm_up(&mut self, variant: &Variant, lasts: Duration) -> Result<()> {
        let bench = self.of(variant)?;
        bench.demand = variant.demand;
        let subject = match variant.subject {
            Subject::Backlog if bench.accepted > 0 => return Ok(()),
            Subject::Backlog => Subject::LogBatch,
            Subject::Failover | Subject::Boot => Subject::Log,
            other => other,
        };
        bench.measure(subject, lasts).await.map(drop)
    }

    pub(crate) async fn versions(&self) -> Result<Vec<String>> {
        let mut versions = Vec::new();
        for (_, bench) in &self.0 {
            versions.extend(bench.field.versions().await?);
        }
        versions.sort();
        versions.dedup();
        Ok(versions)
    }

    /// What measures a variant.
    pub(crate) fn of(&mut self, variant: &Variant) -> Result<&mut Bench> {
        let found = self.0.iter_mut().find(|(setup, _)| *setup == variant.setup);
        found.map(|(_, bench)| bench).context("every variant has a field")
    }
}

/// Forwards in one round, backwards in the next.
pub(crate) fn turns(variants: usize, round: u32) -> Vec<usize> {
    let mut turns: Vec<_> = (0..variants).collect();
    if round.is_multiple_of(2) {
        turns.reverse();
    }
    turns
}
