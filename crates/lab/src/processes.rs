//! Services as processes of this machine, each with a log of its own, and the commands that are run on them.
//!
//! Ports are free ones of the loopback, and kept for their services; what a service or command gets is in its environment.
//! Invariant: a test that goes away, however it does, takes every process with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_stack::{Clock, KeptPort, Process, Scarce, eventually};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::client::get_text;
use crate::load::Load;
use crate::service::Service;
use crate::{get, program};

/// How long a process may take to be ready, or to end after SIGTERM.
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// A paused process takes connections, and answers none.
const READY_ANSWER_LIMIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Ports {
    listen: KeptPort,
    admin: KeptPort,
}

/// Services, and commands next to them. `None` in place of a service means the commands.
#[derive(Debug)]
pub struct Processes {
    services: &'static [Service],
    ports: BTreeMap<Service, Ports>,
    running: BTreeMap<Service, Process>,
    environment: BTreeMap<Option<Service>, Vec<(String, String)>>,
    clocks: BTreeMap<Service, Arc<Clock>>,
    scratch: TempDir,
}

impl Processes {
    /// Takes ports for these, which start in this order. Starts none yet.
    ///
    /// # Errors
    /// No port is free, or no folder can be made.
    pub fn new(services: &'static [Service]) -> Result<Self> {
        let mut ports = BTreeMap::new();
        for service in services {
            ports.insert(*service, Ports { listen: KeptPort::new()?, admin: KeptPort::new()? });
        }
        let scratch = tempfile::tempdir().context("make a scratch folder")?;
        let (running, environment, clocks) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self { services, ports, running, environment, clocks, scratch })
    }

    /// Sets a variable of services that are started later.
    pub fn set(&mut self, services: &[Service], name: &str, value: &str) {
        for service in services {
            self.environment.entry(Some(*service)).or_default().push((name.to_owned(), value.to_owned()));
        }
    }

    /// Has a service that is started later look at this clock.
    pub fn set_clock(&mut self, service: Service, clock: Arc<Clock>) {
        self.clocks.insert(service, clock);
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
        for service in self.services {
            self.spawn(*service)?;
        }
        for service in self.services {
            self.wait_ready(*service, true).await?;
        }
        Ok(())
    }

    /// The services, in the order in which they start.
    pub fn services(&self) -> &'static [Service] {
        self.services
    }

    /// Everything that a service has logged.
    pub fn log(&self, service: Service) -> String {
        std::fs::read_to_string(self.scratch.path().join(format!("{service:?}.log"))).unwrap_or_default()
    }

    /// Where a service listens.
    pub fn address(&self, service: Service) -> SocketAddr {
        on_loopback(&self.ports[&service].listen)
    }

    /// Where a service serves `/livez`, `/readyz` and `/metrics`.
    pub fn admin(&self, service: Service) -> SocketAddr {
        on_loopback(&self.ports[&service].admin)
    }

    /// The process id of a running service.
    ///
    /// # Errors
    /// It is not running.
    pub fn pid(&self, service: Service) -> Result<u32> {
        Ok(self.process(service)?.pid())
    }

    /// Starts a service that is not running.
    ///
    /// # Errors
    /// Its binary is missing.
    pub fn spawn(&mut self, service: Service) -> Result<()> {
        let mut command = Command::new(program(service.program())?);
        command.env("BLACKFRIDAY_ADMIN_LISTEN", self.admin(service).to_string());
        let listen = self.address(service).to_string();
        command.envs(service.listen_variable().map(|variable| (variable, listen)));
        command.envs(self.environment_of(Some(service)));
        if let Some(clock) = self.clocks.get(&service) {
            clock.wear(&mut command);
        }
        let process = Process::spawn(command, self.scratch.path().join(format!("{service:?}.log")))?;
        self.running.insert(service, process);
        Ok(())
    }

    /// Whether `/readyz` says that it is ready now, within a second.
    pub async fn is_ready(&self, service: Service) -> bool {
        let answer = timeout(READY_ANSWER_LIMIT, get(self.admin(service), "/readyz")).await;
        answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status.is_success()))
    }

    /// The value of a metric that a service has once.
    ///
    /// # Errors
    /// It does not answer, or has no such metric.
    pub async fn metric(&self, service: Service, name: &str) -> Result<u64> {
        let text = get_text(self.admin(service), "/metrics").await?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.rsplit_once(' ')?.1.parse().ok());
        value.with_context(|| format!("{service:?} has no {name}"))
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

    /// Stops its clock with SIGSTOP: connections stay open, nothing answers.
    ///
    /// # Errors
    /// It is not running.
    pub fn pause(&self, service: Service) -> Result<()> {
        Ok(self.process(service)?.pause()?)
    }

    /// Lets a paused service go on, with SIGCONT.
    ///
    /// # Errors
    /// It is not running.
    pub fn resume(&self, service: Service) -> Result<()> {
        Ok(self.process(service)?.resume()?)
    }

    /// Lets a service have no more of something than so much, or as much as this process may, without a number.
    ///
    /// # Errors
    /// It is not running.
    pub fn limit(&self, service: Service, scarce: Scarce, most: Option<u64>) -> Result<()> {
        Ok(self.process(service)?.limit(scarce, most)?)
    }

    /// Services that ended although nobody stopped them, each with how it ended.
    pub fn ended(&self) -> Vec<(Service, ExitStatus)> {
        let ended = self.running.iter().map(|(service, process)| (*service, process.exit_status()));
        ended.filter_map(|(service, status)| Some((service, status?))).collect()
    }

    /// Starts `blackfriday load` against the gateway, with receipts.
    ///
    /// # Errors
    /// The binary is missing.
    pub fn load(&self, name: &str, arguments: &[&str]) -> Result<Load> {
        let receipts = self.scratch.path().join(format!("{name}.receipts"));
        let mut command = Command::new(program("blackfriday")?);
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

    /// As [`Processes::verify`], with receipts from anywhere and further arguments.
    ///
    /// # Errors
    /// As [`Processes::verify`].
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

    /// Runs a command of `blackfriday` against these servers; its standard output.
    ///
    /// # Errors
    /// An exit code other than 0: the error is the command's whole output.
    pub async fn run(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let mut process = tokio::process::Command::new(program("blackfriday")?);
        process.arg(command).args(arguments);
        process.envs(self.environment_of(None)).kill_on_drop(true);
        let output = process.output().await.context("run blackfriday")?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{command} ended with {}:\n{out}\n{err}", output.status);
        Ok(out.into_owned())
    }

    fn process(&self, service: Service) -> Result<&Process> {
        self.running.get(&service).with_context(|| format!("{service:?} is not running"))
    }

    fn environment_of(&self, service: Option<Service>) -> impl Iterator<Item = (&str, &str)> {
        let of_it = self.environment.get(&service).into_iter().flatten();
        of_it.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn on_loopback(port: &KeptPort) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port.number()))
}
