//! A Kafka of its own: one KRaft node that is broker and controller, alone or with others of a [`KafkaCluster`].

mod cluster;
mod configuration;
mod installation;
mod member;
mod probe;
mod secure;
mod state;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

pub use self::cluster::{KafkaCluster, KafkaClusterOptions};
use self::installation::Installation;
use self::member::Member;
pub use self::secure::{Grant, SecureListener};
pub use self::state::{Election, PartitionState};
use crate::clock::Clock;
use crate::error::StackError;
use crate::place::Place;
use crate::process::Scarce;
use crate::proxy::{Proxy, Wire};
use crate::server::{Server, with_free_ports};

const READY_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Which cluster and node a storage belongs to.
const IDENTITY: &str = "meta.properties";

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
    /// Whether clients reach the plain listener through a proxy, see [`Kafka::proxy`], and are told no other address. Brokers
    /// reach each other without.
    pub behind_proxy: bool,
    /// The time of day that the broker looks at, if not this machine's.
    pub clock: Option<Arc<Clock>>,
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
            behind_proxy: false,
            clock: None,
        }
    }
}

/// A running, paused or stopped Kafka on a loopback port. Dropping it kills it, and removes its data unless a
/// folder was given.
#[derive(Debug)]
pub struct Kafka {
    server: Server,
    installation: Installation,
    options: KafkaOptions,
    member: Member,
    proxy: Option<Proxy>,
    bootstrap: String,
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
        Self::start_at(&Place::default(), options).await
    }

    /// As [`Kafka::start_with`], where it is to be found. A folder's data goes on under its own cluster id.
    ///
    /// # Errors
    /// As [`Kafka::start_with`]; the port is taken, or another process uses the folder.
    pub async fn start_at(place: &Place, options: KafkaOptions) -> Result<Self, StackError> {
        let installation = Installation::find()?;
        with_free_ports(async || {
            let server = place.server("kafka").await?;
            let mut member = Member::alone(&options, place.port)?;
            member.cluster_id = cluster_id_in(&server.data()).unwrap_or(member.cluster_id);
            let kafka = prepare(server, installation.clone(), member, options.clone()).await?;
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

    /// The version of Kafka that runs, where its jars say it.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        self.installation.version()
    }

    /// The node's id: 1, or its number in a cluster.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.member.id
    }

    /// What clients reach it through, with [`KafkaOptions::behind_proxy`]; it tells answers from each other.
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
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

    /// Copies the data as it is on disk now, in place of an earlier copy. A stopped broker's is whole.
    ///
    /// # Errors
    /// The data cannot be copied.
    pub fn checkpoint(&self) -> Result<(), StackError> {
        self.server.copy_data()
    }

    /// Kills the broker and puts the copy in place of its data; [`Kafka::restart`] then starts it from there, as if its
    /// topics had lost their tails.
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

    async fn launch(&self) -> Result<(), StackError> {
        let properties = self.server.write("server.properties", &configuration::properties(self)?)?;
        if !self.server.data().join(IDENTITY).exists() {
            self.format(&properties).await?;
        }
        let mut command = self.installation.java(&self.options, self.server.folder());
        command.arg("kafka.Kafka").arg(properties);
        if let Some(clock) = &self.options.clock {
            clock.wear(&mut command);
        }
        self.server.launch(command, READY_LIMIT, async |_| self.serves().await).await
    }

    /// Whether it is registered: it lists itself as clients are to find it.
    async fn serves(&self) -> bool {
        probe::serves(self.member.ports.broker, self.advertised_port(), &self.member.cluster_id).await
    }

    fn advertised_port(&self) -> u16 {
        self.proxy.as_ref().map_or(self.member.ports.broker, |proxy| proxy.address().port())
    }

    /// Makes the storage: by hand where the features are at hand, else by Kafka's own tool, which is one more Java to be
    /// started. Only that one can write passwords.
    async fn format(&self, properties: &PathBuf) -> Result<(), StackError> {
        self.server.make_data()?;
        let has_users = self.options.secure.as_ref().is_some_and(|secure| !secure.users.is_empty());
        match self.installation.features() {
            Some(features) if !has_users => self.format_by_hand(&features),
            _ => self.format_by_tool(properties).await,
        }
    }

    fn format_by_hand(&self, features: &Path) -> Result<(), StackError> {
        let Member { id, cluster_id, .. } = &self.member;
        let identity = format!("version=1\nnode.id={id}\ncluster.id={cluster_id}\n");
        self.server.copy_into_data(features)?;
        self.server.write(IDENTITY, &identity)?;
        self.server.move_into_data(IDENTITY)
    }

    async fn format_by_tool(&self, properties: &PathBuf) -> Result<(), StackError> {
        let mut command: Command = self.installation.java(&self.options, self.server.folder());
        command.args([
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            &self.member.cluster_id,
            "--config",
        ]);
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

/// Of a storage that was formatted.
fn cluster_id_in(data: &Path) -> Option<String> {
    let identity = fs::read_to_string(data.join(IDENTITY)).ok()?;
    identity.lines().find_map(|line| Some(line.strip_prefix("cluster.id=")?.to_owned()))
}

async fn prepare(
    server: Server,
    installation: Installation,
    member: Member,
    options: KafkaOptions,
) -> Result<Kafka, StackError> {
    let address = format!("127.0.0.1:{}", member.ports.broker);
    let proxy = match options.behind_proxy {
        true => Some(Proxy::speaking(Wire::Kafka, &address).await?),
        false => None,
    };
    let bootstrap = proxy.as_ref().map_or(address, |proxy| proxy.address().to_string());
    Ok(Kafka { server, installation, options, member, proxy, bootstrap })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::PortChoice;

    /// The retry with other ports knows this error by its text.
    #[tokio::test]
    async fn a_taken_port_is_told_in_the_log() {
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("bind");
        let options = KafkaOptions::default();
        let mut member = Member::alone(&options, PortChoice::Any).expect("free ports");
        member.ports.broker = taken.local_addr().expect("bound").port();
        let installation = Installation::find().expect("on this machine");
        let kafka = prepare(Server::new("kafka").expect("a folder"), installation, member, options)
            .await
            .expect("no proxy");
        assert!(crate::server::is_port_taken(&kafka.launch().await.expect_err("taken")));
    }

    #[tokio::test]
    async fn a_paused_broker_serves_again_when_it_is_resumed() {
        let kafka = Kafka::start().await.expect("starts");
        kafka.pause().expect("runs");
        let answer = tokio::time::timeout(Duration::from_millis(200), kafka.serves()).await;
        assert!(answer.is_err(), "{answer:?} while paused");
        kafka.resume().expect("runs");
        crate::eventually(Duration::from_secs(30), async || kafka.serves().await)
            .await
            .expect("serves again");
    }
}
