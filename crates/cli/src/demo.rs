//! The whole pipeline on this machine: real logs and stores as child processes, all services in this process, a flash sale and
//! the weather through the front door, and the proof of their counts.
//!
//! Sales take one way, of a log and a store that one may choose; weather takes two at once. Invariant: however it ends, by
//! itself, by an error or by a signal, nothing that it started goes on running.

mod configured;
mod path;
mod progress;
mod proofs;
mod servers;
mod services;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_broker::EventLog;
use blackfriday_dashboard::{Currency, category_of_student_id};
use blackfriday_load::{Plan, Report, SourceArguments};
use blackfriday_service::Shutdown;
use blackfriday_terminal::failure::Interrupted;
use blackfriday_terminal::output::{self, grouped};
use blackfriday_verify::create::{self as topics, Shape};
use blackfriday_workload::{Traffic, Workload};
use tempfile::TempDir;

use self::path::{Events, Path, StoreKind, paths};
use self::proofs::Proofs;
use self::servers::Servers;
use self::services::{Page, Services};

/// Starts everything on this machine, sends a flash sale and the weather, proves the counts, cleans up.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday demo\n  \
    blackfriday demo --sales 500000 --rate 10000 --keep\n  \
    blackfriday demo --sales-only --log rabbitmq\n  \
    blackfriday demo --sales-only --one-hop\n  \
    blackfriday demo --sales-only --store redis\n  \
    blackfriday demo --weather-only --reports 20000\n\n\
    Exit code 0 if accepted = in the log = counted on every way, 1 if not, 69 if a server is missing or does not start,\n\
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
    /// Weather reports to send meanwhile, each to both logs.
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..))]
    reports: u64,
    /// Send no weather: only what sales need is started.
    #[arg(long, conflicts_with_all = ["weather_only", "reports"])]
    sales_only: bool,
    /// Let the gateway write into the log itself, without relay and writers.
    #[arg(long, requires = "sales_only")]
    one_hop: bool,
    /// Send no sales.
    #[arg(long, conflicts_with_all = ["sales", "rate", "log", "store"])]
    weather_only: bool,
    /// The log of sales. Weather takes both.
    #[arg(long, value_enum, default_value_t = EventLog::Kafka)]
    log: EventLog,
    /// The store of sales. Weather is counted in both: Kafka's in Redis, RabbitMQ's in Valkey.
    #[arg(long, value_enum, default_value_t = StoreKind::Valkey)]
    store: StoreKind,
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
    /// The currency of all amounts on the page, an ISO 4217 code such as GTQ; without it they have no unit.
    #[arg(long, value_name = "CODE")]
    currency: Option<Currency>,
    #[command(flatten)]
    source: SourceArguments,
}

/// What runs. The services are dropped before what they lean on.
struct Demo {
    services: Services,
    servers: Servers,
    paths: Vec<Path>,
    folder: TempDir,
}

