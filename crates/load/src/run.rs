use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use blackfriday_receipts::Writer;
use blackfriday_service::Shutdown;
use blackfriday_terminal::failure::Unavailable;
use blackfriday_terminal::output;
use blackfriday_terminal::progress::{Following, Length, Progress, Rate};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::arguments::Arguments;
use crate::plan::Plan;
use crate::report::{Latencies, Report};
use crate::request::Pace;
use crate::schedule::Schedule;
use crate::worker;

/// For the first connection, before anything is sent.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Sends what the arguments say and prints the report; true if every event was accepted.
///
/// # Errors
/// The arguments are wrong, the gateway cannot be reached, or the receipts cannot be written.
pub async fn run(arguments: Arguments, shutdown: &Shutdown) -> Result<bool> {
    let json = arguments.json;
    let workload = arguments.source.read().await?;
    let plan = Arc::new(Plan::new(arguments, workload)?);
    reach(&plan.addresses).await?;
    output::note(plan.describe());
    let following = follow(&plan);
    let report = send(plan, shutdown).await;
    drop(following);
    let report = report?;
    if json {
        output::line(report.to_json());
    } else {
        report.print();
        report.print_verdict();
    }
    Ok(report.is_good())
}

/// Carries out a plan. A shutdown ends it early: requests on their way are waited for, and their answers are in the
/// receipts.
///
/// # Errors
/// The receipts cannot be written.
pub async fn send(plan: Arc<Plan>, shutdown: &Shutdown) -> Result<Report> {
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

/// Shows how many were accepted, of how many or in how much time.
fn follow(plan: &Plan) -> Following {
    let length = match (&plan.pace, plan.duration) {
        (Pace::Open { .. }, _) | (Pace::Closed, None) => Length::Number(plan.events),
        (Pace::Closed, Some(duration)) => Length::Time(duration),
    };
    let (accepted, mut rate) = (Arc::clone(&plan.accepted), Rate::new());
    Following::new(Progress::new(&[("accepted", length)]), move || {
        let accepted = accepted.load(Ordering::Relaxed);
        std::future::ready((vec![accepted], rate.of(accepted)))
    })
}

/// One of the addresses is enough.
pub(crate) async fn reach(addresses: &[SocketAddr]) -> Result<()> {
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
