//! The whole pipeline on this machine: real Kafka and Valkey as child processes, all five services in this process, a flash
//! sale through the front door, and the proof of its count.

mod progress;
mod services;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_event::Category;
use blackfriday_stack::{Kafka, KafkaOptions, Valkey};
use blackfriday_workload::{Traffic, Workload};
use indicatif::HumanDuration;
use tokio::time::Instant;

use self::services::{Addresses, Services};
use crate::load::{Plan, Report};
use crate::output::{self, grouped};
use crate::receipts::Receipts;
use crate::{load, topics, verify};

/// How long counting may take after the sale's end.
const COUNT_LIMIT: Duration = Duration::from_secs(60);

/// Starts everything on this machine, sends a flash sale, proves the count, cleans up.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  blackfriday demo\n  blackfriday demo --sales 500000 --rate 10000 --keep"
)]
pub struct Arguments {
    /// Sales to send.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    sales: u64,
    /// Mean sales per second; the arrival curve is above and below it.
    #[arg(long, conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Length of the sale.
    #[arg(long, default_value = "20s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Leave everything running after the proof, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Seed of the traffic.
    #[arg(long)]
    seed: Option<u64>,
    /// Partitions of topic `ventas`.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=64))]
    partitions: i32,
    /// A student ID: its last digit chooses the category that the page opens on (0–2 Electronica, 3–5 Ropa, 6–7 Hogar,
    /// 8–9 Belleza).
    #[arg(long, value_parser = carnet)]
    carnet: Option<String>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<bool> {
    let work = work(arguments);
    tokio::pin!(work);
    tokio::select! {
        ended = &mut work => ended,
        interrupted = tokio::signal::ctrl_c() => {
            // Dropping the work stops every process that it started.
            interrupted.context("wait for Ctrl-C")?;
            output::line("stopped");
            Ok(true)
        }
    }
}

async fn work(arguments: Arguments) -> Result<bool> {
    let started = Instant::now();
    let step = progress::steps();
    step.set_message("starting Kafka and Valkey");
    // Compiled code for the broker: the demo is also where speed is measured.
    let options = KafkaOptions { for_load: true, ..KafkaOptions::default() };
    let (kafka, valkey) = tokio::try_join!(Kafka::start_with(options), Valkey::start())?;
    step.set_message("starting the services");
    let addresses = Addresses::new(&kafka, &valkey)?;
    topics::make(&addresses.kafka_config(), arguments.partitions, 1).await?;
    let services = Services::start(&addresses, arguments.carnet.as_deref()).await?;
    step.finish_and_clear();
    output::line(format!("everything runs, after {:.1} s", started.elapsed().as_secs_f64()));
    output::line(format!("  the page     http://{}/", addresses.dashboard));
    output::line(format!("  the gateway  http://{}/venta", addresses.gateway));

    let folder = tempfile::tempdir().context("make a folder for the receipts")?;
    let receipts = folder.path().join("demo.receipts");
    let report = flash_sale(&arguments, &addresses, &services, receipts.clone()).await?;
    report.print();
    let mut told = Receipts::default();
    told.read(&receipts)?;
    told.weather = services.send_weather(&addresses).await?;
    let mut proof = verify::prove(&addresses.kafka_config(), &services.store(), told, COUNT_LIMIT).await?;
    proof.only_these = true;
    proof.print(20);
    let holds = proof.holds() && report.accepted() > 0;
    if arguments.keep {
        addresses.explain(&receipts);
        tokio::signal::ctrl_c().await.context("wait for Ctrl-C")?;
    }
    services.stop().await;
    output::line(format!("cleaned up, after {}", HumanDuration(started.elapsed())));
    Ok(holds)
}

async fn flash_sale(
    arguments: &Arguments,
    addresses: &Addresses,
    services: &Services,
    receipts: std::path::PathBuf,
) -> Result<Report> {
    let length = match arguments.rate {
        #[expect(clippy::cast_precision_loss, reason = "a length for people")]
        Some(rate) => Duration::from_secs_f64(arguments.sales as f64 / rate as f64),
        None => arguments.duration,
    };
    let traffic = Traffic::new(Workload::black_friday(), arguments.seed);
    let (title, seed) = (traffic.workload().title.clone(), traffic.seed());
    output::line(format!(
        "{title}: {} sales in {:.0} s, seed {seed}",
        grouped(arguments.sales),
        length.as_secs_f64()
    ));
    let plan = Arc::new(Plan::flash_sale(addresses.gateway, traffic, arguments.sales, length, receipts));
    let bars = progress::bars(arguments.sales, Arc::clone(&plan.accepted), services.store());
    let report = load::send(plan).await;
    bars.finish().await;
    report
}

fn carnet(text: &str) -> Result<String, String> {
    match Category::of_student_id(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("must end in a digit".to_owned()),
    }
}
