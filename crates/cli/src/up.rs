//! The whole system as something to keep: gateway, consumer and page in this process, Kafka and Valkey as its children, their
//! data in a folder that stays. With the weather, RabbitMQ and Redis, and the relay, writers and consumers that it needs.
//!
//! Invariant: whatever ended the one before, the next start goes on where it was: what was accepted is in the log's folder, and
//! how far it is counted in the store's. One process has the folder at a time.

mod keep;
mod probes;
mod theirs;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use blackfriday_broker::EventLog;
use blackfriday_broker::kafka::KafkaConfig;
use blackfriday_service::Shutdown;
use blackfriday_stack::{Folder, PortChoice, StackError};
use blackfriday_store::ValkeyConfig;
use blackfriday_terminal::failure::{FileError, Unavailable, Usage};
use blackfriday_terminal::file::replace;
use blackfriday_terminal::output;
use blackfriday_verify::create::{self as topics, Shape as TopicShape};

use self::probes::Probes;
use self::theirs::Theirs;
use crate::data_folder::data_folder;
use crate::pipeline::{
    Addresses, Environment, Path, Place, Places, Servers, Services, Shape, StoreKind, listen, paths,
};
use crate::{pipeline, usual};

/// Runs the whole system on this machine, with data that stays, until a signal.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  \
    blackfriday up\n  \
    blackfriday up --data /srv/blackfriday --gateway-listen 0.0.0.0:8080\n  \
    blackfriday up --weather\n  \
    blackfriday up --kafka-brokers kafka-1:9092,kafka-2:9092 --valkey-url redis://valkey:6379\n\n\
    Killed or stopped, it goes on where it was when it is started again. What it has no flag for, its\n\
    services take from their variables: docs/configuration.md. docs/up.md has a unit for systemd.\n\n\
    Exit code 0 if a signal ended it and everything drained, 1 if something did not drain, 64 for a wrong\n\
    setting, 69 if a server is missing, does not start or ends again and again, a port is taken, or another\n\
    process uses the folder.")]
pub struct Arguments {
    /// Where the servers keep their data; `blackfriday/up` in the user's data directory without it.
    #[arg(long, env = "BLACKFRIDAY_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Take weather reports, too, into Kafka and RabbitMQ at once, counted in Redis and Valkey.
    #[arg(long)]
    weather: bool,
    /// Where the gateway listens.
    #[arg(
        long,
        env = "BLACKFRIDAY_GATEWAY_LISTEN",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8080"
    )]
    gateway_listen: SocketAddr,
    /// Where the page is served.
    #[arg(
        long,
        env = "BLACKFRIDAY_DASHBOARD_LISTEN",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8090"
    )]
    dashboard_listen: SocketAddr,
    /// Where /livez, /readyz (200 while all is ready, else 503 with what is missing) and /metrics are served.
    #[arg(
        long,
        env = "BLACKFRIDAY_ADMIN_LISTEN",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9080"
    )]
    admin_listen: SocketAddr,
    /// Partitions of topic `ventas`, when it is made at the first start.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=64))]
    partitions: i32,
    /// Port of its Kafka on loopback.
    #[arg(long, value_name = "PORT", default_value_t = usual::KAFKA)]
    kafka_port: u16,
    /// Port of its Valkey on loopback.
    #[arg(long, value_name = "PORT", default_value_t = usual::VALKEY)]
    valkey_port: u16,
    /// Port of its RabbitMQ (the stream protocol) on loopback, with `--weather`.
    #[arg(long, value_name = "PORT", default_value_t = usual::RABBITMQ)]
    rabbitmq_port: u16,
    /// Port of its Redis on loopback, with `--weather`.
    #[arg(long, value_name = "PORT", default_value_t = usual::REDIS)]
    redis_port: u16,
    #[command(flatten)]
    kafka: Theirs<KafkaConfig>,
    #[command(flatten)]
    valkey: Theirs<ValkeyConfig>,
}

/// What runs. The services are dropped before what they lean on, and the folder is let go last.
struct System {
    probes: Probes,
    services: Services,
    servers: Servers,
    addresses: Addresses,
    folder: Folder,
}

pub(crate) async fn run(arguments: Arguments, shutdown: &Shutdown) -> Result<bool> {
    let started = Instant::now();
    let mut system = tokio::select! {
        system = System::start(&arguments) => system?,
        () = shutdown.begun() => {
            output::note("stopped before it was ready; the data stays");
            return Ok(true);
        }
    };
    system.tell(started);
    let kept = system.keep(shutdown).await;
    if kept.is_ok() {
        output::note("stopping: what is under way is finished first");
    }
    let drained = system.stop().await;
    kept?;
    drained
}

