use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use blackfriday_event::{Bounds, IdempotencyKey, KeyWindow, Timestamp};
use redis::{ErrorKind, Pipeline, RedisError, ServerErrorKind, Value as Reply, cmd, pipe};

use crate::connection::Connection;
use crate::keys::Keys;
use crate::{Batch, Outcome, Snapshot, StoreConfig, StoreError, ValkeyConfig, apply, model, snapshot};

const FUNCTIONS: &str = include_str!("functions.lua");

/// The counters in Valkey. Clones share one connection, which is made when it is needed and made anew after it broke.
#[derive(Clone)]
pub struct Store {
    connection: Arc<Connection>,
    keys: Arc<Keys>,
    config: Arc<StoreConfig>,
}

impl Store {
    /// A store at this server. Does not connect yet.
    ///
    /// # Errors
    /// The URL is not one that the client understands.
    pub fn new(valkey: &ValkeyConfig, config: &StoreConfig) -> Result<Self, StoreError> {
        let connection =
            Connection::new(valkey).map_err(|error| StoreError::new("read the Valkey URL", error))?;
        Ok(Self {
            connection: Arc::new(connection),
            keys: Arc::new(Keys::new(&valkey.key_prefix)),
            config: Arc::new(config.clone()),
        })
    }

    /// The bounds that tallies for this store must have.
    pub fn bounds(&self) -> Bounds {
        self.config.bounds()
    }

    /// An empty model of this store, to recompute it with.
    pub fn model(&self) -> model::State {
        model::State::new(&self.keys, &self.config)
    }

