//! What an acknowledgement and a count rest on, as the manifests have it: copies of a record, the time that decides about
//! idempotency keys, and a store that never drops a key.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::object::{Container, Object};
use super::report::Check;

const MIN_IN_SYNC: &str = "min.insync.replicas";
const TIME: &str = "message.timestamp.type";
const LOG_APPEND_TIME: &str = "LogAppendTime";
const POLICY: &str = "maxmemory-policy";
const NO_EVICTION: &str = "noeviction";

/// A topic that the overlay makes.
struct Topic {
    name: String,
    replicas: u64,
    config: BTreeMap<String, String>,
}

/// With `acks=all` a record has as many copies as `min.insync.replicas` says, and no more, when it is acknowledged.
pub(super) fn copies(objects: &[Object]) -> Vec<Check> {
    topics(objects).iter().map(copies_of).collect()
}

/// Idempotency keys are remembered for 24 hours by the log's clock, if the log keeps that.
pub(super) fn times(objects: &[Object]) -> Vec<Check> {
    let default = broker_settings(objects).remove("log.message.timestamp.type");
    let time = |topic: &Topic| topic.config.get(TIME).or(default.as_ref()).cloned();
    let all = topics(objects);
    let wrong = all.iter().filter(|topic| time(topic).as_deref() != Some(LOG_APPEND_TIME));
    let wrong: Vec<_> = wrong.map(|topic| topic.name.as_str()).collect();
    match (all.is_empty(), wrong.is_empty()) {
        (true, _) => Vec::new(),
        (false, true) => vec![Check::ok("record times", format!("{LOG_APPEND_TIME}: the log's own clock"))],
        (false, false) => vec![Check::warning(
            "record times",
            format!("{} keep the producers' times: a wrong clock decides what counts once", wrong.join(", ")),
            format!("# in the topic's configuration: {TIME}: {LOG_APPEND_TIME}"),
        )],
    }
}

/// A store under any other policy drops keys when it is full: a position among them, and the log is counted again on top.
pub(super) fn eviction(objects: &[Object]) -> Option<Check> {
    let check = "eviction";
    let remedy = format!("# in Valkey's configuration: {POLICY} {NO_EVICTION}");
    let policies: Vec<_> = objects.iter().flat_map(policies).collect();
    if let Some((place, policy)) = policies.iter().find(|(_, policy)| policy != NO_EVICTION) {
        let seen = format!("{place}: {POLICY} {policy}, which drops counters and positions of a full store");
        return Some(Check::problem(check, seen, remedy));
    }
    // The virtual machines' disk and the image `valkey-config` write no other.
    let is_ours = |object: &Object| {
        let has_config =
            || containers(object).iter().any(|container| name(&container.image) == "valkey-config");
        object.kind == "VirtualMachine" || has_config()
    };
    if !policies.is_empty() || objects.iter().any(is_ours) {
        return Some(Check::ok(check, format!("{POLICY} {NO_EVICTION}")));
    }
    let is_valkey = |object: &&Object| containers(object).iter().any(|container| is_store(&container.image));
    objects.iter().find(is_valkey).map(|object| {
        let seen = format!("{}: the manifests do not say its {POLICY}", object.place());
        let ask = format!("valkey-cli config get {POLICY}     # it must be {NO_EVICTION}");
        Check::warning(check, seen, ask)
    })
}

fn copies_of(Topic { name, replicas, config }: &Topic) -> Check {
    let check = "copies";
    let least = config.get(MIN_IN_SYNC).and_then(|text| text.parse::<u64>().ok());
    let remedy = |value: u64| format!("# in the topic's configuration: {MIN_IN_SYNC}: {value}");
    match (*replicas, least) {
        (0 | 1, None | Some(0 | 1)) => {
            Check::ok(check, format!("{name}: one, as durable as one broker's disk"))
        }
        (replicas, Some(least)) if least > replicas => {
            let seen = format!("{name}: {replicas}, and {MIN_IN_SYNC} is {least}: nothing can be written");
            Check::problem(check, seen, remedy(replicas.saturating_sub(1).max(1)))
        }
        (replicas, Some(least)) if least == replicas => {
            let seen =
                format!("{name}: {replicas}, and {MIN_IN_SYNC} is {least}: one broker away stops all sales");
            Check::warning(check, seen, remedy(replicas - 1))
        }
        (replicas, Some(least @ 2..)) => Check::ok(
            check,
            format!("{name}: {replicas}, of which {least} have a record before it is acknowledged"),
        ),
        (replicas, None | Some(0 | 1)) => {
            let seen = format!("{name}: {replicas}, and an acknowledged record may have one only");
            Check::problem(check, seen, remedy((replicas - 1).max(1)))
        }
    }
}

