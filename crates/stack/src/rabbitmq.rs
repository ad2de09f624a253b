//! A RabbitMQ of its own: one node with streams, which knows no other node and needs no `epmd`.

mod configuration;
mod installation;
mod tool;

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

pub use self::configuration::{RabbitMqOptions, RabbitMqUser};
use self::installation::Installation;
pub use self::tool::Alarm;
use crate::error::StackError;
use crate::place::Place;
use crate::port::free_port;
use crate::process::Scarce;
use crate::proxy::Proxy;
use crate::server::{Server, with_free_ports};

/// Four seconds of one processor, on a machine that others may fill.
const READY_LIMIT: Duration = Duration::from_secs(180);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const FIRST_ERRORS: usize = 8;

/// A running, paused or stopped RabbitMQ on loopback ports. Dropping it kills it, and removes its data unless a folder was
/// given.
///
/// User `guest` with password `guest` may do everything in the virtual host `/`.
#[derive(Debug)]
pub struct RabbitMq {
    server: Server,
    installation: Installation,
    options: RabbitMqOptions,
    ports: Ports,
    proxy: Option<Proxy>,
}

/// All of 127.0.0.1.
#[derive(Debug)]
struct Ports {
    stream: u16,
    /// Of the stream protocol over TLS.
    tls: Option<u16>,
    amqp: u16,
    metrics: u16,
    /// Where the node's tools reach it.
    distribution: u16,
}

impl RabbitMq {
    /// Starts a broker with the default options and waits until it serves.
    ///
    /// # Errors
    /// As [`RabbitMq::start_with`].
    pub async fn start() -> Result<Self, StackError> {
        Self::start_with(RabbitMqOptions::default()).await
    }

    /// Starts a broker and waits, at most 180 s, until it serves.
    ///
    /// # Errors
    /// RabbitMQ is not on this machine, or the broker does not start.
    pub async fn start_with(options: RabbitMqOptions) -> Result<Self, StackError> {
        Self::start_at(&Place::default(), options).await
    }

    /// As [`RabbitMq::start_with`], where it is to be found: the port is that of the stream protocol.
    ///
    /// # Errors
    /// As [`RabbitMq::start_with`]; the port is taken, or another process uses the folder.
    pub async fn start_at(place: &Place, options: RabbitMqOptions) -> Result<Self, StackError> {
        let installation = Installation::find()?;
        with_free_ports(async || {
            let server = place.server("rabbitmq").await?;
            let ports = Ports { stream: place.port.choose()?, ..Ports::free(&options)? };
            let rabbitmq = prepare(server, installation.clone(), ports, options.clone()).await?;
            rabbitmq.launch().await?;
            Ok(rabbitmq)
        })
        .await
    }

    /// `127.0.0.1:<port>` of the stream protocol, the same after a restart.
    #[must_use]
    pub fn address(&self) -> String {
        local(self.advertised_port())
    }

    /// What clients of the stream protocol reach it through, with [`RabbitMqOptions::behind_proxy`].
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// `127.0.0.1:<port>` of the stream protocol over TLS, if it is served; the same after a restart.
    #[must_use]
    pub fn tls_address(&self) -> Option<String> {
        self.ports.tls.map(local)
    }

    /// `127.0.0.1:<port>` of AMQP 0.9.1 (and of AMQP 1.0 from version 4 on), the same after a restart.
    #[must_use]
    pub fn amqp_address(&self) -> String {
        local(self.ports.amqp)
    }

    /// `127.0.0.1:<port>` whose `/metrics` Prometheus reads, the same after a restart.
    #[must_use]
    pub fn metrics_address(&self) -> String {
        local(self.ports.metrics)
    }

