//! What a demo can be asked for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use blackfriday_broker::EventLog;
use blackfriday_dashboard::{Currency, category_of_student_id};
use blackfriday_load::SourceArguments;
use blackfriday_service::positive;
use blackfriday_stack::PortChoice;
use blackfriday_workload::{Source, Workload};

use crate::pipeline::{Environment, Path, Place, Places, Shape, StoreKind, listen, paths};
use crate::usual;

/// Starts everything on this machine, sends a flash sale and the weather, proves the counts, cleans up.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday demo\n  \
    blackfriday demo --sales 500000 --rate 10000 --keep\n  \
    blackfriday demo --sales-only --log rabbitmq\n  \
    blackfriday demo --sales-only --one-hop\n  \
    blackfriday demo --sales-only --store redis\n  \
    blackfriday demo --weather-only --reports 20000\n\n\
    It takes the usual ports (8080, 8090, 9092, 6379, 5552, 6380) where they are free, and others where not.\n\
    Exit code 0 if on every way each accepted event is in the log and counted once, and nothing else but events of unknown\n\
    outcome; 1 if not, 69 if a server is missing or does not start,\n\
    130 if a signal ended it before the proof.")]
pub struct Arguments {
    /// Sales to send.
    #[arg(long, value_name = "N", default_value_t = 100_000,
          value_parser = positive::<u64>)]
    pub(super) sales: u64,
    /// Mean sales per second; the arrival curve is above and below it.
    #[arg(long, value_name = "N", conflicts_with = "duration",
          value_parser = positive::<u64>)]
    pub(super) rate: Option<u64>,
    /// Length of the sale.
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = humantime::parse_duration)]
    pub(super) duration: Duration,
    /// Weather reports to send meanwhile, each to both logs.
    #[arg(long, value_name = "N", default_value_t = 3_000,
          value_parser = positive::<u64>)]
    pub(super) reports: u64,
    /// Send no weather: only what sales need is started.
    #[arg(long, conflicts_with_all = ["weather_only", "reports"])]
    pub(super) sales_only: bool,
    /// Let the gateway write into the log itself, without relay and writers.
    #[arg(long, requires = "sales_only")]
    pub(super) one_hop: bool,
    /// Send no sales.
    #[arg(long, conflicts_with_all = ["sales", "rate", "log", "store"])]
    pub(super) weather_only: bool,
    /// The log of sales. Weather takes both.
    #[arg(long, value_name = "LOG", value_enum, default_value_t = EventLog::Kafka)]
    pub(super) log: EventLog,
    /// The store of sales. Weather is counted in both: Kafka's in Redis, RabbitMQ's in Valkey.
    #[arg(long, value_name = "STORE", value_enum, default_value_t = StoreKind::Valkey)]
    pub(super) store: StoreKind,
    /// Leave everything running after the proof, until Ctrl-C.
    #[arg(long)]
    pub(super) keep: bool,
    /// Seed of the traffic; the workload's own without it.
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Partitions of topic `ventas`.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=64))]
    pub(super) partitions: i32,
    /// A student ID: its last digit chooses the category that the page opens on (0–2 Electronica, 3–5 Ropa, 6–7 Hogar,
    /// 8–9 Belleza).
    #[arg(long, value_name = "ID", value_parser = carnet)]
    pub(super) carnet: Option<String>,
    /// The currency of all amounts on the page, an ISO 4217 code such as GTQ; without it they have no unit.
    #[arg(long, value_name = "CODE")]
    pub(super) currency: Option<Currency>,
    /// Where the gateway listens; 127.0.0.1:8080 if that is free, without it.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) gateway_listen: Option<SocketAddr>,
    /// Where the page is served; 127.0.0.1:8090 if that is free, without it.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) dashboard_listen: Option<SocketAddr>,
    /// Open the page in a browser.
    #[arg(long)]
    pub(super) open: bool,
    /// Print the result as JSON, and the way there on standard error.
    #[arg(long, conflicts_with = "keep")]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) source: SourceArguments,
}

impl Arguments {
    pub(super) fn paths(&self) -> Vec<Path> {
        paths((!self.weather_only).then_some((self.log, self.store)), !self.sales_only)
    }

    /// What the services are to be, with the ports that they serve. The page names the products of the workload.
    pub(super) fn shape(&self, workload: &Workload) -> Result<Shape> {
        let given = [
            ("--carnet", self.carnet.clone()),
            ("--currency", self.currency.as_ref().map(Currency::to_string)),
        ];
        let given = given.into_iter().filter_map(|(flag, value)| Some(format!("{flag}={}", value?)));
        Ok(Shape {
            one_hop: self.one_hop,
            environment: Environment::Ignored,
            gateway: listen("--gateway-listen", self.gateway_listen, usual::GATEWAY)?,
            dashboard: listen("--dashboard-listen", self.dashboard_listen, usual::DASHBOARD)?,
            of_dashboard: given.collect(),
            names: Some(Source::Read(Arc::new(workload.clone()))),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "a length need not be exact beyond 2^53 sales")]
    pub(super) fn length(&self) -> Duration {
        let at_rate = |rate: u64| Duration::from_secs_f64(self.sales as f64 / rate as f64);
        self.rate.map_or(self.duration, at_rate)
    }
}

/// Where other commands look first, unless something else is there.
pub(super) fn usual_places() -> Places {
    let at = |port| Place { folder: None, port: PortChoice::Rather(port) };
    Places {
        kafka: at(usual::KAFKA),
        rabbitmq: at(usual::RABBITMQ),
        valkey: at(usual::VALKEY),
        redis: at(usual::REDIS),
    }
}

fn carnet(text: &str) -> Result<String, String> {
    match category_of_student_id(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("must end in a digit".to_owned()),
    }
}
