//! Where the partitions of a topic are: what is read before counting goes on, and whether that can be right.

use std::collections::BTreeMap;

use redis::{FromRedisValue, Pipeline, Value as Reply, pipe};

use crate::apply::LastRecord;
use crate::config::StoreConfig;
use crate::error::StoreError;
use crate::keys::Keys;

const WHAT: &str = "read the positions";

/// What the store knows of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct StoredPartition {
    /// The next offset to count.
    pub next: i64,
    /// The last record below it, unless none was counted since the position was last moved by hand.
    pub last: Option<LastRecord>,
    /// Why it is stopped, if it is: nothing is counted until it is resumed.
    pub stopped: Option<String>,
}

pub(crate) fn commands(keys: &Keys, topic: &str) -> Pipeline {
    let mut all = pipe();
    for key in [keys.position(topic), keys.last(topic), keys.stopped(topic), keys.schema()] {
        all.cmd("HGETALL").arg(key);
    }
    all
}

/// Reads the answers in the order of [`commands`].
///
/// # Errors
/// A value is not one of ours, the store was begun with another schema, or a partition was begun and has no position:
/// counting it from 0 would count everything again.
pub(crate) fn read(
    answers: Vec<Reply>,
    keys: &Keys,
    config: &StoreConfig,
    topic: &str,
) -> Result<BTreeMap<i32, StoredPartition>, StoreError> {
    let mut answers = answers.into_iter();
    let mut hash = |key: &str| fields(answers.next().unwrap_or(Reply::Nil), key);
    let (position, last) = (keys.position(topic), keys.last(topic));
    let positions = hash(&position)?;
    let lasts = hash(&last)?;
    let stopped = hash(&keys.stopped(topic))?;
    let schema = hash(&keys.schema())?;
    check_schema(&schema, keys, config, &positions, &position)?;
    let mut partitions = BTreeMap::<i32, StoredPartition>::new();
    for (id, text) in &positions {
        let next = text.parse().ok().filter(|next| *next >= 0);
        let next = next.ok_or_else(|| wrong(&position, format!("holds {text:?} for partition {id}")))?;
        partitions.entry(partition(id, &position)?).or_default().next = next;
    }
    for (id, text) in &lasts {
        let record = LastRecord::parse(text);
        let record = record.ok_or_else(|| wrong(&last, format!("holds {text:?} for partition {id}")))?;
        partitions.entry(partition(id, &last)?).or_default().last = Some(record);
    }
    for (id, reason) in stopped {
        partitions.entry(partition(&id, &keys.stopped(topic))?).or_default().stopped = Some(reason);
    }
    check_begun(&schema, keys, topic, &positions)?;
    Ok(partitions)
}

fn check_schema(
    schema: &BTreeMap<String, String>,
    keys: &Keys,
    config: &StoreConfig,
    positions: &BTreeMap<String, String>,
    position: &str,
) -> Result<(), StoreError> {
    if schema.is_empty() {
        let missing = || wrong(&keys.schema(), format!("is missing while {position} is there"));
        return if positions.is_empty() { Ok(()) } else { Err(missing()) };
    }
    for (name, expected) in config.schema() {
        let found = schema.get(name).map_or("unset", String::as_str);
        if found != expected {
            return Err(wrong(&keys.schema(), format!("has {name} {found}, not {expected}")));
        }
    }
    Ok(())
}

fn check_begun(
    schema: &BTreeMap<String, String>,
    keys: &Keys,
    topic: &str,
    positions: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    let begun = Keys::begun_prefix(topic);
    let begun = schema.keys().filter_map(|field| field.strip_prefix(&begun));
    // Another topic's name may begin with this one's and a colon.
    let mut begun = begun.filter(|id| id.parse::<i32>().is_ok());
    match begun.find(|id| !positions.contains_key(*id)) {
        None => Ok(()),
        Some(id) => {
            let detail = format!("has no partition {id}, which {} knows as begun", keys.schema());
            Err(wrong(&keys.position(topic), detail))
        }
    }
}

fn fields(answer: Reply, key: &str) -> Result<BTreeMap<String, String>, StoreError> {
    BTreeMap::from_redis_value(answer).map_err(|error| wrong(key, error.to_string()))
}

fn partition(id: &str, key: &str) -> Result<i32, StoreError> {
    id.parse().map_err(|_| wrong(key, format!("holds a partition {id:?}")))
}

fn wrong(key: &str, detail: String) -> StoreError {
    StoreError::WrongKey { what: WHAT, key: key.to_owned(), detail }
}