    /// Id of the broker's process, or `None` if it is stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.running().ok().map(|process| process.pid())
    }

    /// Waits for as long as it runs.
    ///
    /// # Errors
    /// It is stopped.
    pub async fn ended(&self) -> Result<ExitStatus, StackError> {
        Ok(self.server.running()?.ended().await)
    }

    /// Stops the broker with SIGTERM and waits until it has ended.
    ///
    /// # Errors
    /// It took more than 60 s; it is killed then.
    pub async fn stop(&self) -> Result<(), StackError> {
        self.server.stop(STOP_LIMIT).await
    }

    /// Kills the broker with SIGKILL. Confirmed records are in the page cache and survive; whether their streams are served
    /// again depends on [`RabbitMq::settle`], if the first of all streams was made seconds ago.
    ///
    /// # Errors
    /// It is stopped already.
    pub fn kill(&self) -> Result<(), StackError> {
        self.server.running()?;
        self.server.kill();
        Ok(())
    }

    /// Starts the broker again on the same ports and data; one that runs is stopped first.
    ///
    /// # Errors
    /// It does not start, for instance because a port was taken meanwhile.
    pub async fn restart(&self) -> Result<(), StackError> {
        self.stop().await?;
        self.launch().await
    }

    /// Kills the broker and removes its data; [`RabbitMq::restart`] then starts an empty one, with the same users.
    ///
    /// # Errors
    /// The data cannot be removed.
    pub fn wipe(&self) -> Result<(), StackError> {
        self.server.kill();
        self.server.remove_data()
    }

    /// Copies the data as it is on disk now, in place of an earlier copy. A stopped broker's is whole.
    ///
    /// # Errors
    /// The data cannot be copied.
    pub fn checkpoint(&self) -> Result<(), StackError> {
        self.server.copy_data()
    }

    /// Kills the broker and puts the copy in place of its data; [`RabbitMq::restart`] then starts it from there, as if
    /// its streams had lost their tails.
    ///
    /// # Errors
    /// There is no copy, or it cannot be put in place.
    pub fn roll_back(&self) -> Result<(), StackError> {
        self.server.kill();
        self.server.bring_back_data()
    }

    /// Stops the broker's clock with SIGSTOP: connections stay open, nothing answers.
    ///
    /// # Errors
    /// The broker is stopped, or the signal could not be sent.
    pub fn pause(&self) -> Result<(), StackError> {
        self.server.running()?.pause()
    }

    /// Lets a paused broker go on.
    ///
    /// # Errors
    /// The broker is stopped, or the signal could not be sent.
    pub fn resume(&self) -> Result<(), StackError> {
        self.server.running()?.resume()
    }

    /// As [`crate::Process::limit`], of the broker that runs.
    ///
    /// # Errors
    /// The broker is stopped, or the limit is higher than what it may ask for.
    pub fn limit(&self, scarce: Scarce, most: Option<u64>) -> Result<(), StackError> {
        self.server.running()?.limit(scarce, most)
    }

    fn advertised_port(&self) -> u16 {
        self.proxy.as_ref().map_or(self.ports.stream, |proxy| proxy.address().port())
    }

    async fn launch(&self) -> Result<(), StackError> {
        self.server.make_data()?;
        let mut command = self.command("rabbitmq-server");
        command.envs(configuration::environment(self)).env("ERL_AFLAGS", self.erl_flags());
        if let Some(clock) = &self.options.clock {
            clock.wear(&mut command);
        }
        let launched = self.server.launch(command, READY_LIMIT, serves).await;
        launched.map_err(|error| with_cause(error, &self.server.latest_log()))
    }

    /// One of RabbitMQ's scripts, which looks for configuration, cookie and data nowhere but here.
    fn command(&self, script: &str) -> Command {
        let mut command = self.installation.script(script);
        command.env("HOME", self.server.folder()).current_dir(self.server.folder());
        command
    }

    /// The one port where this node listens for its tools, instead of the machine-wide daemon that tells ports.
    fn erl_flags(&self) -> String {
        format!("-start_epmd false -erl_epmd_port {}", self.ports.distribution)
    }
}

impl Ports {
    fn free(options: &RabbitMqOptions) -> Result<Self, StackError> {
        Ok(Self {
            stream: free_port()?,
            tls: options.tls.as_ref().map(|_| free_port()).transpose()?,
            amqp: free_port()?,
            metrics: free_port()?,
            distribution: free_port()?,
        })
    }
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

async fn prepare(
    server: Server,
    installation: Installation,
    ports: Ports,
    options: RabbitMqOptions,
) -> Result<RabbitMq, StackError> {
    let proxy = match options.behind_proxy {
        true => Some(Proxy::to(local(ports.stream)).await?),
        false => None,
    };
    let rabbitmq = RabbitMq { server, installation, options, ports, proxy };
    configuration::write(&rabbitmq)?;
    Ok(rabbitmq)
}

/// What it logs last, when all listeners are open.
async fn serves(log: &Path) -> bool {
    let text = tokio::fs::read_to_string(log).await.unwrap_or_default();
    text.contains("Server startup complete")
}

/// What a broker says first when it cannot start; its last lines are about processes of Erlang.
fn with_cause(error: StackError, log: &str) -> StackError {
    let StackError::Exited { program, status, log: end } = error else { return error };
    let errors = log.lines().filter(|line| line.contains("[error]")).take(FIRST_ERRORS);
    let log = errors.chain(["…", &end]).collect::<Vec<_>>().join("\n");
    // The end of a colour, which version 3 writes even where it writes no colours.
    StackError::Exited { program, status, log: log.replace("\x1b[0m", "") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The retry with other ports knows this error by its text, which Erlang itself and the listeners have.
    #[tokio::test]
    async fn a_taken_port_is_told_in_the_log() {
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("bind");
        let port = taken.local_addr().expect("bound").port();
        let options = RabbitMqOptions::default();
        let free = || Ports::free(&options).expect("free ports");
        for ports in [Ports { distribution: port, ..free() }, Ports { stream: port, ..free() }] {
            let installation = Installation::find().expect("on this machine");
            let rabbitmq =
                prepare(Server::new("rabbitmq").expect("a folder"), installation, ports, options.clone());
            let rabbitmq = rabbitmq.await.expect("files");
            let error = rabbitmq.launch().await.expect_err("taken");
            assert!(crate::server::is_port_taken(&error), "{error}");
        }
    }
}
