//! Latency and freshness where a way is not at its limit: requests are sent at a share of the top rate, each at its time
//! whatever became of the others.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use blackfriday_terminal::output;
use serde_json::{Value, json};

use super::figures::{Figures, rounded};
use super::measure::{Bench, Demand, Measure};
use super::subject::Subject;

/// Of the top rate: where latency is told, from when each request was meant to be sent.
const BUSY: f64 = 0.7;
/// Of the top rate: where it is told how long a sale takes from its answer until the read API has it.
const STEADY: f64 = 0.5;
/// So many times the connections: each has requests at times of its own, and a late answer on one of few would delay the next
/// request that is meant for it.
const CONNECTIONS: u16 = 4;
const HEAD: [&str; 9] = [
    "open loop",
    "top sales/s",
    "at 70 %",
    "p50 ms",
    "p99 ms",
    "at 50 %",
    "readable p50 ms",
    "readable p99 ms",
    "refused",
];

/// Each way at its shares.
pub(super) struct OpenLoop(BTreeMap<Subject, Shares>);

struct Shares {
    /// Sales a second, as fast as they are answered: the median.
    top: f64,
    busy: Vec<Measure>,
    steady: Vec<Measure>,
}

impl OpenLoop {
    /// Connections that it needs where a demand has so many.
    pub(super) fn connections(demanded: u16) -> u16 {
        demanded.saturating_mul(CONNECTIONS)
    }

    /// Measures each way that was measured as fast as it answers, in turns, as often as that.
    pub(super) async fn measure(
        bench: &mut Bench,
        measured: &BTreeMap<Subject, Vec<Measure>>,
        lasts: Duration,
    ) -> Result<Self> {
        let mut ways: BTreeMap<_, _> = measured
            .iter()
            .filter(|(subject, _)| subject.is_counted())
            .map(|(subject, rounds)| (*subject, Shares::of(rounds)))
            .collect();
        let rounds = measured.values().map(Vec::len).max().unwrap_or_default();
        let demand = bench.demand;
        for round in 1..=rounds {
            for (subject, shares) in &mut ways {
                output::note(format_args!("open loop, round {round}: {}", subject.title()));
                let measured = shares.measure(bench, demand, *subject, lasts).await;
                measured.with_context(|| format!("open loop, round {round}: {}", subject.title()))?;
            }
        }
        bench.demand = demand;
        Ok(Self(ways))
    }

    pub(super) fn print(&self) {
        output::table(&HEAD, self.0.iter().map(|(subject, shares)| shares.row(*subject)));
        output::line(
            "latency from when a request was meant to be sent; readable: from the answer until the read API has the sale",
        );
    }

    pub(super) fn to_json(&self) -> Value {
        let way = |(subject, shares): (&Subject, &Shares)| {
            let told = json!({"top_sales_per_s": shares.top,
                              "at_70_percent": Figures(&shares.busy).to_json(),
                              "at_50_percent": Figures(&shares.steady).to_json()});
            (subject.title().to_owned(), told)
        };
        self.0.iter().map(way).collect()
    }
}

impl Shares {
    fn of(rounds: &[Measure]) -> Self {
        Self { top: Figures(rounds).rate(), busy: Vec::new(), steady: Vec::new() }
    }

    async fn measure(
        &mut self,
        bench: &mut Bench,
        demand: Demand,
        subject: Subject,
        lasts: Duration,
    ) -> Result<()> {
        let at = |share: f64| Demand {
            connections: OpenLoop::connections(demand.connections),
            batch_connections: OpenLoop::connections(demand.batch_connections),
            rate: Some(share * self.top),
            may_refuse: true,
            ..demand
        };
        bench.demand = at(BUSY);
        let busy = bench.measure(subject, lasts).await?;
        bench.demand = Demand { with_freshness: true, ..at(STEADY) };
        let steady = bench.measure(subject, lasts).await?;
        self.busy.push(busy);
        self.steady.push(steady);
        Ok(())
    }

    fn row(&self, subject: Subject) -> Vec<String> {
        let (busy, steady) = (Figures(&self.busy), Figures(&self.steady));
        let [p50, p99] = busy.milliseconds(|round| round.latency_ms);
        let [readable_p50, readable_p99] = steady.milliseconds(|round| round.freshness_ms);
        let refused = [busy.refused(), steady.refused()].join(", ");
        vec![
            subject.title().to_owned(),
            rounded(self.top),
            rounded(busy.rate()),
            p50,
            p99,
            rounded(steady.rate()),
            readable_p50,
            readable_p99,
            refused,
        ]
    }
}
