//! Asks Sentinels where the primary is.
//!
//! They are asked in turn, first the one that was right last time. What a Sentinel says is only a hint: the server itself
//! must say that it is the primary, and if it does not, is unreachable or refuses our login, the next Sentinel is asked. Each
//! step has the connection timeout, so that one round takes at most four times that for each Sentinel.
//!
//! redis-rs's own `SentinelClient` is not used: its search takes no limit for each step from its caller, its error does not say which
//! Sentinel refused us, and it is given passwords and certificates once, while ours are read from their files again for each
//! connection.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::aio::MultiplexedConnection;
use redis::cmd;
use tokio::time::timeout;

use crate::address::{Endpoint, Place, list};
use crate::config::ValkeyConfig;
use crate::dial::{is_primary, open, timed_out};
use crate::error::{ConnectionError, StoreError};

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

    /// That no server is the primary, as far as we can see.
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
        let role = timeout(config.connect_timeout(), is_primary(&mut connection)).await;
        if !role.unwrap_or_else(|_elapsed| Err(timed_out()))? {
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
        let answer = answer.map_err(|_elapsed| timed_out())?;
        let named: Option<(String, u16)> = answer?;
        Ok(named.map(|(host, port)| Endpoint { host, port }))
    }

    /// The server that is named by the first of them that knows the group. Each is given the connection timeout.
    ///
    /// # Errors
    /// None of them answers. Of several reasons, one that somebody has to mend.
    pub(crate) async fn named(&self, config: &ValkeyConfig) -> Result<Option<Endpoint>, ConnectionError> {
        let mut answered = false;
        let mut worst = self.no_primary();
        for sentinel in &self.sentinels {
            let named = timeout(config.connect_timeout(), self.named_by(sentinel, config)).await;
            match named.unwrap_or_else(|_elapsed| Err(timed_out())) {
                Ok(Some(named)) => return Ok(Some(named)),
                Ok(None) => answered = true,
                Err(error) if !worst.needs_mending() => worst = error.of_sentinel(sentinel),
                Err(_) => {}
            }
        }
        if answered { Ok(None) } else { Err(worst) }
    }
}

impl ValkeyConfig {
    /// Host and port of the server that the Sentinels take for the primary, or of the one server there is. That
    /// server is not asked. Each Sentinel is given the connection timeout; the first that knows is believed.
    ///
    /// # Errors
    /// No Sentinel answers. If some do and none of them knows the group, that is `None`.
    pub async fn named_primary(&self) -> Result<Option<(String, u16)>, StoreError> {
        let named = match &self.url.place {
            Place::Server(server) => Ok(Some(server.clone())),
            Place::Sentinels { sentinels, name } => {
                Sentinels::new(sentinels.clone(), name.clone()).named(self).await
            }
        };
        let named = named.map_err(|error| StoreError::new("ask the Sentinels", error, &self.access.names))?;
        Ok(named.map(|Endpoint { host, port }| (host, port)))
    }
}
