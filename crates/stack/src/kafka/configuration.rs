//! `server.properties` of a node. Each value that differs from Kafka's default says why.

use std::collections::BTreeMap;

use super::Kafka;
use super::secure::SecureListener;
use crate::error::StackError;

pub(super) fn properties(kafka: &Kafka) -> Result<String, StackError> {
    let mut properties: BTreeMap<String, String> = place(kafka);
    properties.extend(FIXED.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
    properties.extend(internal_topics(kafka.member.size));
    if let Some(secure) = &kafka.options.secure {
        properties.extend(secure.properties(kafka)?);
    }
    properties.extend(kafka.options.properties.clone());
    Ok(properties.iter().map(|(name, value)| format!("{name}={value}\n")).collect())
}

fn place(kafka: &Kafka) -> BTreeMap<String, String> {
    let (member, ports) = (&kafka.member, &kafka.member.ports);
    let (advertised, advertised_port) = (&kafka.options.advertised_host, kafka.advertised_port());
    let secure = kafka.secure_bootstrap().map(|address| format!(",SECURE://{address}")).unwrap_or_default();
    let inside = ports.between_brokers.map(|port| format!(",INSIDE://127.0.0.1:{port}")).unwrap_or_default();
    let protocol = kafka.options.secure.as_ref().map_or("PLAINTEXT", SecureListener::protocol);
    let (broker, controller) = (ports.broker, ports.controller);
    let listeners =
        format!("PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}{inside}{secure}");
    let between = if ports.between_brokers.is_some() { "INSIDE" } else { "PLAINTEXT" };
    let pairs = [
        ("node.id", member.id.to_string()),
        ("listeners", listeners),
        ("advertised.listeners", format!("PLAINTEXT://{advertised}:{advertised_port}{inside}{secure}")),
        (
            "listener.security.protocol.map",
            format!("PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,INSIDE:PLAINTEXT,SECURE:{protocol}"),
        ),
        ("inter.broker.listener.name", between.to_owned()),
        ("controller.quorum.voters", member.voters.clone()),
        ("log.dirs", kafka.server.data().display().to_string()),
        ("num.partitions", kafka.options.partitions.to_string()),
        ("message.max.bytes", kafka.options.max_message_bytes.to_string()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// They would otherwise wait for three brokers.
fn internal_topics(brokers: usize) -> impl Iterator<Item = (String, String)> {
    let (copies, in_sync) = (brokers.min(3), if brokers < 3 { 1 } else { 2 });
    let pairs = [
        ("offsets.topic.replication.factor", copies),
        ("transaction.state.log.replication.factor", copies),
        ("transaction.state.log.min.isr", in_sync),
        ("share.coordinator.state.topic.replication.factor", copies),
        ("share.coordinator.state.topic.min.isr", in_sync),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_string()))
}

const FIXED: &[(&str, &str)] = &[
    ("process.roles", "broker,controller"),
    ("controller.listener.names", "CONTROLLER"),
    // A misspelt topic is an error, not a new topic.
    ("auto.create.topics.enable", "false"),
    // The log's clock says when an event was accepted, whoever made the topic.
    ("log.message.timestamp.type", "LogAppendTime"),
    // Nothing disappears behind a test's back.
    ("log.retention.ms", "-1"),
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
