//! Asks Sentinels where the primary is.
//!
//! They are asked in turn, first the one that was right last time. What a Sentinel says is only a hint: the server itself
//! must say that it is the primary, and if it does not, is away or does not let us in, the next Sentinel is asked. Each
//! step has the connection timeout, so that one round takes at most twice that for each Sentinel.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value, cmd};
use tokio::time::timeout;

use crate::ValkeyConfig;
use crate::address::{Endpoint, list};
use crate::connection::open;
use crate::error::ConnectionError;

/// The Sentinels that watch one primary.
pub(crate) struct Sentinels {
    sentinels: Vec<Endpoint>,
    name: String,
    first: AtomicUsize,
}

impl Sentinels {
    pub(crate) fn new(sentinels: Vec<Endpoint>, name: String) -> Self {
        Self { sentinels, name, first: AtomicUsize::new(0) }
    }

    /// A connection to the primary.
    ///
    /// # Errors
    /// No Sentinel leads to a server that says it is the primary. Of several reasons, one that somebody has to mend.
    pub(crate) async fn connect(
        &self,
        config: &ValkeyConfig,
    ) -> Result<MultiplexedConnection, ConnectionError> {
        let mut tried = Vec::new();
        let mut worst = self.no_primary();
        let first = self.first.load(Ordering::Relaxed);
        for turn in (first..).take(self.sentinels.len()) {
            let turn = turn % self.sentinels.len();
            match self.ask(turn, config, &mut tried).await {
                Ok(connection) => {
                    self.first.store(turn, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(error) => {
                    tracing::debug!(sentinel = %self.sentinels[turn], ?error, "a Sentinel leads nowhere");
                    worst = if worst.needs_mending() { worst } else { error };
                }
            }
        }
        Err(worst)
    }

    /// That nobody is the primary, as far as we can see.
    pub(crate) fn no_primary(&self) -> ConnectionError {
        let text = format!("no primary {:?} by {}", self.name, list(&self.sentinels));
        io::Error::new(io::ErrorKind::NotConnected, text).into()
    }

    /// Connects to the server that this Sentinel names, unless it is one of `tried`.
    async fn ask(
        &self,
        turn: usize,
        config: &ValkeyConfig,
        tried: &mut Vec<Endpoint>,
    ) -> Result<MultiplexedConnection, ConnectionError> {
        let sentinel = &self.sentinels[turn];
        let named = self.named_by(sentinel, config).await.map_err(|error| error.of_sentinel(sentinel))?;
        let Some(server) = named.filter(|server| !tried.contains(server)) else {
            return Err(self.no_primary());
        };
        tried.push(server.clone());
        let mut connection = open(&config.access.of_server(&server, &config.url)?, config).await?;
        if !is_primary(&mut connection).await? {
            return Err(self.no_primary());
        }
        tracing::info!(primary = %server, %sentinel, "Valkey's primary is found");
        Ok(connection)
    }

    async fn named_by(
        &self,
        sentinel: &Endpoint,
        config: &ValkeyConfig,
    ) -> Result<Option<Endpoint>, ConnectionError> {
        let mut connection = open(&config.access.of_sentinel(sentinel, &config.url)?, config).await?;
        let mut question = cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let answer = timeout(config.connect_timeout(), question.query_async(&mut connection)).await;
        let named: Option<(String, u16)> = answer.unwrap_or_else(|_elapsed| Err(timed_out()))?;
        Ok(named.map(|(host, port)| Endpoint { host, port }))
    }

    /// The server that the first of them names who knows the group. Each is given the connection timeout.
    ///
    /// # Errors
    /// None of them answers. Of several reasons, one that somebody has to mend.
    pub(crate) async fn named(&self, config: &ValkeyConfig) -> Result<Option<Endpoint>, ConnectionError> {
        let mut answered = false;
        let mut worst = self.no_primary();
        for sentinel in &self.sentinels {
            let named = timeout(config.connect_timeout(), self.named_by(sentinel, config)).await;
            match named.unwrap_or_else(|_elapsed| Err(timed_out().into())) {
                Ok(Some(named)) => return Ok(Some(named)),
                Ok(None) => answered = true,
                Err(error) if !worst.needs_mending() => worst = error.of_sentinel(sentinel),
                Err(_) => {}
            }
        }
        if answered { Ok(None) } else { Err(worst) }
    }
}

fn timed_out() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

/// Whether the server says that it is the primary.
pub(crate) async fn is_primary(connection: &mut MultiplexedConnection) -> Result<bool, ConnectionError> {
    let role: Vec<Value> = cmd("ROLE").query_async(connection).await?;
    Ok(matches!(role.first(), Some(Value::BulkString(role)) if role == b"master"))
}
