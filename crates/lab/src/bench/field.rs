use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_broker::{Admin, EventLog, LogConfig, TopicSpec};
use blackfriday_stack::{
    Kafka, KafkaOptions, Process, RabbitMq, RabbitMqOptions, Valkey, ValkeyKind, ValkeyOptions, eventually,
    free_port,
};
use blackfriday_verify::create::{self, Shape};

use super::part::TOPIC;
use super::usage::Watched;
use crate::processes::Processes;
use crate::service::Service;

const START_LIMIT: Duration = Duration::from_secs(60);
const COUNT_LIMIT: Duration = Duration::from_secs(120);
/// The log's heap: enough that its collector is not what is measured.
const KAFKA_HEAP_MIB: u32 = 1024;

/// The servers, every service, and what they are held against; each a process.
pub(super) struct Field {
    pub(super) processes: Processes,
    pub(super) log: Server,
    pub(super) store: Valkey,
    handler: (SocketAddr, Process),
    peer: Option<(SocketAddr, Process)>,
    scratch: tempfile::TempDir,
}

/// The log's server.
pub(super) enum Server {
    Kafka(Box<Kafka>),
    RabbitMq(Box<RabbitMq>),
}

/// What runs.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) log: EventLog,
    pub(super) store: ValkeyKind,
    pub(super) partitions: i32,
    pub(super) peer: Option<String>,
}

impl Field {
    /// Starts everything, and waits until it serves.
    pub(super) async fn start(setup: &Setup) -> Result<Self> {
        let store = ValkeyOptions { kind: setup.store, ..ValkeyOptions::default() };
        let (log, store) =
            tokio::try_join!(Server::start(setup.log), async { Ok(Valkey::start_with(store).await?) })?;
        create::make(&log.config(), &Shape { partitions: setup.partitions, ..Shape::default() }).await?;
        let own = TopicSpec {
            name: TOPIC.to_owned(),
            partitions: setup.partitions,
            replication: 1,
            ..TopicSpec::default()
        };
        Admin::new(&log.config())?.create_topics(&[own]).await?;
        let scratch = tempfile::tempdir().context("make a folder")?;
        let handler = handler(&scratch)?;
        let peer = setup.peer.as_deref().map(|command| peer(command, &log, &scratch)).transpose()?;
        let processes = services(&log, store.url())?;
        let mut field = Self { processes, log, store, handler, peer, scratch };
        field.processes.start_all().await?;
        for (address, process) in std::iter::once(&field.handler).chain(&field.peer) {
            let listens = async || tokio::net::TcpStream::connect(address).await.is_ok();
            let listening = eventually(START_LIMIT, listens).await;
            listening.with_context(|| format!("it does not listen: {}", process.log_tail()))?;
        }
        Ok(field)
    }

    pub(super) fn handler(&self) -> SocketAddr {
        self.handler.0
    }

    pub(super) fn peer(&self) -> Result<SocketAddr> {
        self.peer.as_ref().map(|(address, _)| *address).context("no --peer")
    }

    /// Every process whose time is told, this one as the client.
    pub(super) fn watched(&self) -> Result<Watched> {
        let mut watched = Watched::default();
        watched.add_self("client");
        watched.add("log", self.log.pid().context("the log runs")?);
        watched.add("store", self.store.pid().context("the store runs")?);
        for service in self.processes.services() {
            watched.add(service.short_name(), self.processes.pid(*service)?);
        }
        watched.add("handler", self.handler.1.pid());
        if let Some((_, peer)) = &self.peer {
            watched.add("peer", peer.pid());
        }
        Ok(watched)
    }

    /// Sales that the store has counted.
    pub(super) async fn counted(&self) -> Result<u64> {
        let counts = self.store.command(&["HVALS", "reportes:total"]).await?;
        counts.lines().map(|line| line.parse::<u64>().context("a count")).sum()
    }

    /// Waits until so many are counted, and no more.
    pub(super) async fn until_counted(&self, sales: u64) -> Result<()> {
        let are_there = async || self.counted().await.is_ok_and(|counted| counted >= sales);
        let reached = eventually(COUNT_LIMIT, are_there).await;
        let counted = self.counted().await?;
        reached.with_context(|| format!("{counted} of {sales} accepted sales were counted"))?;
        ensure!(counted == sales, "{sales} sales were accepted, and {counted} counted");
        Ok(())
    }

