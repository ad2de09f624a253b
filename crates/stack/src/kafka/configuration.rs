//! `server.properties` of the one node. Each value that differs from Kafka's default says why.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use super::Kafka;
use crate::error::StackError;

pub(super) fn properties(kafka: &Kafka) -> Result<String, StackError> {
    let mut properties: BTreeMap<String, String> = place(kafka);
    properties.extend(FIXED.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
    if let Some(secure) = &kafka.options.secure {
        properties.extend(secure.properties(kafka)?);
    }
    properties.extend(kafka.options.properties.clone());
    Ok(properties.iter().map(|(name, value)| format!("{name}={value}\n")).collect())
}

/// 22 characters of URL-safe base 64, as Kafka's `Uuid` reads them: the cluster id distinguishes this broker from a stranger
/// that took its port. The last character holds the last two bits of 128 only, so it is fixed.
pub(super) fn random_cluster_id() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let random = RandomState::new();
    // A leading dash would be read as an option by the command that formats the storage.
    let inner = (0..20).map(|index| ALPHABET[usize::from(random.hash_one(index).to_le_bytes()[0] % 64)]);
    std::iter::once(b'B').chain(inner).chain(std::iter::once(b'A')).map(char::from).collect()
}

fn place(kafka: &Kafka) -> BTreeMap<String, String> {
    let (broker, controller) = (kafka.broker_port, kafka.controller_port);
    let advertised = &kafka.options.advertised_host;
    let secure = kafka.secure_bootstrap().map(|address| format!(",SECURE://{address}")).unwrap_or_default();
    let pairs = [
        ("listeners", format!("PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}{secure}")),
        ("advertised.listeners", format!("PLAINTEXT://{advertised}:{broker}{secure}")),
        ("controller.quorum.voters", format!("1@127.0.0.1:{controller}")),
        ("log.dirs", kafka.server.data().display().to_string()),
        ("num.partitions", kafka.options.partitions.to_string()),
        ("message.max.bytes", kafka.options.max_message_bytes.to_string()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

const FIXED: &[(&str, &str)] = &[
    ("process.roles", "broker,controller"),
    ("node.id", "1"),
    ("controller.listener.names", "CONTROLLER"),
    ("inter.broker.listener.name", "PLAINTEXT"),
    // A misspelt topic is an error, not a new topic.
    ("auto.create.topics.enable", "false"),
    // The log's clock says when an event was accepted, whoever made the topic.
    ("log.message.timestamp.type", "LogAppendTime"),
    // Nothing disappears behind a test's back.
    ("log.retention.ms", "-1"),
    // The internal topics would otherwise wait for three brokers.
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    // Each partition of an internal topic costs files and time at its first use; the default is 50.
    ("offsets.topic.num.partitions", "2"),
    ("transaction.state.log.num.partitions", "2"),
    // A group of one need not wait 3 s for others.
    ("group.initial.rebalance.delay.ms", "0"),
    // A killed member is noticed in seconds, in both group protocols (the defaults are 45 s), and a new assignment
    // (KIP-848) arrives with a heartbeat (default 5 s).
    ("group.min.session.timeout.ms", "1000"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.session.timeout.ms", "6000"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.consumer.heartbeat.interval.ms", "500"),
    // A killed broker may register again only when its former self has lost its session (default 9 s).
    ("broker.heartbeat.interval.ms", "500"),
    ("broker.session.timeout.ms", "3000"),
    // Its default buffer is a quarter of the heap.
    ("log.cleaner.dedupe.buffer.size", "8388608"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_ids_differ() {
        let (one, other) = (random_cluster_id(), random_cluster_id());
        assert_eq!(one.len(), 22);
        assert_ne!(one, other);
    }
}
