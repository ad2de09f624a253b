use std::collections::BTreeMap;

use redis::{Cmd, FromRedisValue, Pipeline, cmd, pipe};

use crate::connection::Connection;
use crate::error::StoreError;
use crate::keys::Keys;
use crate::model::Value;
use crate::part::Part;

const WHAT: &str = "read the whole store";
const KEYS_AT_ONCE: usize = 1000;
/// Sorted sets and hashes are read in parts, so that no answer holds Valkey up for long, nor is large: a day's idempotency
/// keys may be millions.
const MEMBERS_AT_ONCE: usize = 50_000;
const FIELDS_AT_ONCE: usize = 10_000;

/// Keys and values are bytes to Valkey; what is not UTF-8 was not written by us.
type Bytes = Vec<u8>;
type Fields = BTreeMap<String, String>;
/// Where to read on, 0 at the end, and fields with their values. A field may come more than once.
type HashPart = (u64, Vec<(Bytes, Bytes)>);

/// Every key under the prefix that has the name of one of ours, but for those of the parts that are left out.
pub(crate) async fn dump(
    connection: &Connection,
    keys: &Keys,
    left_out: &[Part<'_>],
) -> Result<BTreeMap<String, Value>, StoreError> {
    let is_wanted = |key: &str| keys.is_ours(key) && !left_out.iter().any(|part| part.holds(keys, key));
    let mut found = BTreeMap::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern(keys)).arg("COUNT").arg(KEYS_AT_ONCE);
        let ((next, names),): ((u64, Vec<Bytes>),) = query(connection, pipe().add_command(scan)).await?;
        let names: Vec<_> = names.into_iter().filter(|name| is_wanted(&text(name))).collect();
        found.extend(values(connection, &names).await?);
        if next == 0 {
            left_out.iter().for_each(|part| part.leave_schema(keys, &mut found));
            return Ok(found);
        }
        cursor = next;
    }
}

/// The values of these keys. A key that vanished meanwhile is left out.
async fn values(connection: &Connection, names: &[Bytes]) -> Result<Vec<(String, Value)>, StoreError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut kinds = pipe();
    for name in names {
        kinds.cmd("TYPE").arg(name).cmd("PEXPIRETIME").arg(name);
    }
    let kinds: Vec<redis::Value> = query(connection, &kinds).await?;
    let mut values = Vec::with_capacity(names.len());
    let mut hashes = Vec::new();
    for (name, kind) in names.iter().zip(kinds.chunks_exact(2)) {
        let (kind, expires_at_ms) = (parse::<String>(&kind[0])?, parse::<i64>(&kind[1])?);
        let value = match kind.as_str() {
            "none" => continue,
            "hash" => {
                hashes.push((name, expires_at_ms));
                continue;
            }
            "string" => read_text(connection, name).await?,
            "zset" => Some(read_members(connection, name).await?),
            other => Some(Value::Text(format!("a key of type {other}"))),
        };
        values.extend(value.map(|value| (text(name), with_expiry(value, expires_at_ms))));
    }
    for ((name, expires_at_ms), fields) in hashes.iter().zip(read_hashes(connection, &hashes).await?) {
        if !fields.is_empty() {
            values.push((text(name), with_expiry(Value::Hash(fields), *expires_at_ms)));
        }
    }
    Ok(values)
}

/// The fields of each of these. Weather reports are hashes, and by far the most keys: one round trip reads them all.
async fn read_hashes(connection: &Connection, hashes: &[(&Bytes, i64)]) -> Result<Vec<Fields>, StoreError> {
    let first = hashes.iter().map(|(name, _)| hscan(name, 0)).collect();
    let parts: Vec<HashPart> = query_all(connection, first).await?;
    let mut all = Vec::with_capacity(hashes.len());
    for ((name, _), (mut cursor, part)) in hashes.iter().zip(parts) {
        let mut fields = texts(part);
        while cursor != 0 {
            let next = query_all::<HashPart>(connection, vec![hscan(name, cursor)]).await?;
            let (next, part) = next.into_iter().next().unwrap_or_default();
            fields.extend(texts(part));
            cursor = next;
        }
        all.push(fields);
    }
    Ok(all)
}

fn hscan(name: &Bytes, cursor: u64) -> Cmd {
    let mut hscan = command("HSCAN", name);
    hscan.arg(cursor).arg("COUNT").arg(FIELDS_AT_ONCE);
    hscan
}

fn texts(part: Vec<(Bytes, Bytes)>) -> Fields {
    part.into_iter().map(|(field, value)| (text(&field), text(&value))).collect()
}

async fn read_text(connection: &Connection, name: &Bytes) -> Result<Option<Value>, StoreError> {
    let found: Vec<Option<Bytes>> = query_all(connection, vec![command("GET", name)]).await?;
    Ok(found.into_iter().flatten().next().map(|found| Value::Text(text(&found))))
}

async fn read_members(connection: &Connection, name: &Bytes) -> Result<Value, StoreError> {
    let mut members = BTreeMap::new();
    for first in (0..).step_by(MEMBERS_AT_ONCE) {
        let mut range = command("ZRANGE", name);
        range.arg(first).arg(first + MEMBERS_AT_ONCE - 1).arg("WITHSCORES");
        let (part,): (Vec<(Bytes, String)>,) = query(connection, pipe().add_command(range)).await?;
        let read = part.len();
        members.extend(part.into_iter().map(|(member, score)| (text(&member), score)));
        if read < MEMBERS_AT_ONCE {
            break;
        }
    }
    Ok(Value::Sorted(members))
}

fn with_expiry(value: Value, expires_at_ms: i64) -> Value {
    match u64::try_from(expires_at_ms) {
        Ok(at_ms) => Value::Expiring { at_ms, value: Box::new(value) },
        // -1: never, -2: gone meanwhile.
        Err(_) => value,
    }
}

fn command(name: &str, key: &Bytes) -> Cmd {
    let mut command = cmd(name);
    command.arg(key);
    command
}

async fn query_all<T: FromRedisValue>(
    connection: &Connection,
    commands: Vec<Cmd>,
) -> Result<Vec<T>, StoreError> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let mut all = pipe();
    commands.into_iter().for_each(|command| {
        all.add_command(command);
    });
    query(connection, &all).await
}

async fn query<T: FromRedisValue>(connection: &Connection, pipeline: &Pipeline) -> Result<T, StoreError> {
    connection.query(pipeline).await.map_err(|error| StoreError::new(WHAT, error, connection.names()))
}

fn parse<T: FromRedisValue>(answer: &redis::Value) -> Result<T, StoreError> {
    redis::from_redis_value(answer.clone())
        .map_err(|error| StoreError::Malformed { what: WHAT, detail: error.to_string() })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// For SCAN's MATCH: the prefix, taken literally.
fn pattern(keys: &Keys) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '\\');
    let escaped = |c: char| special(c).then_some('\\').into_iter().chain([c]);
    keys.prefix().chars().flat_map(escaped).chain(['*']).collect()
}
