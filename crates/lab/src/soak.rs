//! A steady rate for a long time, and whether anything grows meanwhile.
//!
//! Real servers and every service as a process (`field`), with a page kept open (`page`). The time has four quarters, each with
//! an open-loop load of its own, whose receipts `verify` gets at the end. What each service takes is looked at all the
//! while (`samples`); after the first quarter, in which buffers and pools fill, a line is laid through it (`slope`). What a
//! verdict says is in `report`.
//!
//! Invariant: however a run ends, nothing that it started goes on.

mod field;
mod page;
mod report;
mod samples;
mod slope;

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_service::Shutdown;
use blackfriday_terminal::output;

use self::field::Field;
use self::page::Page;
use self::report::{Quarter, Report};
use self::samples::Watch;
use crate::Load;
use crate::told::written;

const QUARTERS: u32 = 4;
/// How long a load may take beyond its own time.
const LATE_LIMIT: Duration = Duration::from_secs(60);

/// Sends at a steady rate for a long time, and says whether anything grows.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday soak\n  \
    blackfriday soak --minutes 600 --rate 2000 --samples samples.jsonl --json\n\n\
    Exit code 0 if every verdict holds, 1 if one does not, 69 if a program or a server is missing or does not start,\n\
    130 if a signal ended it before.")]
pub struct Arguments {
    /// How long. The first quarter is not measured for growth: pools and buffers fill.
    #[arg(long, value_name = "MINUTES", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=10_080))]
    minutes: u32,
    /// Sales per second, whatever the answers.
    #[arg(long, value_name = "N", default_value_t = 500,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Keep what each service took at each look in this file, a line of JSON for each: see docs/soak.md.
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Carries the command out; true if every verdict holds.
///
/// # Errors
/// A program or a server is missing or does not start, or a signal came first.
pub async fn run(arguments: Arguments, shutdown: &Shutdown) -> Result<bool> {
    let report =
        written(report(&arguments), arguments.json, Report::to_json, Report::print, shutdown).await?;
    Ok(report.holds())
}

async fn report(arguments: &Arguments) -> Result<Report> {
    let begin = Instant::now();
    let kept = arguments
        .samples
        .as_ref()
        .map(|path| File::create(path).with_context(|| format!("make {}", path.display())));
    let kept = kept.transpose()?;
    output::note("starting the servers and the services");
    let field = Field::start().await?;
    let page = Page::open(field.dashboard()).await.context("open the page's stream of events")?;
    let total = Duration::from_secs(u64::from(arguments.minutes) * 60);
    let watch = Watch::start(field.pids()?, total, kept);
    let (mut loads, mut quarters) = (Vec::new(), Vec::new());
    for number in 1..=QUARTERS {
        let (load, quarter) = carry(&field, arguments.rate, total / QUARTERS, number).await?;
        output::note(format_args!("quarter {number} of {QUARTERS}: {quarter}"));
        loads.push(load);
        quarters.push(quarter);
    }
    let grown = watch.finish()?;
    let seen = page.close();
    output::note("proving the count");
    let proof = field.prove(&loads).await;
    Ok(Report { rate: arguments.rate, quarters, grown, page: seen, proof, took: begin.elapsed() })
}

/// One quarter's load to its end.
async fn carry(field: &Field, rate: u32, lasts: Duration, number: u32) -> Result<(Load, Quarter)> {
    let load = field.load(number, rate, lasts)?;
    load.finish(lasts + LATE_LIMIT).await?;
    let quarter = Quarter::of(&load.result()?);
    Ok((load, quarter))
}
