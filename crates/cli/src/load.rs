//! Sends sales to a gateway and measures how it answers.
//!
//! Open loop (`--rate`): each request has an intended time, and its latency counts from then, so that a gateway that stalls
//! is seen to stall (coordinated omission); what was never sent has waited until the end. Closed loop: each connection sends
//! its next request when the last is answered.

mod connection;
mod outcome;
mod plan;
mod report;
mod schedule;
#[cfg(test)]
mod tests;
mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use blackfriday_service::Shutdown;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) use self::plan::{Plan, Route};
pub(crate) use self::report::Report;
pub(crate) use self::schedule::Pace;

use self::report::Latencies;
use self::schedule::Schedule;
use crate::failure::Unavailable;
use crate::output;
use crate::receipts::Writer;
use crate::workload::SourceArguments;

/// For the first connection, before anything is sent.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Sends sales to a gateway.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday load --url http://127.0.0.1:8080 --rate 2000 --duration 30s --receipts run.receipts\n  \
    blackfriday load --url http://127.0.0.1:8080 --route ventas --batch-size 500 --connections 8 --sales 1000000\n\n\
    Exit code 0 if every sale was accepted, 1 if not, 64 for wrong arguments, 69 if the gateway cannot be reached.\n\
    Ctrl-C ends the load early; the receipts and the table are complete for what was sent.")]
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
    /// Stop after this time; 10 s if neither this nor `--sales` is given. With `--rate`, what no connection was free for
    /// is sent late, for the time of one answer at the most.
    #[arg(long, value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Seed of the traffic; the workload's own without it.
    #[arg(long)]
    seed: Option<u64>,
    /// Write what each sale was answered with to this file, for `blackfriday verify`.
    #[arg(long)]
    receipts: Option<PathBuf>,
    /// Send an `Idempotency-Key` with each request.
    #[arg(long)]
    idempotency: bool,
    /// Send a request again that was refused for now or not answered, this often at the most. Needs `--idempotency`.
    #[arg(long, default_value_t = 0, requires = "idempotency")]
    retries: u32,
    /// Time for one request: the connection, if one has to be made, the sending, and the whole answer.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: SourceArguments,
}

pub(crate) async fn run(arguments: Arguments, shutdown: &Shutdown) -> Result<bool> {
    let json = arguments.json;
    let workload = arguments.source.read().await?;
    let plan = Arc::new(Plan::new(arguments, workload)?);
    reach(&plan.addresses).await?;
    output::note(plan.describe());
    let report = send(plan, shutdown).await?;
    if json {
        output::line(report.to_json());
    } else {
        report.print();
    }
    Ok(report.is_good())
}

/// Carries out a plan. A shutdown ends it early: requests on their way are waited for, and their answers are in the
/// receipts.
pub(crate) async fn send(plan: Arc<Plan>, shutdown: &Shutdown) -> Result<Report> {
    let receipts = plan.receipts.as_ref().map(|path| Writer::create(path, &plan.about())).transpose()?;
    let latencies = Arc::new(Latencies::new());
    let schedule = Schedule::start(&plan)?;
    let mut workers = JoinSet::new();
    for number in 0..usize::try_from(plan.connections).unwrap_or(usize::MAX) {
        let (plan, schedule, latencies) = (Arc::clone(&plan), Arc::clone(&schedule), Arc::clone(&latencies));
        workers.spawn(worker::run(number, plan, schedule, latencies, receipts.as_ref().map(Writer::pen)));
    }
    let mut tallies = Vec::new();
    loop {
        tokio::select! {
            ended = workers.join_next() => match ended {
                Some(tally) => tallies.push(tally.context("a connection's task died")??),
                None => break,
            },
            () = shutdown.begun(), if !schedule.is_stopped() => schedule.stop(),
        }
    }
    let report = Report::new(&plan, tallies, &latencies, &schedule);
    if let Some(receipts) = receipts {
        tokio::task::spawn_blocking(|| receipts.finish()).await??;
    }
    Ok(report)
}

/// One of the addresses is enough.
async fn reach(addresses: &[SocketAddr]) -> Result<()> {
    let mut reached = Err(anyhow!("it has no address"));
    for address in addresses {
        let connected = timeout(CONNECT_LIMIT, TcpStream::connect(address)).await;
        let unreachable = || Unavailable(format!("the gateway at {address} cannot be reached"));
        reached =
            connected.with_context(unreachable).and_then(|stream| stream.with_context(unreachable)).map(drop);
        if reached.is_ok() {
            break;
        }
    }
    reached
}
