//! One connection, made when it is needed and made again after it broke, which every command shares.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Pipeline, cmd};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::access::SettingNames;
use crate::address::{Endpoint, Place};
use crate::config::ValkeyConfig;
use crate::dial::{is_primary, open, timed_out};
use crate::error::ConnectionError;
use crate::sentinels::Sentinels;

/// For the answer to a ping: a server that hangs, or was cut off, is not waited for any longer.
const PING_LIMIT: Duration = Duration::from_secs(1);

/// The connection. Where there are Sentinels, it leads to a server that said it is the primary.
pub(crate) struct Connection {
    config: ValkeyConfig,
    route: Route,
    live: Mutex<Live>,
}

enum Route {
    Server(Endpoint),
    Sentinels(Sentinels),
}

#[derive(Default)]
struct Live {
    connection: Option<Used>,
    /// How many were made: a call that finds one broken must not give up the next one.
    number: u64,
}

struct Used {
    connection: MultiplexedConnection,
    /// Closed when the connection is given up: calls that wait for an answer on it stop waiting.
    gone: watch::Sender<()>,
}

/// A connection to ask on.
struct Borrowed {
    connection: MultiplexedConnection,
    number: u64,
    gone: watch::Receiver<()>,
}

impl Connection {
    /// Checks that the settings can be used. Does not connect.
    pub(crate) fn new(config: &ValkeyConfig) -> Result<Self, ConnectionError> {
        let (url, access) = (&config.url, &config.access);
        let route = match &url.place {
            Place::Server(server) => {
                access.of_server(server, url)?;
                Route::Server(server.clone())
            }
            Place::Sentinels { sentinels, name } => {
                for sentinel in sentinels {
                    access.of_sentinel(sentinel, url)?;
                    access.of_server(sentinel, url)?;
                }
                Route::Sentinels(Sentinels::new(sentinels.clone(), name.clone()))
            }
        };
        Ok(Self { config: config.clone(), route, live: Mutex::default() })
    }

    /// How the settings are written that led here.
    pub(crate) fn names(&self) -> &SettingNames {
        &self.config.access.names
    }

    /// Sends a pipeline, which must not be empty, in one round trip. A connection that breaks, or that leads to a server
    /// that was demoted, is given up; the next call makes another.
    pub(crate) async fn query<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, ConnectionError> {
        let Borrowed { mut connection, number, mut gone } = self.connected().await?;
        let answer = tokio::select! {
            biased;
            answer = pipeline.query_async(&mut connection) => answer.map_err(ConnectionError::Server),
            _ = gone.changed() => Err(timed_out()),
        };
        if answer.as_ref().is_err_and(ConnectionError::is_of_no_use) {
            self.give_up(number).await;
        }
        answer
    }

    /// Whether the server answers within a second and, where there are Sentinels, still is the primary: one that was demoted
    /// goes on answering reads. If not, the connection is given up, and with it what else waits for an answer on it.
    pub(crate) async fn ping(&self) -> Result<(), ConnectionError> {
        let Borrowed { mut connection, number, .. } = self.connected().await?;
        let asked = async {
            match &self.route {
                Route::Server(_) => cmd("PING").exec_async(&mut connection).await.map_err(Into::into),
                Route::Sentinels(sentinels) => match is_primary(&mut connection).await? {
                    true => Ok(()),
                    false => Err(sentinels.no_primary()),
                },
            }
        };
        let answer = timeout(PING_LIMIT, asked).await.unwrap_or_else(|_elapsed| Err(timed_out()));
        if answer.is_err() {
            self.give_up(number).await;
        }
        answer
    }

    async fn connected(&self) -> Result<Borrowed, ConnectionError> {
        let mut live = self.live.lock().await;
        if live.connection.is_none() {
            let connection = match &self.route {
                Route::Server(server) => {
                    open(&self.config.access.of_server(server, &self.config.url)?, &self.config).await?
                }
                Route::Sentinels(sentinels) => sentinels.connect(&self.config).await?,
            };
            live.connection = Some(Used { connection, gone: watch::Sender::new(()) });
            live.number += 1;
        }
        let Used { connection, gone } = live.connection.as_ref().expect("it was made if it was missing");
        Ok(Borrowed { connection: connection.clone(), number: live.number, gone: gone.subscribe() })
    }

    async fn give_up(&self, number: u64) {
        let mut live = self.live.lock().await;
        if live.number == number {
            live.connection = None;
        }
    }
}
