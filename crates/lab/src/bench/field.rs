//! What a bench runs: the servers, every service, and the bare parts next to them, each a process.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_broker::{Admin, EventLog, TopicSpec};
use blackfriday_stack::{
    Process, Valkey, ValkeyGroup, ValkeyGroupOptions, ValkeyKind, ValkeyOptions, eventually, free_port,
};
use blackfriday_verify::create::{self, Shape};

use super::part::TOPIC;
use super::server::Server;
use super::usage::Watched;
use crate::processes::Processes;
use crate::service::Service;

const START_LIMIT: Duration = Duration::from_secs(60);
const COUNT_LIMIT: Duration = Duration::from_secs(120);
/// The peer's topic, and the database that it may count in: none but its own sales are in them.
const PEER_TOPIC: &str = "bench-peer";
const PEER_DATABASE: u8 = 1;
/// As the manifests have it.
const DOWN_AFTER: Duration = Duration::from_secs(5);

/// The servers, every service, and what they are held against; each a process.
pub(crate) struct Field {
    pub(crate) processes: Processes,
    pub(crate) log: Server,
    /// Where it is counted.
    pub(crate) store: Arc<Valkey>,
    /// The store's replica and Sentinels.
    group: Option<ValkeyGroup>,
    writers: &'static [Service],
    consumers: &'static [Service],
    reader: Option<Service>,
    acks: Acks,
    handler: (SocketAddr, Process),
    peer: Option<(SocketAddr, Process)>,
    scratch: tempfile::TempDir,
}

/// When Kafka acknowledges a bare producer's record; our services know one answer to that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Acks {
    /// As soon as every replica in sync has it.
    #[default]
    All,
    /// As soon as the leader has it.
    One,
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) log: EventLog,
    /// Brokers of Kafka; of three, two must have a record before it is acknowledged.
    pub(crate) brokers: usize,
    pub(crate) acks: Acks,
    pub(crate) store: ValkeyKind,
    /// Directives of the store.
    pub(crate) store_config: &'static [(&'static str, &'static str)],
    /// Whether the store has a replica and Sentinels.
    pub(crate) with_replica: bool,
    /// Whether the store, a Valkey with its own defaults, is in a virtual machine.
    pub(crate) in_machine: bool,
    pub(crate) partitions: i32,
    /// 1 to 4.
    pub(crate) writers: usize,
    /// Whether a dashboard serves the read API.
    pub(crate) with_api: bool,
    /// Variables of every service.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    pub(crate) peer: Option<String>,
    /// Two of the same but for this have servers of their own.
    pub(crate) apart: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            log: EventLog::Kafka,
            brokers: 1,
            acks: Acks::All,
            store: ValkeyKind::Valkey,
            store_config: &[],
            with_replica: false,
            in_machine: false,
            partitions: 6,
            writers: 2,
            with_api: false,
            environment: &[],
            peer: None,
            apart: "",
        }
    }
}

impl Field {
    /// Starts everything, and waits until it serves.
    pub(crate) async fn start(setup: &Setup) -> Result<Self> {
        let (log, store) = tokio::try_join!(Server::start(setup), store(setup))?;
        let (store, group) = store;
        let replication = i32::try_from(setup.brokers)?;
        let shape = Shape { partitions: setup.partitions, replication, ..Shape::default() };
        create::make(&log.config(), &shape).await?;
        let own = |name: &str| TopicSpec {
            name: name.to_owned(),
            partitions: setup.partitions,
            replication,
            ..TopicSpec::default()
        };
        let names = [TOPIC].into_iter().chain(setup.peer.as_ref().map(|_| PEER_TOPIC));
        let topics: Vec<_> = names.map(own).collect();
        Admin::new(&log.config())?.create_topics(&topics).await?;
        let scratch = tempfile::tempdir().context("make a folder")?;
        let handler = handler(&scratch)?;
        let peer = setup.peer.as_deref().map(|command| peer(command, &log, &store, &scratch)).transpose()?;
        let url = group.as_ref().map_or_else(|| store.url().to_owned(), ValkeyGroup::url);
        let processes = services(setup, &log, &url)?;
        let mut field = Self {
            processes,
            log,
            store,
            group,
            writers: writers(setup)?,
            consumers: &Service::CONSUMERS[..0],
            reader: setup.with_api.then_some(Service::Dashboard),
            acks: setup.acks,
            handler,
            peer,
            scratch,
        };
        field.start_services().await?;
        for (address, process) in std::iter::once(&field.handler).chain(&field.peer) {
            let listens = async || tokio::net::TcpStream::connect(address).await.is_ok();
            let listening = eventually(START_LIMIT, listens).await;
            listening.with_context(|| format!("it does not listen: {}", process.log_tail()))?;
        }
        Ok(field)
    }

