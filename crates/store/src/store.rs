use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use blackfriday_event::{Bounds, IdempotencyKey, KeyWindow, Timestamp};
use redis::{FromRedisValue, ParsingError, Pipeline, Value as Reply, from_redis_value, pipe};

use crate::connection::Connection;
use crate::error::is_function_missing;
use crate::functions::FUNCTIONS;
use crate::keys::Keys;
use crate::{
    Batch, Outcome, Snapshot, SnapshotRequest, StoreConfig, StoreError, ValkeyConfig, apply, dump, model,
    snapshot,
};

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
    /// A file that the settings name cannot be read, or is not what it should be.
    pub fn new(valkey: &ValkeyConfig, config: &StoreConfig) -> Result<Self, StoreError> {
        let connection =
            Connection::new(valkey).map_err(|error| StoreError::new("read Valkey's settings", error))?;
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

    /// Whether Valkey answers and, where Sentinels were asked for it, is the primary.
    ///
    /// # Errors
    /// It does not, or is not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.connection.ping().await.map_err(|error| StoreError::new("ping", error))
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
    /// Valkey is away, or a position is not a number.
    pub async fn key_windows(
        &self,
        wanted: &[(&str, i32, Vec<IdempotencyKey>)],
    ) -> Result<Vec<(i64, KeyWindow)>, StoreError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
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
        let windows = wanted.iter().zip(answers.chunks_exact(3));
        let windows: Result<_, ParsingError> =
            windows.map(|((_, _, keys), answers)| key_window(keys, answers)).collect();
        windows.map_err(|error| StoreError::Malformed { what, detail: error.to_string() })
    }

    /// Applies batches in one round trip. Each is applied or refused on its own; the worst error of any is returned, and
    /// then the positions tell which of the others were applied.
    ///
    /// # Errors
    /// Valkey is away (the outcome is not known: the same batch may be applied again, and is refused if it was applied
    /// already), or it refuses a batch (nothing of that batch was changed).
    pub async fn apply(&self, batches: &[Batch]) -> Result<Vec<Outcome>, StoreError> {
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = pipe();
        for batch in batches {
            pipeline.add_command(apply::command(&self.keys, &self.config, batch));
        }
        let what = "apply a batch";
        let answers: Vec<(i64, String)> = match self.connection.query(&pipeline).await {
            Err(error) if is_function_missing(&error) => {
                // Those batches of the pipeline that did find the function are asked for again, too: an apply that took
                // place is refused the second time, never doubled.
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

    /// What is asked for, all at one instant. A number asks for as many products of each ranking, and for all prices.
    /// Works on a read-only replica and on an empty server.
    ///
    /// # Errors
    /// Valkey is away, or a key holds what we did not write.
    pub async fn snapshot(&self, request: impl Into<SnapshotRequest>) -> Result<Snapshot, StoreError> {
        let request = request.into();
        let what = "read the counters";
        let answers = self.query(what, &snapshot::commands(&self.keys, &request)).await?;
        snapshot::read(answers, &request)
            .map_err(|error| StoreError::Malformed { what, detail: error.to_string() })
    }

    /// Every key of ours with its value, to compare with a model. Not of one instant: of use if the positions were the
    /// same before and after.
    ///
    /// # Errors
    /// Valkey is away.
    pub async fn dump(&self) -> Result<BTreeMap<String, model::Value>, StoreError> {
        dump::dump(&self.connection, &self.keys).await
    }

    async fn load_functions(&self) -> Result<(), StoreError> {
        let mut load = pipe();
        load.cmd("FUNCTION").arg("LOAD").arg("REPLACE").arg(&FUNCTIONS.source).ignore();
        self.query::<()>("load the functions", &load).await?;
        tracing::info!(function = FUNCTIONS.apply_sales, "the functions are loaded into Valkey");
        Ok(())
    }

    async fn query<T: FromRedisValue>(
        &self,
        what: &'static str,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        self.connection.query(pipeline).await.map_err(|error| StoreError::new(what, error))
    }
}

/// From the answers for one partition: position, newest key, and a time or nothing for each key asked for.
fn key_window(keys: &[IdempotencyKey], answers: &[Reply]) -> Result<(i64, KeyWindow), ParsingError> {
    let position: Option<i64> = from_redis_value(answers[0].clone())?;
    let newest: Vec<(String, f64)> = from_redis_value(answers[1].clone())?;
    let scores: Vec<Option<f64>> = from_redis_value(answers[2].clone())?;
    let seen = keys.iter().cloned().zip(scores).filter_map(|(key, score)| Some((key, timestamp(score?)?)));
    let newest = newest.first().and_then(|(_, score)| timestamp(*score));
    Ok((position.unwrap_or(0), KeyWindow::new(newest, seen.collect::<HashMap<_, _>>())))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and the range is checked"
)]
fn timestamp(score: f64) -> Option<Timestamp> {
    Timestamp::from_millis(score as u64)
}