/// By `KafkaTopic`s, or by the arguments of a job that makes them.
fn topics(objects: &[Object]) -> Vec<Topic> {
    let settings = broker_settings(objects);
    let mut topics: Vec<_> = objects.iter().flat_map(declared).collect();
    for topic in &mut topics {
        if let Some(least) = settings.get(MIN_IN_SYNC) {
            topic.config.entry(MIN_IN_SYNC.to_owned()).or_insert_with(|| least.clone());
        }
    }
    topics
}

fn declared(object: &Object) -> Vec<Topic> {
    match object.kind.as_str() {
        "KafkaTopic" => vec![Topic {
            name: object.metadata.name.clone(),
            replicas: object.spec["replicas"].as_u64().unwrap_or(1),
            config: texts(&object.spec["config"]),
        }],
        "Job" => containers(object).iter().filter_map(by_arguments).collect(),
        _ => Vec::new(),
    }
}

fn by_arguments(container: &Container) -> Option<Topic> {
    let pairs: Vec<_> = container.args.iter().zip(container.args.iter().skip(1)).collect();
    let after = |flag: &str| pairs.iter().find(|(word, _)| *word == flag).map(|(_, value)| *value);
    let name = after("--topic").filter(|_| container.args.iter().any(|word| word == "--create"))?;
    let settings = pairs.iter().filter(|(word, _)| *word == "--config");
    let config = settings.filter_map(|(_, value)| value.split_once('=')).map(owned).collect();
    let replicas = after("--replication-factor").and_then(|text| text.parse().ok()).unwrap_or(1);
    Some(Topic { name: name.clone(), replicas, config })
}

/// What a topic has that says nothing itself.
fn broker_settings(objects: &[Object]) -> BTreeMap<String, String> {
    let of = |object: &Object| match object.kind.as_str() {
        "Kafka" => texts(&object.spec["kafka"]["config"]),
        "ConfigMap" => {
            let file = object.data["server.properties"].as_str().unwrap_or_default();
            let lines = file.lines().map(str::trim).filter(|line| !line.starts_with('#'));
            lines.filter_map(|line| line.split_once('=')).map(owned).collect()
        }
        _ => BTreeMap::new(),
    };
    objects.iter().flat_map(of).collect()
}

/// Every `maxmemory-policy` in a configuration file or on a command line, and where.
fn policies(object: &Object) -> Vec<(String, String)> {
    let files = BTreeMap::<String, String>::deserialize(&object.data).unwrap_or_default();
    let files = if object.kind == "ConfigMap" { files } else { BTreeMap::new() };
    let lines: Vec<_> = files.values().flat_map(|file| file.lines().map(str::to_owned)).collect();
    let arguments = containers(object).into_iter().map(|container| container.args.join(" "));
    let texts = lines.into_iter().chain(arguments);
    let mut found = Vec::new();
    for text in texts.filter(|text| !text.trim_start().starts_with('#')) {
        let mut words = text.split_whitespace().map(|word| word.trim_start_matches("--"));
        if words.any(|word| word == POLICY)
            && let Some(policy) = words.next()
        {
            found.push((object.place(), policy.trim_matches('"').to_ascii_lowercase()));
        }
    }
    found
}

fn containers(object: &Object) -> Vec<Container> {
    let pods = object.pods();
    pods.init_containers.into_iter().chain(pods.containers).collect()
}

fn is_store(image: &str) -> bool {
    name(image).starts_with("valkey") || name(image).starts_with("redis")
}

/// Of an image, without its registry, tag and digest.
fn name(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split([':', '@']).next().unwrap_or_default()
}

fn texts(map: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let map = map.as_object().into_iter().flatten();
    map.map(|(name, value)| (name.clone(), text(value))).collect()
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.trim().to_owned(), value.trim().to_owned())
}

#[cfg(test)]
mod tests;