    async fn start_services(&mut self) -> Result<()> {
        for service in self.writers.iter().copied().chain(Service::WAYS).chain(self.reader) {
            self.processes.spawn(service)?;
        }
        self.spawn_consumers(1)?;
        for service in self.running() {
            self.processes.wait_ready(service, true).await?;
        }
        Ok(())
    }

    /// Starts so many consumers, 6 at the most.
    pub(crate) fn spawn_consumers(&mut self, count: usize) -> Result<()> {
        self.consumers = Service::CONSUMERS.get(..count).context("6 consumers at the most")?;
        self.consumers.iter().try_for_each(|consumer| self.processes.spawn(*consumer))
    }

    /// Ends every service as a cluster does, who calls before who is called: a program that writes something at its end, a
    /// profile for instance, has written it.
    pub(crate) async fn end(mut self) -> Result<()> {
        let ways = Service::WAYS.into_iter().rev();
        let others = self.writers.iter().copied().chain(self.consumers.iter().copied()).chain(self.reader);
        for service in ways.chain(others) {
            let status = self.processes.terminate(service).await?;
            ensure!(
                status.success(),
                "{service:?} ended with {status}; its log:\n{}",
                self.processes.log(service)
            );
        }
        Ok(())
    }

    /// Ends every consumer, and waits for it.
    pub(crate) async fn stop_consumers(&mut self) -> Result<()> {
        for consumer in self.consumers {
            self.processes.terminate(*consumer).await?;
        }
        Ok(())
    }

    /// The store's replica and Sentinels, if it has any.
    pub(super) fn group(&self) -> Option<&ValkeyGroup> {
        self.group.as_ref()
    }

    fn running(&self) -> impl Iterator<Item = Service> + use<> {
        let ways = self.writers.iter().copied().chain(Service::WAYS);
        ways.chain(self.consumers.iter().copied()).chain(self.reader)
    }

    /// Where the read API is, if there is one.
    pub(super) fn api(&self) -> Option<SocketAddr> {
        self.reader.map(|reader| self.processes.address(reader))
    }

    /// Different products that the store has counted.
    pub(crate) async fn products(&self) -> Result<u64> {
        self.store.command(&["ZCARD", "ranking:global"]).await?.trim().parse().context("a number of products")
    }

    /// As a bare producer is told it.
    pub(crate) fn acks(&self) -> &'static str {
        match self.acks {
            Acks::All => "all",
            Acks::One => "1",
        }
    }

    pub(crate) fn handler(&self) -> SocketAddr {
        self.handler.0
    }

    pub(crate) fn peer(&self) -> Result<SocketAddr> {
        self.peer.as_ref().map(|(address, _)| *address).context("no --peer")
    }

    /// Every process whose time is told, this one as the client.
    pub(super) fn watched(&self) -> Result<Watched> {
        let mut watched = Watched::default();
        watched.add_self("client");
        for pid in self.log.pids() {
            watched.add("log", pid.context("the log runs")?);
        }
        watched.add("store", self.store.pid().context("the store runs")?);
        if let Some(group) = &self.group {
            watched.add("replica", group.servers()[1].pid().context("the replica runs")?);
        }
        for service in self.running() {
            watched.add(service.short_name(), self.processes.pid(service)?);
        }
        watched.add("handler", self.handler.1.pid());
        if let Some((_, peer)) = &self.peer {
            watched.add("peer", peer.pid());
        }
        Ok(watched)
    }

    /// Names and versions of the servers.
    pub(crate) async fn versions(&self) -> Result<Vec<String>> {
        let info = self.store.command(&["INFO", "server"]).await?;
        let store = ["valkey_version:", "redis_version:"].into_iter().find_map(|name| {
            let version = info.lines().find_map(|line| line.strip_prefix(name))?;
            Some(format!("{} {}", if name.starts_with('v') { "Valkey" } else { "Redis" }, version.trim()))
        });
        Ok([self.log.version().await?, store.context("the store tells no version")?].into())
    }

    /// Sales that the store has counted.
    pub(crate) async fn counted(&self) -> Result<u64> {
        let counts = self.store.command(&["HVALS", "reportes:total"]).await?;
        counts.lines().map(|line| line.parse::<u64>().context("a count")).sum()
    }

    /// Waits until so many are counted, and no more.
    pub(crate) async fn until_counted(&self, sales: u64) -> Result<()> {
        let are_there = async || self.counted().await.is_ok_and(|counted| counted >= sales);
        let reached = eventually(COUNT_LIMIT, are_there).await;
        let counted = self.counted().await?;
        reached.with_context(|| format!("{counted} of {sales} accepted sales were counted"))?;
        ensure!(counted == sales, "{sales} sales were accepted, and {counted} counted");
        Ok(())
    }

    /// Runs a bare part of this program to its end; what it says.
    pub(crate) async fn part(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let mut command = tokio::process::Command::new(std::env::current_exe()?);
        command.arg("bench-part").args(arguments).kill_on_drop(true);
        let output = command.output().await.context("run a part")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("a part tells JSON")
    }

    /// What every service has logged.
    pub(crate) fn logs(&self) -> String {
        let logs = self.processes.services().iter().map(|service| self.processes.log(*service));
        logs.chain([std::fs::read_to_string(self.scratch.path().join("peer.log")).unwrap_or_default()])
            .collect()
    }
}

