//! A node's place in its cluster: who it is, who the others are, and its ports.

use std::hash::{BuildHasher, RandomState};

use super::KafkaOptions;
use crate::error::StackError;
use crate::port::{PortChoice, free_port};

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: i32,
    pub(super) ports: Ports,
    /// All nodes, each of which is a controller, too: `<id>@<address>`.
    pub(super) voters: String,
    /// How many nodes there are.
    pub(super) size: usize,
    pub(super) cluster_id: String,
}

/// All of 127.0.0.1.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    pub(super) broker: u16,
    pub(super) controller: u16,
    /// Where the other brokers reach it, if they do not go where clients go.
    pub(super) between_brokers: Option<u16>,
    pub(super) secure: Option<u16>,
}

impl Member {
    pub(super) fn alone(options: &KafkaOptions, broker: PortChoice) -> Result<Self, StackError> {
        let broker = broker.choose()?;
        let mut members = Self::of_cluster(1, options)?;
        let mut alone = members.pop().expect("one was asked for");
        alone.ports.broker = broker;
        Ok(alone)
    }

    /// So many, with ids from 1 on.
    pub(super) fn of_cluster(size: usize, options: &KafkaOptions) -> Result<Vec<Self>, StackError> {
        let ports = (0..size).map(|_| Ports::free(size, options)).collect::<Result<Vec<_>, _>>()?;
        let voter = |(id, ports): (i32, &Ports)| format!("{id}@127.0.0.1:{}", ports.controller);
        let voters = (1..).zip(&ports).map(voter).collect::<Vec<_>>().join(",");
        let cluster_id = random_cluster_id();
        let member = |(id, ports)| {
            let (voters, cluster_id) = (voters.clone(), cluster_id.clone());
            Self { id, ports, voters, size, cluster_id }
        };
        Ok((1..).zip(ports).map(member).collect())
    }
}

impl Ports {
    fn free(size: usize, options: &KafkaOptions) -> Result<Self, StackError> {
        let wants = |wanted: bool| wanted.then(free_port).transpose();
        Ok(Self {
            broker: free_port()?,
            controller: free_port()?,
            between_brokers: wants(size > 1 || options.behind_proxy)?,
            secure: wants(options.secure.is_some())?,
        })
    }
}

/// 22 characters of URL-safe base 64, as Kafka's `Uuid` reads them: the cluster id distinguishes a broker from a stranger
/// that took its port. The last character holds the last two bits of 128 only, so it is fixed.
fn random_cluster_id() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let random = RandomState::new();
    // A leading dash would be read as an option by the command that formats the storage.
    let inner = (0..20).map(|index| ALPHABET[usize::from(random.hash_one(index).to_le_bytes()[0] % 64)]);
    std::iter::once(b'B').chain(inner).chain(std::iter::once(b'A')).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_ids_differ() {
        let (one, other) = (random_cluster_id(), random_cluster_id());
        assert_eq!(one.len(), 22);
        assert_ne!(one, other);
    }

    #[test]
    fn all_nodes_of_a_cluster_know_each_other() {
        let members = Member::of_cluster(3, &KafkaOptions::default()).expect("free ports");
        let controllers: Vec<_> =
            members.iter().map(|node| format!("{}@127.0.0.1:{}", node.id, node.ports.controller)).collect();
        for (id, member) in (1..).zip(&members) {
            assert_eq!((member.id, &member.voters), (id, &controllers.join(",")));
            assert_eq!(member.cluster_id, members[0].cluster_id);
        }
    }
}
