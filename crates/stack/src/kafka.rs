//! A Kafka of its own: one KRaft node that is broker and controller, with every internal topic on one replica.

mod configuration;
mod installation;
mod probe;
mod secure;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::error::StackError;
use crate::port::free_port;
use crate::server::{Server, with_free_ports};
use installation::Installation;
pub use secure::{Grant, SecureListener};

const READY_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// How a [`Kafka`] is started.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// Partitions of a topic that is made without saying how many.
    pub partitions: u32,
    /// Largest record batch that the broker takes, in bytes.
    pub max_message_bytes: u32,
    /// Heap of the broker, in MiB.
    pub heap_mib: u32,
    /// Whether the broker is compiled for speed over minutes rather than for a fast start.
    pub for_load: bool,
    /// The name that the broker advertises to clients; it listens on loopback, whatever the name.
    pub advertised_host: String,
    /// More lines of `server.properties`, such as `("log.retention.ms", "1000")`. They win over the ones set here.
    pub properties: BTreeMap<String, String>,
    /// A second listener, for clients that prove who they are.
    pub secure: Option<SecureListener>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            partitions: 4,
            max_message_bytes: 1024 * 1024 + 12,
            heap_mib: 512,
            for_load: false,
            advertised_host: "127.0.0.1".to_owned(),
            properties: BTreeMap::new(),
            secure: None,
        }
    }
}

/// A running, paused or stopped Kafka on a loopback port. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Kafka {
    server: Server,
    installation: Installation,
    options: KafkaOptions,
    bootstrap: String,
    broker_port: u16,
    controller_port: u16,
    secure_port: Option<u16>,
    cluster_id: String,
}

impl Kafka {
    /// Starts a broker with the default options and waits until it serves.
    ///
    /// # Errors
    /// As [`Kafka::start_with`].
    pub async fn start() -> Result<Self, StackError> {
        Self::start_with(KafkaOptions::default()).await
    }

    /// Starts a broker and waits, at most 90 s, until it is registered and serves requests.
    ///
    /// # Errors
    /// Java or Kafka is not on this machine, or the broker does not start.
    pub async fn start_with(options: KafkaOptions) -> Result<Self, StackError> {
        let installation = Installation::find()?;
        with_free_ports(async || {
            let secure_port = options.secure.as_ref().map(|_| free_port()).transpose()?;
            let ports = [free_port()?, free_port()?];
            let kafka = Self { secure_port, ..prepare(installation.clone(), ports, options.clone())? };
            kafka.launch().await?;
            Ok(kafka)
        })
        .await
    }

    /// `127.0.0.1:<port>`, the same after a restart.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Id of the broker's process, or `None` if it is stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.running().ok().map(|process| process.pid())
    }

    /// Stops the broker with SIGTERM and waits until it has ended.
    ///
    /// # Errors
    /// It took more than 60 s; it is killed then.
    pub async fn stop(&self) -> Result<(), StackError> {
        self.server.stop(STOP_LIMIT).await
    }

    /// Kills the broker with SIGKILL. Acknowledged records are in the page cache and survive.
    ///
    /// # Errors
    /// It is stopped already.
    pub fn kill(&self) -> Result<(), StackError> {
        self.server.running()?;
        self.server.kill();
        Ok(())
    }

    /// Starts the broker again on the same port and data; one that runs is stopped first.
    ///
    /// # Errors
    /// It does not start, for instance because the port was taken meanwhile.
    pub async fn restart(&self) -> Result<(), StackError> {
        self.stop().await?;
        self.launch().await
    }

    /// Kills the broker and removes its data; [`Kafka::restart`] then starts an empty one, under the same cluster id.
    ///
    /// # Errors
    /// The data cannot be removed.
    pub fn wipe(&self) -> Result<(), StackError> {
        self.server.kill();
        self.server.remove_data()
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

    async fn launch(&self) -> Result<(), StackError> {
        let properties = self.server.write("server.properties", &configuration::properties(self)?)?;
        if !self.server.data().join("meta.properties").exists() {
            self.format(&properties).await?;
        }
        let mut command = self.installation.java(&self.options);
        command.arg("kafka.Kafka").arg(properties);
        let (port, cluster_id) = (self.broker_port, self.cluster_id.as_str());
        self.server.launch(command, READY_LIMIT, async |_| probe::serves(port, cluster_id).await).await
    }

    async fn format(&self, properties: &PathBuf) -> Result<(), StackError> {
        self.server.make_data()?;
        let mut command: Command = self.installation.java(&self.options);
        command.args(["kafka.tools.StorageTool", "format", "--cluster-id", &self.cluster_id, "--config"]);
        command.arg(properties);
        command.args(self.options.secure.iter().flat_map(SecureListener::format_arguments));
        let process = self.server.spawn(command)?;
        let status = process.ended().await;
        if status.success() {
            return Ok(());
        }
        Err(StackError::Exited { program: "kafka format".to_owned(), status, log: process.log_tail() })
    }
}

fn prepare(
    installation: Installation,
    [broker_port, controller_port]: [u16; 2],
    options: KafkaOptions,
) -> Result<Kafka, StackError> {
    Ok(Kafka {
        server: Server::new("kafka")?,
        installation,
        options,
        bootstrap: format!("127.0.0.1:{broker_port}"),
        broker_port,
        controller_port,
        secure_port: None,
        cluster_id: configuration::random_cluster_id(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The retry with other ports knows this error by its text.
    #[tokio::test]
    async fn a_taken_port_is_told_in_the_log() {
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("bind");
        let ports = [taken.local_addr().expect("bound").port(), free_port().expect("a free port")];
        let installation = Installation::find().expect("on this machine");
        let kafka = prepare(installation, ports, KafkaOptions::default()).expect("a folder");
        assert!(crate::server::is_port_taken(&kafka.launch().await.expect_err("taken")));
    }

    #[tokio::test]
    async fn a_paused_broker_serves_again_when_it_is_resumed() {
        let kafka = Kafka::start().await.expect("starts");
        let serves = async || probe::serves(kafka.broker_port, &kafka.cluster_id).await;
        kafka.pause().expect("runs");
        let answer = tokio::time::timeout(Duration::from_millis(200), serves()).await;
        assert!(answer.is_err(), "{answer:?} while paused");
        kafka.resume().expect("runs");
        crate::eventually(Duration::from_secs(30), serves).await.expect("serves again");
    }
}