async fn store(setup: &Setup) -> Result<(Arc<Valkey>, Option<ValkeyGroup>)> {
    if setup.in_machine {
        return Ok((Arc::new(Valkey::start_in_machine().await?), None));
    }
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let config: Vec<_> = setup.store_config.iter().map(own).collect();
    let options = ValkeyOptions { kind: setup.store, config: config.clone(), ..ValkeyOptions::default() };
    let store = Arc::new(Valkey::start_with(options).await?);
    let group = if setup.with_replica {
        let options = ValkeyGroupOptions {
            kind: setup.store,
            down_after: DOWN_AFTER,
            config,
            ..ValkeyGroupOptions::default()
        };
        Some(ValkeyGroup::around(Arc::clone(&store), options).await?)
    } else {
        None
    };
    Ok((store, group))
}

/// Every service with its defaults: a gateway for each way, and behind them the same relay and writers.
fn services(setup: &Setup, log: &Server, store: &str) -> Result<Processes> {
    let all = &Service::MEASURED;
    let mut processes = Processes::new(all)?;
    let (name, value) = log.environment();
    processes.set(all, name, &value);
    processes.set(all, "BLACKFRIDAY_EVENT_LOG", log.config().log.name());
    processes.set(all, "BLACKFRIDAY_VALKEY_URL", store);
    for (name, value) in setup.environment {
        processes.set(all, name, value);
    }
    let target = |writer: &Service| processes.address(*writer).to_string();
    let targets: Vec<_> = writers(setup)?.iter().map(target).collect();
    let to_writers = [Service::Relay, Service::WriterGateway];
    processes.set(&to_writers, "BLACKFRIDAY_WRITER_TARGET", &targets.join(","));
    processes.set(&[Service::Relay], "BLACKFRIDAY_RELAY_TRUST_HOPS", "true");
    let relay = format!("http://{}", processes.address(Service::Relay));
    processes.set(&[Service::Gateway], "BLACKFRIDAY_RELAY_URL", &relay);
    processes.set(&[Service::WriterGateway], "BLACKFRIDAY_GATEWAY_UPSTREAM", "writer");
    processes.set(&[Service::LogGateway], "BLACKFRIDAY_GATEWAY_UPSTREAM", "log");
    Ok(processes)
}

fn writers(setup: &Setup) -> Result<&'static [Service]> {
    Service::WRITERS.get(..setup.writers).context("4 writers at the most")
}

fn handler(scratch: &tempfile::TempDir) -> Result<(SocketAddr, Process)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench-part", "handler", &address.to_string()]);
    Ok((address, Process::spawn(command, scratch.path().join("handler.log"))?))
}

/// Somebody's gateway: what it needs to know is in its environment.
fn peer(
    text: &str,
    log: &Server,
    store: &Valkey,
    scratch: &tempfile::TempDir,
) -> Result<(SocketAddr, Process)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let mut command = Command::new("sh");
    command.args(["-c", text]).env("PORT", address.port().to_string()).env("TOPIC", PEER_TOPIC);
    command.env("KAFKA_BROKERS", log.brokers().context("a peer writes into Kafka")?);
    command.env("VALKEY_URL", format!("{}/{PEER_DATABASE}", store.url()));
    Ok((address, Process::spawn(command, scratch.path().join("peer.log"))?))
}
