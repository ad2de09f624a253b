//! The whole pipeline as processes of this machine, each with a log of its own, and the commands that are run on it.
//!
//! Ports are free ones of the loopback; what a service or command gets is in its environment. Invariant: a test that goes away,
//! however it does, takes every process with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use blackfriday_stack::{Kafka, Process, Valkey, eventually, free_port};
use serde_json::Value;
use tempfile::TempDir;

use crate::{binary, get};

/// Partitions of topic `ventas`.
const PARTITIONS: i32 = 4;
/// How long a process may take to be ready, or to end after SIGTERM.
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// One of our processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// The public REST API.
    Gateway,
    /// REST in, gRPC out.
    Relay,
    /// The first of two gRPC servers.
    WriterA,
    /// The second.
    WriterB,
    /// Counts.
    Consumer,
    /// Read API and page.
    Dashboard,
}

impl Service {
    /// Every process, in the order in which they start.
    pub const ALL: [Self; 6] =
        [Self::WriterA, Self::WriterB, Self::Consumer, Self::Relay, Self::Gateway, Self::Dashboard];

    fn binary(self) -> &'static str {
        match self {
            Self::Gateway => "blackfriday-gateway",
            Self::Relay => "blackfriday-relay",
            Self::WriterA | Self::WriterB => "blackfriday-writer",
            Self::Consumer => "blackfriday-consumer",
            Self::Dashboard => "blackfriday-dashboard",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    listen: SocketAddr,
    admin: SocketAddr,
}

/// Kafka, Valkey and all services, each a process.
#[derive(Debug)]
pub struct Pipeline {
    /// The broker.
    pub kafka: Kafka,
    /// The store.
    pub valkey: Valkey,
    ports: BTreeMap<Service, Ports>,
    running: BTreeMap<Service, Process>,
    environment: BTreeMap<Option<Service>, Vec<(String, String)>>,
    scratch: TempDir,
}

/// A running `blackfriday load` and where its receipts go.
#[derive(Debug)]
pub struct Load {
    process: Process,
    /// The receipts file.
    pub receipts: PathBuf,
}

impl Pipeline {
    /// Starts everything and waits until all is ready. `environment` is added to every service's.
    ///
    /// # Errors
    /// Kafka, Valkey or a binary is missing or does not come up in 30 s.
    pub async fn start(environment: &[(&str, &str)]) -> Result<Self> {
        let (kafka, valkey) = tokio::try_join!(Kafka::start(), Valkey::start())?;
        let mut pipeline = Self::prepare(kafka, valkey).await?;
        for (name, value) in environment {
            pipeline.set(&Service::ALL, name, value);
        }
        pipeline.start_all().await?;
        Ok(pipeline)
    }