    /// Runs a bare part of this program to its end; what it says.
    pub(super) async fn part(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let mut command = tokio::process::Command::new(std::env::current_exe()?);
        command.arg("bench-part").args(arguments).kill_on_drop(true);
        let output = command.output().await.context("run a part")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("a part tells JSON")
    }

    /// What every service has logged.
    pub(super) fn logs(&self) -> String {
        let logs = self.processes.services().iter().map(|service| self.processes.log(*service));
        logs.chain([std::fs::read_to_string(self.scratch.path().join("peer.log")).unwrap_or_default()])
            .collect()
    }
}

impl Server {
    async fn start(log: EventLog) -> Result<Self> {
        Ok(match log {
            EventLog::Kafka => {
                let options =
                    KafkaOptions { for_load: true, heap_mib: KAFKA_HEAP_MIB, ..KafkaOptions::default() };
                Self::Kafka(Box::new(Kafka::start_with(options).await?))
            }
            EventLog::RabbitMq => {
                let options = RabbitMqOptions { for_load: true, ..RabbitMqOptions::default() };
                Self::RabbitMq(Box::new(RabbitMq::start_with(options).await?))
            }
        })
    }

    pub(super) fn config(&self) -> LogConfig {
        match self {
            Self::Kafka(kafka) => LogConfig::kafka_at(kafka.bootstrap()),
            Self::RabbitMq(rabbitmq) => LogConfig::rabbitmq_at(rabbitmq.address()),
        }
    }

    /// Kafka's bootstrap servers.
    pub(super) fn brokers(&self) -> Option<&str> {
        match self {
            Self::Kafka(kafka) => Some(kafka.bootstrap()),
            Self::RabbitMq(_) => None,
        }
    }

    fn pid(&self) -> Option<u32> {
        match self {
            Self::Kafka(kafka) => kafka.pid(),
            Self::RabbitMq(rabbitmq) => rabbitmq.pid(),
        }
    }

    fn environment(&self) -> (&'static str, String) {
        match self {
            Self::Kafka(kafka) => ("BLACKFRIDAY_KAFKA_BROKERS", kafka.bootstrap().to_owned()),
            Self::RabbitMq(rabbitmq) => ("BLACKFRIDAY_RABBITMQ_SERVERS", rabbitmq.address()),
        }
    }
}

/// Every service with its defaults: a gateway for each way, and behind them the same relay and writers.
fn services(log: &Server, store: &str) -> Result<Processes> {
    let all = &Service::WAYS;
    let mut processes = Processes::new(all)?;
    let (name, value) = log.environment();
    processes.set(all, name, &value);
    processes.set(all, "BLACKFRIDAY_EVENT_LOG", log.config().log.name());
    processes.set(all, "BLACKFRIDAY_VALKEY_URL", store);
    let writers = [Service::WriterA, Service::WriterB].map(|writer| processes.address(writer).to_string());
    let to_writers = [Service::Relay, Service::WriterGateway];
    processes.set(&to_writers, "BLACKFRIDAY_WRITER_TARGET", &writers.join(","));
    processes.set(&[Service::Relay], "BLACKFRIDAY_RELAY_TRUST_HOPS", "true");
    let relay = format!("http://{}", processes.address(Service::Relay));
    processes.set(&[Service::Gateway], "BLACKFRIDAY_RELAY_URL", &relay);
    processes.set(&[Service::WriterGateway], "BLACKFRIDAY_GATEWAY_UPSTREAM", "writer");
    processes.set(&[Service::LogGateway], "BLACKFRIDAY_GATEWAY_UPSTREAM", "log");
    Ok(processes)
}

fn handler(scratch: &tempfile::TempDir) -> Result<(SocketAddr, Process)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench-part", "handler", &address.to_string()]);
    Ok((address, Process::spawn(command, scratch.path().join("handler.log"))?))
}

/// Somebody's gateway: what it needs to know is in its environment.
fn peer(text: &str, log: &Server, scratch: &tempfile::TempDir) -> Result<(SocketAddr, Process)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let mut command = Command::new("sh");
    command.args(["-c", text]).env("PORT", address.port().to_string()).env("TOPIC", TOPIC);
    command.env("KAFKA_BROKERS", log.brokers().context("a peer writes into Kafka")?);
    Ok((address, Process::spawn(command, scratch.path().join("peer.log"))?))
}