    /// Whether Valkey answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.query("ping", pipe().cmd("PING").ignore()).await
    }

    /// The next offset to count, by partition. A partition without a position is absent: it starts at 0.
    ///
    /// # Errors
    /// Valkey is away, or a position is not a number.
    pub async fn positions(&self, topic: &str) -> Result<BTreeMap<i32, i64>, StoreError> {
        let key = self.keys.position(topic);
        let (positions,) = self.query("read the positions", pipe().cmd("HGETALL").arg(key)).await?;
        Ok(positions)
    }

    /// What the store has seen of these keys, for each of several partitions, with the position at that instant, in one
    /// round trip. A window is of use only for a batch that starts at that position.
    ///
    /// # Errors
    /// Valkey is away.
    pub async fn key_windows(
        &self,
        wanted: &[(&str, i32, Vec<IdempotencyKey>)],
    ) -> Result<Vec<(i64, KeyWindow)>, StoreError> {
        let mut pipeline = pipe();
        pipeline.atomic();
        for (topic, partition, keys) in wanted {
            let key = self.keys.idempotency(topic, *partition);
            pipeline.cmd("HGET").arg(self.keys.position(topic)).arg(*partition);
            pipeline.cmd("ZRANGE").arg(&key).arg(-1).arg(-1).arg("WITHSCORES");
            // A member must be given; the empty one is never a key.
            let members: Vec<_> = keys.iter().map(IdempotencyKey::as_str).chain([""]).collect();
            pipeline.cmd("ZMSCORE").arg(&key).arg(members);
        }
        let what = "read the idempotency keys";
        let answers: Vec<Reply> = self.query(what, &pipeline).await?;
        let windows = wanted.iter().zip(answers.chunks_exact(3)).map(|((_, _, keys), answer)| {
            let position: Option<i64> = redis::from_redis_value(answer[0].clone())?;
            let newest: Vec<(String, f64)> = redis::from_redis_value(answer[1].clone())?;
            let scores: Vec<Option<f64>> = redis::from_redis_value(answer[2].clone())?;
            let seen =
                keys.iter().cloned().zip(scores).filter_map(|(key, score)| Some((key, timestamp(score?)?)));
            let newest = newest.first().and_then(|(_, score)| timestamp(*score));
            Ok((position.unwrap_or(0), KeyWindow::new(newest, seen.collect::<HashMap<_, _>>())))
        });
        let windows: Result<_, redis::ParsingError> = windows.collect();
        windows.map_err(|error| StoreError::Malformed { what, detail: error.to_string() })
    }

    /// Applies batches in one round trip. Each is applied or refused on its own; the first error of any is returned, and
    /// then the positions tell which of the others were applied.
    ///
    /// # Errors
    /// Valkey is away (the outcome is not known), or the store is not as it should be (nothing of that batch was changed).
    pub async fn apply(&self, batches: &[Batch]) -> Result<Vec<Outcome>, StoreError> {
        let mut pipeline = pipe();
        for batch in batches {
            pipeline.add_command(apply::command(&self.keys, &self.config, batch));
        }
        let what = "apply a batch";
        let answers: Vec<(i64, String)> = match self.connection.query(&pipeline).await {
            Err(error) if is_function_missing(&error) => {
                // Valkey is new, was emptied, or another server took over. Those batches of the pipeline that came after
                // are asked for again: an apply that took place is refused the second time, never doubled.
                self.load_functions().await?;
                self.query(what, &pipeline).await?
            }
            answered => answered.map_err(|error| StoreError::new(what, error))?,
        };
        let outcome = |(applied, position): (i64, String)| {
            let stored = position.parse().map_err(|_| StoreError::Malformed { what, detail: position })?;
            Ok(if applied == 1 { Outcome::Applied } else { Outcome::Refused { stored } })
        };
        answers.into_iter().map(outcome).collect()
    }

    /// Everything there is to show, at one instant.
    ///
    /// # Errors
    /// Valkey is away, or a key holds what we did not write.
    pub async fn snapshot(&self, top: usize) -> Result<Snapshot, StoreError> {
        let answers = self.query("read the counters", &snapshot::request(&self.keys, top)).await?;
        snapshot::read(answers)
            .map_err(|error| StoreError::Malformed { what: "read the counters", detail: error.to_string() })
    }

    /// Every key of ours with its value, to compare with a model.
    ///
    /// # Errors
    /// Valkey is away.
    pub async fn dump(&self) -> Result<BTreeMap<String, model::Value>, StoreError> {
        let mut found = BTreeMap::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(format!("{}*", glob_escaped(self.keys.prefix())))
                .arg("COUNT")
                .arg(1000);
            let ((next, keys),): ((u64, Vec<String>),) =
                self.query("list the keys", pipe().add_command(scan)).await?;
            for key in keys.into_iter().filter(|key| model::is_ours(&self.keys, key)) {
                if let Some(value) = self.value(&key).await? {
                    found.insert(key, value);
                }
            }
            if next == 0 {
                return Ok(found);
            }
            cursor = next;
        }
    }

    async fn value(&self, key: &str) -> Result<Option<model::Value>, StoreError> {
        let what = "read a key";
        let (kind,): (String,) = self.query(what, pipe().cmd("TYPE").arg(key)).await?;
        Ok(match kind.as_str() {
            "string" => {
                let (text,): (Option<String>,) = self.query(what, pipe().cmd("GET").arg(key)).await?;
                text.map(model::Value::Text)
            }
            "hash" => {
                let (fields,): (BTreeMap<String, String>,) =
                    self.query(what, pipe().cmd("HGETALL").arg(key)).await?;
                Some(fields).filter(|fields| !fields.is_empty()).map(model::Value::Hash)
            }
            "zset" => {
                let all = &mut pipe();
                let all = all.cmd("ZRANGE").arg(key).arg(0).arg(-1).arg("WITHSCORES");
                let (members,): (Vec<(String, String)>,) = self.query(what, all).await?;
                Some(model::Value::Sorted(members.into_iter().collect()))
            }
            "none" => None,
            other => Some(model::Value::Text(format!("a key of type {other}"))),
        })
    }

    async fn load_functions(&self) -> Result<(), StoreError> {
        let mut load = pipe();
        load.cmd("FUNCTION").arg("LOAD").arg("REPLACE").arg(FUNCTIONS).ignore();
        self.query("load the functions", &load).await
    }

    async fn query<T: redis::FromRedisValue>(
        &self,
        what: &'static str,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        self.connection.query(pipeline).await.map_err(|error| StoreError::new(what, error))
    }
}

fn is_function_missing(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError)
        && error.to_string().contains("Function not found")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and the range is checked"
)]
fn timestamp(score: f64) -> Option<Timestamp> {
    Timestamp::from_millis(score as u64)
}

/// A prefix for SCAN's MATCH, taken literally.
fn glob_escaped(prefix: &str) -> String {
    prefix
        .chars()
        .flat_map(|c| matches!(c, '*' | '?' | '[' | ']' | '\\').then_some('\\').into_iter().chain([c]))
        .collect()
}
