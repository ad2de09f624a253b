//! Sends sales to a gateway and measures how it answers.
//!
//! Open loop (`--rate`): each request has an intended time, and its latency counts from then, so that a gateway that stalls
//! is seen to stall (coordinated omission). Closed loop: each connection sends its next request when the last is answered.

mod connection;
mod plan;
mod report;
mod schedule;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use blackfriday_workload::{Traffic, Workload};
use tokio::task::JoinSet;

pub(crate) use self::plan::{Plan, Route};
pub(crate) use self::report::Report;
pub(crate) use self::schedule::Pace;

use self::schedule::Schedule;
use crate::output;
use crate::receipts::Writer;

/// Sends sales to a gateway.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday load --url http://127.0.0.1:8080 --rate 2000 --duration 30s --receipts run.receipts\n  \
    blackfriday load --url http://127.0.0.1:8080 --route ventas --batch-size 500 --connections 8 --sales 1000000")]
pub struct Arguments {
    /// The gateway.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: url::Url,
    /// One sale a request, or many.
    #[arg(long, value_enum, default_value_t = Route::Venta)]
    route: Route,
    /// Sales in one request of `--route ventas`.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch_size: u64,
    /// Sales per second, whatever the answers (open loop); without it as many as are answered (closed loop).
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Let the rate follow the workload's arrival curve, with `--rate` as its mean.
    #[arg(long, requires = "rate")]
    curve: bool,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    connections: u64,
    /// Stop after this many sales.
    #[arg(long)]
    sales: Option<u64>,
    /// Stop after this time; 10 s if neither this nor `--sales` is given.
    #[arg(long, value_parser = humantime::parse_duration)]
    duration: Option<std::time::Duration>,
    /// Seed of the traffic; the workload's own without it.
    #[arg(long)]
    seed: Option<u64>,
    /// The catalogue, a TOML file; the built-in one without it.
    #[arg(long)]
    workload: Option<PathBuf>,
    /// Write what was acknowledged to this file.
    #[arg(long)]
    receipts: Option<PathBuf>,
    /// Send an `Idempotency-Key` with each request.
    #[arg(long)]
    idempotency: bool,
    /// Send a refused or unanswered request again, this often at the most. Needs `--idempotency`.
    #[arg(long, default_value_t = 0, requires = "idempotency")]
    retries: u32,
    /// Time for one answer.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: std::time::Duration,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<bool> {
    let workload = match &arguments.workload {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            Workload::parse(&text)?
        }
        None => Workload::black_friday(),
    };
    let json = arguments.json;
    let plan = Plan::new(arguments, Traffic::new(workload, None))?;
    let report = send(Arc::new(plan)).await?;
    if json {
        output::line(report.to_json());
    } else {
        report.print();
    }
    Ok(report.is_good())
}

/// Carries out a plan. Ctrl-C ends it early; what was acknowledged until then is in the receipts.
pub(crate) async fn send(plan: Arc<Plan>) -> Result<Report> {
    let receipts = plan.receipts.as_ref().map(|path| Writer::create(path, &plan.about())).transpose()?;
    let schedule = Arc::new(Schedule::start(&plan));
    let mut workers = JoinSet::new();
    for _ in 0..plan.connections {
        let lines = receipts.as_ref().map(Writer::lines);
        workers.spawn(worker::run(Arc::clone(&plan), Arc::clone(&schedule), lines));
    }
    let stop = Arc::clone(&schedule);
    let interrupt = tokio::spawn(async move {
        // Without a signal handler Ctrl-C would end the process, and the receipts would be cut.
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.stop();
        }
    });
    let mut report = Report::new(&plan);
    while let Some(tally) = workers.join_next().await {
        report.add(tally.context("a connection's task died")?);
    }
    interrupt.abort();
    report.end(schedule.elapsed());
    if let Some(receipts) = receipts {
        tokio::task::spawn_blocking(|| receipts.finish()).await??;
    }
    Ok(report)
}