pub(crate) async fn run(arguments: Arguments, shutdown: &Shutdown) -> Result<bool> {
    let started = Instant::now();
    let workload = unless(shutdown, arguments.source.read()).await?;
    let mut demo = unless(shutdown, Demo::start(&arguments, &workload)).await?;
    output::line(format_args!("everything runs, after {:.1} s", started.elapsed().as_secs_f64()));
    output::line(format_args!("  the page     http://{}/", demo.services.dashboard));
    for route in demo.routes() {
        output::line(format_args!("  the gateway  http://{}{route}", demo.services.gateway));
    }
    let mut holds = unless(shutdown, demo.load_and_prove(&arguments, workload)).await?;
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

/// A signal drops all of this: the load needs no way of its own to be stopped.
async fn send(plan: Option<Arc<Plan>>) -> Result<Option<Report>> {
    match plan {
        Some(plan) => blackfriday_load::send(plan, &Shutdown::new()).await.map(Some),
        None => Ok(None),
    }
}

impl Demo {
    async fn start(arguments: &Arguments, workload: &Workload) -> Result<Self> {
        let step = progress::steps();
        step.set_message("starting the logs and the stores");
        let paths = arguments.paths();
        let servers = Servers::start(&paths).await?;
        step.set_message("starting the services");
        for log in [EventLog::Kafka, EventLog::RabbitMq] {
            if paths.iter().any(|path| path.log == log) {
                let shape = Shape { partitions: arguments.partitions, ..Shape::default() };
                topics::make(&servers.log(log)?, &shape).await?;
            }
        }
        let (carnet, currency) = (arguments.carnet.as_deref(), arguments.currency.as_ref());
        let page = Page { carnet, currency, workload };
        let services = Services::start(&servers, &paths, arguments.one_hop, &page).await?;
        step.finish_and_clear();
        let folder = tempfile::tempdir().context("make a folder for the receipts")?;
        Ok(Self { services, servers, paths, folder })
    }

    async fn load_and_prove(&self, arguments: &Arguments, workload: Workload) -> Result<bool> {
        let reports = self.load(arguments, workload).await?;
        reports.iter().for_each(Report::print);
        let receipts: Vec<_> = self.sent().map(|events| self.receipts(events)).collect();
        let receipts: Vec<_> = receipts.iter().map(PathBuf::as_path).collect();
        let proofs = Proofs::read(&self.servers, &self.paths, &receipts).await?;
        proofs.print();
        Ok(proofs.hold() && reports.iter().all(|report| report.accepted() > 0))
    }

    /// Sends sales and weather at once.
    async fn load(&self, arguments: &Arguments, workload: Workload) -> Result<Vec<Report>> {
        let traffic = Traffic::new(workload, arguments.seed);
        self.announce(arguments, &traffic);
        let sales = self.plan(Events::Sales, arguments, &traffic);
        let weather = self.plan(Events::Weather, arguments, &traffic);
        let first = sales.as_ref().or(weather.as_ref()).context("sales or weather")?;
        let progress = self.follow(arguments, first)?;
        let (sales, weather) = tokio::try_join!(send(sales), send(weather))?;
        progress.finish().await;
        Ok(sales.into_iter().chain(weather).collect())
    }

    fn plan(&self, events: Events, arguments: &Arguments, traffic: &Traffic) -> Option<Arc<Plan>> {
        self.paths.iter().find(|path| path.events == events)?;
        let (gateway, length, receipts) = (self.services.gateway, arguments.length(), self.receipts(events));
        Some(Arc::new(match events {
            Events::Sales => Plan::flash_sale(gateway, traffic.clone(), arguments.sales, length, receipts),
            Events::Weather => Plan::weather(gateway, traffic.clone(), arguments.reports, length, receipts),
        }))
    }

    fn announce(&self, arguments: &Arguments, traffic: &Traffic) {
        let length = arguments.length().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let peak = arguments.sales as f64 / length * traffic.workload().arrivals.peak();
        let what: Vec<_> = self
            .sent()
            .map(|events| match events {
                Events::Sales => {
                    format!(
                        "{} sales in {length:.0} s, at its peak {peak:.0} per second",
                        grouped(arguments.sales)
                    )
                }
                Events::Weather => format!("{} weather reports in {length:.0} s", grouped(arguments.reports)),
            })
            .collect();
        let (title, seed) = (&traffic.workload().title, traffic.seed());
        output::line(format_args!("{title}: {}, seed {seed}", what.join(", and ")));
    }

    /// Follows what is sent first on its first way.
    fn follow(&self, arguments: &Arguments, plan: &Plan) -> Result<progress::Progress> {
        let first = self.paths[0];
        let number = match first.events {
            Events::Sales => arguments.sales,
            Events::Weather => arguments.reports,
        };
        let accepted = Arc::clone(&plan.accepted);
        Ok(progress::follow(first.events, number, accepted, self.servers.store(first.store)?))
    }

    /// What is sent.
    fn sent(&self) -> impl Iterator<Item = Events> {
        let has = |events| self.paths.iter().any(|path| path.events == events);
        [Events::Sales, Events::Weather].into_iter().filter(move |events| has(*events))
    }

    fn routes(&self) -> Vec<&'static str> {
        let route = |events| match events {
            Events::Sales => "/venta",
            Events::Weather => "/input",
        };
        self.sent().map(route).collect()
    }

    fn receipts(&self, events: Events) -> PathBuf {
        self.folder.path().join(format!("{}.receipts", events.topics()))
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
        let Services { gateway, dashboard, .. } = &self.services;
        let mut lines = vec![
            "everything goes on running until Ctrl-C. Try:".to_owned(),
            format!("  open http://{dashboard}/"),
        ];
        for events in self.sent() {
            let (route, body) = match events {
                Events::Sales => (
                    "venta",
                    r#"{"categoria":"Ropa","producto_id":"R-001","precio":89.99,"cantidad_vendida":1}"#,
                ),
                Events::Weather => {
                    ("input", r#"{"description":"Nubes bajas","country":"GT","weather":"Nublado"}"#)
                }
            };
            lines.push(format!("  curl -i http://{gateway}/{route} -H 'content-type: application/json' \\"));
            lines.push(format!("    -d '{body}'"));
            lines.push(format!(
                "  {me} load --url http://{gateway} --route {route} --rate 500 --duration 10s"
            ));
        }
        lines.extend(self.paths.iter().flat_map(|path| self.commands(&me, *path)));
        let first = self.paths[0];
        let url = self.servers.url(first.store);
        lines.push("and break it, then verify again:".to_owned());
        lines.push(match first.events {
            Events::Sales => format!("  valkey-cli -u {url} incr reportes:total:Ropa"),
            Events::Weather => format!("  valkey-cli -u {url} incr total_messages"),
        });
        lines.into_iter().for_each(output::line);
    }

    /// How to look at a path, and how to prove it.
    fn commands(&self, me: &str, path: Path) -> [String; 2] {
        let (topics, receipts) = (path.topics(), self.receipts(path.events));
        let log = self.servers.log_flags(path.log).join(" ");
        let store = self.servers.store_flags(path.store).join(" ");
        [
            format!("  {me} tail --topic {topics} --follow --from end {log}"),
            format!("  {me} verify --topics {topics} --receipts {} {log} {store}", receipts.display()),
        ]
    }
}

impl Arguments {
    fn paths(&self) -> Vec<Path> {
        paths((!self.weather_only).then_some((self.log, self.store)), !self.sales_only)
    }

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
