//! The whole pipeline on this machine: real Kafka and Valkey as child processes, all five services in this process, a flash
//! sale through the front door, and the proof of its count.
//!
//! Invariant: however it ends, by itself, by an error or by a signal, nothing that it started goes on running.

mod progress;
mod services;
mod weather;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_dashboard::category_of_student_id;
use blackfriday_load::{Plan, Report, SourceArguments};
use blackfriday_receipts::Receipts;
use blackfriday_service::Shutdown;
use blackfriday_stack::{Kafka, KafkaOptions, Valkey};
use blackfriday_terminal::failure::Interrupted;
use blackfriday_terminal::output::{self, grouped};
use blackfriday_verify::prove;
use blackfriday_workload::{Traffic, Workload};
use tempfile::TempDir;

use self::services::Services;
use crate::topics;

/// How long counting may take after the sale's end.
const COUNT_LIMIT: Duration = Duration::from_secs(60);
/// Differences of each kind that are shown.
const SHOWN: usize = 20;

/// Starts everything on this machine, sends a flash sale, proves the count, cleans up.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday demo\n  \
    blackfriday demo --sales 500000 --rate 10000 --keep\n\n\
    Exit code 0 if accepted = in the broker = counted, 1 if not, 69 if Kafka or Valkey is missing or does not start,\n\
    130 if a signal ended it before the proof.")]
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
    /// Seed of the traffic; the workload's own without it.
    #[arg(long)]
    seed: Option<u64>,
    /// Partitions of topic `ventas`.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=64))]
    partitions: i32,
    /// A student ID: its last digit chooses the category that the page opens on (0–2 Electronica, 3–5 Ropa, 6–7 Hogar,
    /// 8–9 Belleza).
    #[arg(long, value_parser = carnet)]
    carnet: Option<String>,
    #[command(flatten)]
    source: SourceArguments,
}

/// What runs. The services are dropped before what they lean on.
struct Demo {
    services: Services,
    kafka: Kafka,
    valkey: Valkey,
    folder: TempDir,
}

pub(crate) async fn run(arguments: Arguments, shutdown: &Shutdown) -> Result<bool> {
    let started = Instant::now();
    let workload = unless(shutdown, arguments.source.read()).await?;
    let mut demo = unless(shutdown, Demo::start(&arguments)).await?;
    output::line(format_args!("everything runs, after {:.1} s", started.elapsed().as_secs_f64()));
    output::line(format_args!("  the page     http://{}/", demo.services.dashboard));
    output::line(format_args!("  the gateway  http://{}/venta", demo.services.gateway));
    let mut holds = unless(shutdown, demo.sell_and_prove(&arguments, workload)).await?;
    if arguments.keep {
        demo.explain();
        holds &= demo.keep(shutdown).await;
    }
    demo.services.stop().await;
    output::line(format_args!(
        "{}, after {:.0} s; everything is stopped and removed",
        if holds { "ok" } else { "FAILED" },
        started.elapsed().as_secs_f64()
    ));
    Ok(holds)
}

/// Does the work unless a signal comes first. Dropping the work stops what it started.
async fn unless<T>(shutdown: &Shutdown, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        () = shutdown.begun() => Err(Interrupted.into()),
    }
}

impl Demo {
    async fn start(arguments: &Arguments) -> Result<Self> {
        let step = progress::steps();
        step.set_message("starting Kafka and Valkey");
        // Compiled code for the broker: the demo is also where speed is measured.
        let options = KafkaOptions { for_load: true, ..KafkaOptions::default() };
        let (kafka, valkey) = tokio::try_join!(Kafka::start_with(options), Valkey::start())?;
        step.set_message("starting the services");
        let services = Services::prepare(kafka.bootstrap(), valkey.url())?;
        topics::make(&services.kafka, arguments.partitions, 1).await?;
        let services = services.start(arguments.carnet.as_deref()).await?;
        step.finish_and_clear();
        let folder = tempfile::tempdir().context("make a folder for the receipts")?;
        Ok(Self { services, kafka, valkey, folder })
    }