impl System {
    async fn start(arguments: &Arguments) -> Result<Self> {
        let data = arguments.data.clone().map_or_else(|| data_folder("up", "--data"), Ok)?;
        let folder = Folder::kept(&data)?;
        arguments.check_kind(&folder)?;
        output::note(format_args!("starting on the data in {}", folder.path().display()));
        // Before minutes are spent on servers.
        drop(arguments.listeners()?);
        let paths = arguments.paths();
        let servers = Servers::start(&paths, &arguments.places(&folder), arguments.theirs()).await;
        let servers = servers.map_err(|error| arguments.with_flag(error))?;
        make_topics(&servers, &paths, arguments.partitions).await?;
        let [gateway, dashboard, admin] = arguments.listeners()?;
        let shape = Shape {
            one_hop: !arguments.weather,
            environment: Environment::Read,
            gateway,
            dashboard,
            of_dashboard: Vec::new(),
            names: None,
        };
        let services = Services::start(&servers, &paths, shape)?;
        let addresses = Addresses::new(&servers, &services, &paths);
        let probes = Probes::serve(admin, &services);
        Ok(Self { probes, services, servers, addresses, folder })
    }

    /// What is there, and how others reach it.
    fn tell(&self, started: Instant) {
        let lines = self.addresses.lines();
        lines.into_iter().for_each(output::line);
        output::line(format_args!("  the data     {}", self.folder.path().display()));
        output::line("for blackfriday's other commands:");
        self.addresses.exports().for_each(output::line);
        output::note(format_args!("everything is started, after {:.1} s", started.elapsed().as_secs_f64()));
    }

    /// The services from front to back, then the servers under them; whether all drained.
    async fn stop(self) -> Result<bool> {
        let drained = self.services.stop().await;
        drop(self.probes);
        self.servers.stop().await?;
        output::note(format_args!(
            "everything is stopped; the data stays in {}",
            self.folder.path().display()
        ));
        Ok(drained)
    }
}

/// Those that are not there yet.
async fn make_topics(servers: &Servers, paths: &[Path], partitions: i32) -> Result<()> {
    for log in [EventLog::Kafka, EventLog::RabbitMq] {
        if paths.iter().any(|path| path.log == log) {
            let shape = TopicShape { partitions, ..TopicShape::default() };
            topics::make(&servers.log(log), &shape)
                .await
                .with_context(|| format!("topics of {}", log.title()))?;
        }
    }
    Ok(servers.settle().await?)
}

impl Arguments {
    fn paths(&self) -> Vec<Path> {
        paths(Some((EventLog::Kafka, StoreKind::Valkey)), self.weather)
    }

    /// Reports are counted from one log into one store or from two into two, and a store cannot change that.
    fn check_kind(&self, folder: &Folder) -> Result<()> {
        let (file, asked) = (folder.path().join("kind"), if self.weather { "with" } else { "without" });
        let begun = match std::fs::read_to_string(&file) {
            Ok(begun) => begun,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                replace(&file, asked)
                    .with_context(|| FileError(format!("cannot write {}", file.display())))?;
                return Ok(());
            }
            Err(error) => return Err(error).with_context(|| format!("read {}", file.display())),
        };
        if begun == asked {
            return Ok(());
        }
        let path = folder.path().display();
        Err(Usage(format!(
            "{path} was begun {begun} --weather: it goes on so, or --data names another folder"
        ))
        .into())
    }

    fn listeners(&self) -> Result<[tokio::net::TcpListener; 3]> {
        let gateway = listen("--gateway-listen", Some(self.gateway_listen), usual::GATEWAY)?;
        let dashboard = listen("--dashboard-listen", Some(self.dashboard_listen), usual::DASHBOARD)?;
        let admin = listen("--admin-listen", Some(self.admin_listen), usual::ADMIN)?;
        Ok([gateway, dashboard, admin])
    }

    fn theirs(&self) -> pipeline::Theirs {
        pipeline::Theirs { kafka: self.kafka.0.clone(), valkey: self.valkey.0.clone() }
    }

    fn places(&self, folder: &Folder) -> Places {
        let at =
            |name: &str, port| Place { folder: Some(folder.path().join(name)), port: PortChoice::Only(port) };
        Places {
            kafka: at("kafka", self.kafka_port),
            rabbitmq: at("rabbitmq", self.rabbitmq_port),
            valkey: at("valkey", self.valkey_port),
            redis: at("redis", self.redis_port),
        }
    }

    /// A port that is taken has a flag that names another one, and perhaps one that takes who is there.
    fn with_flag(&self, error: StackError) -> anyhow::Error {
        let StackError::PortTaken { port } = error else { return error.into() };
        let flags = [
            (self.kafka_port, "--kafka-port takes another, --kafka-brokers a Kafka that is there"),
            (self.valkey_port, "--valkey-port takes another, --valkey-url a Valkey that is there"),
            (self.rabbitmq_port, "--rabbitmq-port takes another"),
            (self.redis_port, "--redis-port takes another"),
        ];
        let hint = flags.into_iter().find_map(|(taken, hint)| (taken == port).then_some(hint));
        Unavailable(format!("{error}: {}", hint.unwrap_or_default())).into()
    }
}