    /// Makes the topics. Starts no service yet.
    ///
    /// # Errors
    /// The command's binary is missing, or the topics cannot be made.
    pub async fn prepare(kafka: Kafka, valkey: Valkey) -> Result<Self> {
        let mut ports = BTreeMap::new();
        for service in Service::ALL {
            let port = || -> Result<SocketAddr> { Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?))) };
            ports.insert(service, Ports { listen: port()?, admin: port()? });
        }
        let scratch = tempfile::tempdir().context("make a scratch folder")?;
        let (running, environment) = (BTreeMap::new(), BTreeMap::new());
        let pipeline = Self { kafka, valkey, ports, running, environment, scratch };
        pipeline.run("topics", &["create", "--partitions", &PARTITIONS.to_string()]).await?;
        Ok(pipeline)
    }

    /// Sets a variable of services that are started later.
    pub fn set(&mut self, services: &[Service], name: &str, value: &str) {
        for service in services {
            self.environment.entry(Some(*service)).or_default().push((name.to_owned(), value.to_owned()));
        }
    }

    /// Sets a variable of the commands that are run later.
    pub fn set_of_commands(&mut self, name: &str, value: &str) {
        self.environment.entry(None).or_default().push((name.to_owned(), value.to_owned()));
    }

    /// Starts every service and waits until all are ready.
    ///
    /// # Errors
    /// A binary is missing or does not come up in 30 s.
    pub async fn start_all(&mut self) -> Result<()> {
        for service in Service::ALL {
            self.spawn(service)?;
        }
        for service in Service::ALL {
            self.wait_ready(service, true).await?;
        }
        Ok(())
    }

    /// Everything that a service has logged.
    pub fn log(&self, service: Service) -> String {
        std::fs::read_to_string(self.scratch.path().join(format!("{service:?}.log"))).unwrap_or_default()
    }

    /// Where a service listens.
    pub fn address(&self, service: Service) -> SocketAddr {
        self.ports[&service].listen
    }

    /// Where a service serves `/livez`, `/readyz` and `/metrics`.
    pub fn admin(&self, service: Service) -> SocketAddr {
        self.ports[&service].admin
    }

    /// The process id of a running service.
    ///
    /// # Errors
    /// It is not running.
    pub fn pid(&self, service: Service) -> Result<u32> {
        Ok(self.running.get(&service).with_context(|| format!("{service:?} is not running"))?.pid())
    }

    /// Starts a service that is not running.
    ///
    /// # Errors
    /// Its binary is missing.
    pub fn spawn(&mut self, service: Service) -> Result<()> {
        let ports = self.ports[&service];
        let mut command = Command::new(binary(service.binary())?);
        command.env("BLACKFRIDAY_ADMIN_LISTEN", ports.admin.to_string()).envs(self.clients());
        let listen = ports.listen.to_string();
        match service {
            Service::Gateway => command
                .env("BLACKFRIDAY_GATEWAY_LISTEN", listen)
                .env("BLACKFRIDAY_RELAY_URL", format!("http://{}", self.address(Service::Relay))),
            Service::Relay => command
                .env("BLACKFRIDAY_RELAY_LISTEN", listen)
                .env("BLACKFRIDAY_RELAY_TRUST_HOPS", "true")
                .env(
                    "BLACKFRIDAY_WRITER_TARGET",
                    format!("{},{}", self.address(Service::WriterA), self.address(Service::WriterB)),
                ),
            Service::WriterA | Service::WriterB => command.env("BLACKFRIDAY_WRITER_LISTEN", listen),
            Service::Consumer => &mut command,
            Service::Dashboard => command.env("BLACKFRIDAY_DASHBOARD_LISTEN", listen),
        };
        command.envs(self.environment_of(Some(service)));
        let process = Process::spawn(command, self.scratch.path().join(format!("{service:?}.log")))?;
        self.running.insert(service, process);
        Ok(())
    }

    /// Waits until `/readyz` says what is expected.
    ///
    /// # Errors
    /// Not within 30 s.
    pub async fn wait_ready(&self, service: Service, expected: bool) -> Result<()> {
        let admin = self.admin(service);
        let as_expected =
            async || get(admin, "/readyz").await.is_ok_and(|answer| answer.status.is_success() == expected);
        eventually(START_LIMIT, as_expected).await.with_context(|| {
            let log = self.log(service);
            format!("{service:?} ready: {expected} within {START_LIMIT:?}; its log:\n{log}")
        })
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Errors
    /// It is not running, or does not end in 20 s.
    pub async fn terminate(&mut self, service: Service) -> Result<ExitStatus> {
        let process = self.running.remove(&service).with_context(|| format!("{service:?} is not running"))?;
        Ok(process.terminate(STOP_LIMIT).await?)
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// It is not running.
    pub fn kill(&mut self, service: Service) -> Result<()> {
        let process = self.running.remove(&service).with_context(|| format!("{service:?} is not running"))?;
        process.kill();
        Ok(())
    }

    /// Starts `blackfriday load` against the gateway, with receipts.
    ///
    /// # Errors
    /// The binary is missing.
    pub fn load(&self, name: &str, arguments: &[&str]) -> Result<Load> {
        let receipts = self.scratch.path().join(format!("{name}.receipts"));
        let mut command = Command::new(binary("blackfriday")?);
        command.arg("load").arg("--url").arg(format!("http://{}", self.address(Service::Gateway)));
        command.arg("--receipts").arg(&receipts).args(arguments);
        let process = Process::spawn(command, self.scratch.path().join(format!("{name}.log")))?;
        Ok(Load { process, receipts })
    }

    /// `blackfriday verify` with these receipts; its table as JSON.
    ///
    /// # Errors
    /// Anything differs: the error is the command's whole output.
    pub async fn verify(&self, loads: &[&Load]) -> Result<Value> {
        let receipts: Vec<_> = loads.iter().map(|load| load.receipts.as_path()).collect();
        self.verify_receipts(&receipts, &[]).await
    }

    /// As [`Pipeline::verify`], with receipts from anywhere and further arguments.
    ///
    /// # Errors
    /// As [`Pipeline::verify`].
    pub async fn verify_receipts(&self, receipts: &[&Path], more: &[&str]) -> Result<Value> {
        let receipts = receipts.iter().flat_map(|path| ["--receipts", path.to_str().unwrap_or_default()]);
        let wait: &[&str] = if more.contains(&"--wait") { &[] } else { &["--wait", "60s"] };
        let arguments: Vec<_> = receipts.chain(["--json"]).chain(wait.iter().chain(more).copied()).collect();
        let output = self.run("verify", &arguments).await?;
        serde_json::from_str(&output).context("verify prints JSON")
    }

    /// Writes a receipts file: lines of a test that is a client itself.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_receipts(&self, name: &str, lines: &str) -> Result<PathBuf> {
        let path = self.scratch.path().join(format!("{name}.receipts"));
        std::fs::write(&path, format!("# blackfriday receipts 2 {{}}\n{lines}")).context("write receipts")?;
        Ok(path)
    }

    /// Runs a command of `blackfriday` against this Kafka and Valkey; its standard output.
    ///
    /// # Errors
    /// An exit code other than 0: the error is the command's whole output.
    pub async fn run(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let mut process = tokio::process::Command::new(binary("blackfriday")?);
        process.arg(command).args(arguments).envs(self.clients());
        process.envs(self.environment_of(None)).kill_on_drop(true);
        let output = process.output().await.context("run blackfriday")?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{command} ended with {}:\n{out}\n{err}", output.status);
        Ok(out.into_owned())
    }

    fn environment_of(&self, service: Option<Service>) -> impl Iterator<Item = (&str, &str)> {
        let of_it = self.environment.get(&service).into_iter().flatten();
        of_it.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn clients(&self) -> [(&'static str, String); 2] {
        [
            ("BLACKFRIDAY_KAFKA_BROKERS", self.kafka.bootstrap().to_owned()),
            ("BLACKFRIDAY_VALKEY_URL", self.valkey.url().to_owned()),
        ]
    }
}

impl Load {
    /// Waits for the end of the load; whether every sale was accepted.
    ///
    /// # Errors
    /// It does not end within `limit`, or it could not do its work: the error is the exit status and the load's log.
    pub async fn finish(&self, limit: Duration) -> Result<bool> {
        let status = self.process.wait(limit).await?;
        match status.code() {
            Some(0) => Ok(true),
            // Some sale was refused, or its outcome is not known.
            Some(1) => Ok(false),
            _ => bail!("the load ended with {status}; its log:\n{}", self.process.log_tail()),
        }
    }

    /// As [`Load::finish`], where nothing keeps a sale from being accepted.
    ///
    /// # Errors
    /// As [`Load::finish`], or a sale was not accepted.
    pub async fn finish_undisturbed(&self, limit: Duration) -> Result<()> {
        ensure!(self.finish(limit).await?, "not every sale was accepted:\n{}", self.process.log_tail());
        Ok(())
    }
}
