//! Several brokers that keep copies of each other's partitions, all of them controllers, too: of three, one may be away.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::installation::Installation;
use super::member::Member;
use super::{Kafka, KafkaOptions, PartitionState, prepare};
use crate::error::StackError;
use crate::eventually::eventually;
use crate::server::{Server, with_free_ports};

/// Until each knows all, after each serves.
const ACQUAINTED_LIMIT: Duration = Duration::from_secs(60);

/// How a [`KafkaCluster`] is started.
#[derive(Clone, Debug)]
pub struct KafkaClusterOptions {
    /// How many brokers.
    pub brokers: usize,
    /// Copies of a topic's partitions, unless it is made with another number.
    pub replication: usize,
    /// How many of them must have a record before it is acknowledged.
    pub min_in_sync: usize,
    /// What goes for each broker.
    pub each: KafkaOptions,
}

impl Default for KafkaClusterOptions {
    fn default() -> Self {
        let each = KafkaOptions { heap_mib: 256, ..KafkaOptions::default() };
        Self { brokers: 3, replication: 3, min_in_sync: 2, each }
    }
}

/// Brokers of one cluster, each of which can be stopped, killed, paused and started again like a [`Kafka`] that is alone.
#[derive(Debug)]
pub struct KafkaCluster {
    nodes: Vec<Kafka>,
}

impl KafkaCluster {
    /// Starts all brokers at once, and waits until each serves and knows the others.
    ///
    /// # Errors
    /// Java or Kafka is not on this machine, or a broker does not start.
    pub async fn start_with(options: KafkaClusterOptions) -> Result<Self, StackError> {
        let installation = Installation::find()?;
        let each = KafkaOptions { properties: properties(&options), ..options.each };
        with_free_ports(async || {
            let mut nodes = Vec::new();
            for member in Member::of_cluster(options.brokers, &each)? {
                nodes.push(prepare(Server::new("kafka")?, installation.clone(), member, each.clone()).await?);
            }
            try_join_all(nodes.iter().map(Kafka::launch)).await?;
            let cluster = Self { nodes };
            eventually(ACQUAINTED_LIMIT, async || cluster.is_complete().await).await?;
            Ok(cluster)
        })
        .await
    }

    /// The addresses of all brokers, with commas between them; the same after restarts.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.nodes.iter().map(Kafka::bootstrap).collect::<Vec<_>>().join(",")
    }

    /// The brokers, by their ids, which begin with 1.
    #[must_use]
    pub fn nodes(&self) -> &[Kafka] {
        &self.nodes
    }

    /// The topic's partitions, as the first broker that answers knows them.
    ///
    /// # Errors
    /// None can be reached.
    pub async fn partitions(&self, topic: &str) -> Result<Vec<PartitionState>, StackError> {
        let mut asked = Err(StackError::Stopped { program: "kafka" });
        for node in self.nodes.iter().filter(|node| node.pid().is_some()) {
            asked = node.partitions(topic).await;
            if asked.is_ok() {
                break;
            }
        }
        asked
    }

    /// The broker that leads this partition, if any does.
    ///
    /// # Errors
    /// No broker can be reached.
    pub async fn leader(&self, topic: &str, partition: i32) -> Result<Option<&Kafka>, StackError> {
        let partitions = self.partitions(topic).await?;
        let leader = partitions.iter().find(|state| state.id == partition).and_then(|state| state.leader);
        Ok(leader.and_then(|id| self.nodes.iter().find(|node| node.id() == id)))
    }

    /// Whether every broker runs and knows all others.
    pub async fn is_complete(&self) -> bool {
        for node in &self.nodes {
            if node.brokers().await.ok().map(|known| known.len()) != Some(self.nodes.len()) {
                return false;
            }
        }
        true
    }
}

fn properties(options: &KafkaClusterOptions) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::from([
        ("default.replication.factor".to_owned(), options.replication.to_string()),
        ("min.insync.replicas".to_owned(), options.min_in_sync.to_string()),
    ]);
    properties.extend(options.each.properties.clone());
    properties
}
