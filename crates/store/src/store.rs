//! The store's face: each method is one round trip to Valkey, whose commands and answers the neighbouring modules know.
//!
//! Invariant: a function that the server does not have is loaded, once, and the call is made again.

use std::collections::BTreeMap;
use std::sync::Arc;

use blackfriday_event::{Bounds, IdempotencyKey, KeyWindow};
use redis::{Cmd, FromRedisValue, Pipeline, Value as Reply, from_redis_value, pipe};

use crate::apply::{self, Batch, Outcome};
use crate::config::{StoreConfig, ValkeyConfig};
use crate::connection::Connection;
use crate::error::{StoreError, is_full, is_function_missing};
use crate::functions::FUNCTIONS;
use crate::keys::Keys;
use crate::part::Part;
use crate::partitions::{self, StoredPartition};
use crate::policy::{self, Eviction, Memory, Replication};
use crate::snapshot::{self, Snapshot, SnapshotRequest, WeatherSnapshot};
use crate::{dump, model, window};

/// The counters in Valkey. Clones share one connection, which is made when it is needed and made again after it broke.
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
        let connection = Connection::new(valkey)
            .map_err(|error| StoreError::new("read Valkey's settings", error, &valkey.access.names))?;
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
        self.connection.ping().await.map_err(|error| StoreError::new("ping", error, self.connection.names()))
    }

    /// Whether Valkey throws keys away when its memory is full: a store that it may do that to is not to be counted into.
    ///
    /// # Errors
    /// [`StoreError::Evicts`], or Valkey is away.
    pub async fn check_server(&self) -> Result<Eviction, StoreError> {
        policy::check(&self.connection).await
    }

    /// How full Valkey is; `None` if it does not report it.
    ///
    /// # Errors
    /// Valkey is away.
    pub async fn memory(&self) -> Result<Option<Memory>, StoreError> {
        policy::memory(&self.connection).await
    }

    /// How far Valkey's replicas are; `None` if it does not report it, or is no primary.
    ///
    /// # Errors
    /// Valkey is away.
    pub async fn replication(&self) -> Result<Option<Replication>, StoreError> {
        policy::replication(&self.connection).await
    }

    /// The next offset to count, by partition. A partition without a position is absent: it starts at 0.
    ///
    /// # Errors
    /// Valkey is away, or a position is not a number.
    pub async fn positions(&self, topic: &str) -> Result<BTreeMap<i32, i64>, StoreError> {
        let (key, what) = (self.keys.position(topic), "read the positions");
        let mut read = pipe();
        read.cmd("HGETALL").arg(key);
        let answers: Vec<Reply> = self.query(what, &read).await?;
        let positions = answers.into_iter().next().unwrap_or(Reply::Nil);
        from_redis_value(positions).map_err(|error| StoreError::of_answer(what, &error, &read, 0))
    }

    /// What the store knows of each partition of a topic, all at one instant. One that was never begun is absent: it starts
    /// at 0.
    ///
    /// # Errors
    /// Valkey is away; or a key is not as we left it, which [`StoreError::WrongKey`] names. A partition that was begun and
    /// has no position is such a fault.
    pub async fn partitions(&self, topic: &str) -> Result<BTreeMap<i32, StoredPartition>, StoreError> {
        let commands = partitions::commands(&self.keys, topic);
        let answers = self.query_at_once("read the positions", &commands).await?;
        partitions::read(answers, &self.keys, &self.config, topic)
    }

    /// Stops a partition for good: it is not counted until [`Store::resume`]. Refused if its position is another one.
    ///
    /// # Errors
    /// As [`Store::apply`].
    pub async fn stop(
        &self,
        topic: &str,
        partition: i32,
        position: i64,
        reason: &str,
    ) -> Result<Outcome, StoreError> {
        let call = apply::stop(&self.keys, &self.config, (topic, partition, position), reason);
        self.call_one("stop a partition", call).await
    }

    /// Moves the position of a partition from `from` to `to`, whether it is stopped or not, and forgets why it was stopped
    /// and its last record, in one step. Refused if its position is not `from`.
    ///
    /// # Errors
    /// As [`Store::apply`].
    pub async fn resume(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        to: i64,
    ) -> Result<Outcome, StoreError> {
        let call = apply::resume(&self.keys, &self.config, (topic, partition), from, to);
        self.call_one("resume a partition", call).await
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
        let what = "read the idempotency keys";
        let pipeline = window::commands(&self.keys, wanted);
        let answers: Vec<Reply> = self.query(what, &pipeline).await?;
        window::read(what, &self.keys, wanted, answers, &pipeline)
    }

    /// Applies batches. Those of the sales of one topic are tried in one step, all or none, in which each key is written
    /// once; where that is refused, each is applied or refused on its own, in one round trip: the worst error of any is
    /// returned, and then the positions show which of the others were applied.
    ///
    /// # Errors
    /// Valkey is away (the outcome is not known: the same batch may be applied again, and is refused if it was applied
    /// already), or it refuses a batch (nothing of that batch was changed).
    pub async fn apply(&self, batches: &[Batch]) -> Result<Vec<Outcome>, StoreError> {
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let what = "apply a batch";
        if let Some(of_all) = apply::command_of_all(&self.keys, &self.config, batches) {
            match self.call_one(what, of_all).await {
                Ok(Outcome::Applied) => return Ok(vec![Outcome::Applied; batches.len()]),
                // Nothing was changed; whose trouble it is, each shows on its own.
                Ok(_) => {}
                Err(error) if error.is_retryable() => return Err(error),
                Err(_) => {}
            }
        }
        let mut pipeline = pipe();
        for batch in batches {
            pipeline.add_command(apply::command(&self.keys, &self.config, batch));
        }
        self.call(what, &pipeline).await
    }

    /// What is asked for, all at one instant. A number asks for as many products of each ranking, and for all prices.
    /// Works on a read-only replica and on an empty server.
    ///
    /// # Errors
    /// Valkey is away, or a key holds what we did not write.
    pub async fn snapshot(&self, request: impl Into<SnapshotRequest>) -> Result<Snapshot, StoreError> {
        let request = request.into();
        let what = "read the counters";
        let pipeline = snapshot::commands(&self.keys, &request);
        let answers = self.query_at_once(what, &pipeline).await?;
        snapshot::read(answers, &request)
            .map_err(|(at, error)| StoreError::of_answer(what, &error, &pipeline, at))
    }

    /// The weather reports alone, as [`Store::snapshot`] has them.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub async fn weather(&self) -> Result<WeatherSnapshot, StoreError> {
        let what = "read the weather reports";
        let pipeline = snapshot::weather_commands(&self.keys);
        let answers = self.query_at_once(what, &pipeline).await?;
        snapshot::read_weather(answers)
            .map_err(|(at, error)| StoreError::of_answer(what, &error, &pipeline, at))
    }

    /// Every key of ours with its value, to compare with a model. Not of one instant: of use if the positions were the
    /// same before and after.
    ///
    /// # Errors
    /// Valkey is away.
    pub async fn dump(&self) -> Result<BTreeMap<String, model::Value>, StoreError> {
        self.dump_without(&[]).await
    }

    /// As [`Store::dump`], but for these parts: another log's events are counted in them.
    ///
    /// # Errors
    /// Valkey is away.
    pub async fn dump_without(
        &self,
        left_out: &[Part<'_>],
    ) -> Result<BTreeMap<String, model::Value>, StoreError> {
        dump::dump(&self.connection, &self.keys, left_out).await
    }

    async fn call_one(&self, what: &'static str, call: Cmd) -> Result<Outcome, StoreError> {
        let outcomes = self.call(what, pipe().add_command(call)).await?;
        let none = || StoreError::Malformed { what, detail: "no answer".to_owned() };
        outcomes.into_iter().next().ok_or_else(none)
    }

    /// Calls functions, which are loaded if they are missing.
    async fn call(&self, what: &'static str, pipeline: &Pipeline) -> Result<Vec<Outcome>, StoreError> {
        let answers: Vec<(i64, String)> = match self.connection.query(pipeline).await {
            Err(error) if is_function_missing(&error) => {
                // Those calls of the pipeline that did find the function are asked for again, too: one that took place is
                // refused the second time, never doubled.
                self.load_functions().await?;
                self.connection.query(pipeline).await
            }
            answered => answered,
        }
        .map_err(|error| StoreError::new(what, error, self.connection.names()))?;
        answers.into_iter().map(|answer| outcome(what, answer)).collect()
    }

    async fn load_functions(&self) -> Result<(), StoreError> {
        let mut load = pipe();
        load.cmd("FUNCTION").arg("LOAD").arg("REPLACE").arg(&FUNCTIONS.source).ignore();
        let loaded: Result<(), _> = self.connection.query(&load).await;
        loaded.map_err(|error| StoreError::new("load the functions", error, self.connection.names()))?;
        tracing::info!(function = FUNCTIONS.apply_sales, "the functions are loaded into Valkey");
        Ok(())
    }

    /// Reads all at one instant. Redis takes no transaction while its memory is full, not even of reads (Valkey does);
    /// then nothing is counted either, and one read after the other sees the same.
    async fn query_at_once(&self, what: &'static str, reads: &Pipeline) -> Result<Vec<Reply>, StoreError> {
        let answers = match self.connection.query(reads.clone().atomic()).await {
            Err(error) if is_full(&error) => self.connection.query(reads).await,
            answered => answered,
        };
        answers.map_err(|error| StoreError::of_read(what, error, reads, self.connection.names()))
    }

    async fn query<T: FromRedisValue>(
        &self,
        what: &'static str,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        self.connection
            .query(pipeline)
            .await
            .map_err(|error| StoreError::of_read(what, error, pipeline, self.connection.names()))
    }
}

fn outcome(what: &'static str, (kind, told): (i64, String)) -> Result<Outcome, StoreError> {
    match kind {
        1 => Ok(Outcome::Applied),
        2 => Ok(Outcome::Stopped { reason: told }),
        _ => match told.parse() {
            Ok(stored) => Ok(Outcome::Refused { stored }),
            Err(_) => Err(StoreError::Malformed { what, detail: told }),
        },
    }
}