    async fn sell_and_prove(&self, arguments: &Arguments, workload: Workload) -> Result<bool> {
        let report = self.sell(arguments, workload).await?;
        report.print();
        let mut receipts = Receipts::default();
        for path in self.receipts() {
            receipts.read(&path)?;
        }
        let mut proof = prove(&self.services.kafka, &self.services.store, receipts, COUNT_LIMIT).await?;
        proof.only_these = true;
        proof.print(SHOWN);
        Ok(proof.holds() && report.accepted() > 0)
    }

    async fn sell(&self, arguments: &Arguments, workload: Workload) -> Result<Report> {
        let [of_sales, of_weather] = self.receipts();
        let traffic = Traffic::new(workload, arguments.seed);
        let sales = arguments.sales;
        let length = arguments.length();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let peak = sales as f64 / length.as_secs_f64() * traffic.workload().arrivals.peak();
        output::line(format_args!(
            "{}: {} sales in {:.0} s, at its peak {peak:.0} per second, seed {}",
            traffic.workload().title,
            grouped(sales),
            length.as_secs_f64(),
            traffic.seed()
        ));
        weather::send(self.services.gateway, &traffic, &of_weather).await?;
        let plan = Arc::new(Plan::flash_sale(self.services.gateway, traffic, sales, length, of_sales));
        let progress = progress::follow(sales, Arc::clone(&plan.accepted), self.services.store.clone());
        // A signal drops all of this: the load needs no way of its own to be stopped.
        let report = blackfriday_load::send(plan, &Shutdown::new()).await;
        progress.finish().await;
        report
    }

    fn receipts(&self) -> [PathBuf; 2] {
        ["ventas.receipts", "clima.receipts"].map(|name| self.folder.path().join(name))
    }

    /// Keeps everything running until a signal comes, and tells at once of a service that ends; whether none did.
    async fn keep(&mut self, shutdown: &Shutdown) -> bool {
        let mut all_ran = true;
        loop {
            tokio::select! {
                () = shutdown.begun() => return all_ran,
                error = self.services.failed() => output::note(format_args!("{error:#}")),
            }
            all_ran = false;
        }
    }

    /// What to try while everything runs.
    fn explain(&self) {
        let me = std::env::args().next().unwrap_or_else(|| "blackfriday".to_owned());
        let (kafka, valkey) = (self.kafka.bootstrap(), self.valkey.url());
        let Services { gateway, dashboard, .. } = &self.services;
        let receipts = self.receipts().map(|path| format!("--receipts {}", path.display())).join(" ");
        let clients = format!("--kafka-brokers {kafka} --valkey-url {valkey}");
        for line in [
            "everything goes on running until Ctrl-C. Try:".to_owned(),
            format!("  open http://{dashboard}/"),
            format!("  curl -i http://{gateway}/venta -H 'content-type: application/json' \\"),
            r#"    -d '{"categoria":"Ropa","producto_id":"R-001","precio":89.99,"cantidad_vendida":1}'"#
                .to_owned(),
            format!("  {me} load --url http://{gateway} --rate 1000 --duration 10s"),
            format!("  {me} tail --follow --from end --kafka-brokers {kafka}"),
            format!("  {me} verify {receipts} {clients}"),
            "and break it, then verify again:".to_owned(),
            format!("  valkey-cli -u {valkey} incr reportes:total:Ropa"),
        ] {
            output::line(line);
        }
    }
}

impl Arguments {
    #[expect(clippy::cast_precision_loss, reason = "a length need not be exact beyond 2^53 sales")]
    fn length(&self) -> Duration {
        let at_rate = |rate: u64| Duration::from_secs_f64(self.sales as f64 / rate as f64);
        self.rate.map_or(self.duration, at_rate)
    }
}

fn carnet(text: &str) -> Result<String, String> {
    match category_of_student_id(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("must end in a digit".to_owned()),
    }
}
