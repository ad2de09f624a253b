//! The whole pipeline on this machine: real logs and stores as child processes, all services in this process, a flash sale and
//! the weather through the front door, and the proof of their counts.
//!
//! Sales take one way, of a log and a store that one may choose; weather takes two at once. Invariant: however it ends, by
//! itself, by an error or by a signal, nothing that it started goes on running.

mod arguments;
mod guide;
mod progress;
mod proofs;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_broker::EventLog;
use blackfriday_load::{Plan, Report};
use blackfriday_service::Shutdown;
use blackfriday_terminal::failure::Interrupted;
use blackfriday_terminal::output::{self, count, rounded};
use blackfriday_terminal::progress::{Following, Steps};
use blackfriday_verify::create::{self as topics, Shape as TopicShape};
use blackfriday_workload::{Traffic, Workload};
use serde_json::json;
use tempfile::TempDir;

pub(crate) use self::arguments::Arguments;
use self::arguments::usual_places;
use self::guide::Guide;
use self::proofs::Proofs;
use crate::pipeline::{Addresses, Events, Path, Servers, Services, Theirs};

/// How long the services may take.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// What runs. The services are dropped before what they lean on.
struct Demo {
    services: Services,
    servers: Servers,
    addresses: Addresses,
    paths: Vec<Path>,
    folder: TempDir,
}

pub(crate) async fn run(arguments: Arguments, shutdown: &Shutdown) -> Result<bool> {
    let started = Instant::now();
    let workload = unless(shutdown, arguments.source.read()).await?;
    let mut demo = match unless(shutdown, Demo::start(&arguments, &workload)).await {
        Ok(demo) => demo,
        Err(error) => return Err(told(error)),
    };
    let say: fn(String) = if arguments.json { output::note } else { output::line };
    say(format!("everything runs, after {:.1} s", started.elapsed().as_secs_f64()));
    demo.addresses.lines().into_iter().for_each(say);
    let shown = demo.show(&arguments, workload, shutdown).await;
    // Also after a signal: nobody is to complain that a server is away which goes with it.
    let Demo { services, servers, folder, .. } = demo;
    services.stop().await;
    drop((servers, folder));
    let (holds, seconds) = (shown.map_err(told)?, started.elapsed().as_secs_f64());
    let verdict = if arguments.json {
        // Said on standard error, which may have colours where standard output has none.
        (if holds { "ok" } else { "FAILED" }).to_owned()
    } else {
        output::verdict(holds, "ok", "FAILED")
    };
    say(format!("{verdict}, after {seconds:.0} s; everything is stopped and removed"));
    Ok(holds)
}

/// A signal has its own word, before the error's.
fn told(error: anyhow::Error) -> anyhow::Error {
    if error.is::<Interrupted>() {
        output::note("no proof was made; everything is stopped and removed");
    }
    error
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
        let step = Steps::new("starting the logs and the stores");
        let paths = arguments.paths();
        let shape = arguments.shape(workload)?;
        let servers = Servers::start(&paths, &usual_places(), Theirs::default()).await?;
        step.next("starting the services");
        for log in [EventLog::Kafka, EventLog::RabbitMq] {
            if paths.iter().any(|path| path.log == log) {
                let topics = TopicShape { partitions: arguments.partitions, ..TopicShape::default() };
                topics::make(&servers.log(log), &topics).await?;
            }
        }
        let mut services = Services::start(&servers, &paths, shape)?;
        services.wait_ready(READY_LIMIT).await?;
        let folder = tempfile::tempdir().context("make a folder for the receipts")?;
        let addresses = Addresses::new(&servers, &services, &paths);
        Ok(Self { services, servers, addresses, paths, folder })
    }

    /// The load, its proof, and what comes after it; whether all went well.
    async fn show(&mut self, arguments: &Arguments, workload: Workload, shutdown: &Shutdown) -> Result<bool> {
        if arguments.open {
            self.addresses.open();
        }
        let holds = unless(shutdown, self.load_and_prove(arguments, workload)).await?;
        if !arguments.keep {
            return Ok(holds);
        }
        let (servers, addresses, paths) = (&self.servers, &self.addresses, &self.paths[..]);
        let guide = Guide { servers, addresses, paths, receipts: self.folder.path() };
        guide.lines().into_iter().for_each(output::line);
        Ok(self.keep(shutdown).await && holds)
    }

    async fn load_and_prove(&self, arguments: &Arguments, workload: Workload) -> Result<bool> {
        let reports = self.load(arguments, workload).await?;
        if !arguments.json {
            reports.iter().for_each(Report::print);
        }
        let receipts: Vec<_> = self.sent().map(|events| self.receipts(events)).collect();
        let receipts: Vec<_> = receipts.iter().map(PathBuf::as_path).collect();
        let proofs = Proofs::read(&self.servers, &self.paths, &receipts).await?;
        let holds = proofs.hold() && reports.iter().all(|report| report.accepted() > 0);
        if arguments.json {
            let loads: Vec<_> = reports.iter().map(Report::to_json).collect();
            output::line(json!({"holds": holds, "loads": loads, "proofs": proofs.to_json()}));
        } else {
            proofs.print();
        }
        Ok(holds)
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
        drop(progress);
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
                    let (sales, peak) = (count(arguments.sales, "sale", "sales"), rounded(peak));
                    format!("{sales} in {length:.0} s, at its peak {peak} per second")
                }
                Events::Weather => {
                    let reports = count(arguments.reports, "weather report", "weather reports");
                    format!("{reports} in {length:.0} s")
                }
            })
            .collect();
        let (title, seed) = (&traffic.workload().title, traffic.seed());
        let told = format!("{title}: {}, seed {seed}", what.join(", and "));
        if arguments.json { output::note(told) } else { output::prose(told) }
    }

    /// Follows what is sent first on its first way.
    fn follow(&self, arguments: &Arguments, plan: &Plan) -> Result<Following> {
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
}
