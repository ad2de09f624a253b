use std::io;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, Pipeline, cmd, pipe};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::ValkeyConfig;
use crate::address::{Endpoint, Place};
use crate::error::ConnectionError;
use crate::sentinels::{Sentinels, is_primary};

/// One connection, made when it is needed and made anew after it broke. Commands share it. Where there are Sentinels, it
/// leads to a server that said it is the primary.
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
    connection: Option<MultiplexedConnection>,
    /// How many were made: who finds one broken must not throw the next one away.
    number: u64,
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

    /// Sends a pipeline, which must not be empty, in one round trip. A connection that breaks, or that leads to a server
    /// that was demoted, is given up; the next call makes another.
    pub(crate) async fn query<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, ConnectionError> {
        let (mut connection, number) = self.connected().await?;
        let answer = pipeline.query_async(&mut connection).await.map_err(ConnectionError::Server);
        if answer.as_ref().is_err_and(ConnectionError::is_of_no_use) {
            self.give_up(number).await;
        }
        answer
    }

    /// Whether the server answers and, where there are Sentinels, still is the primary: one that was demoted goes on
    /// answering reads.
    pub(crate) async fn ping(&self) -> Result<(), ConnectionError> {
        self.query::<()>(pipe().cmd("PING").ignore()).await?;
        let Route::Sentinels(sentinels) = &self.route else { return Ok(()) };
        let (mut connection, number) = self.connected().await?;
        if is_primary(&mut connection).await? {
            return Ok(());
        }
        self.give_up(number).await;
        Err(sentinels.no_primary())
    }

    async fn connected(&self) -> Result<(MultiplexedConnection, u64), ConnectionError> {
        let mut live = self.live.lock().await;
        if let Some(connection) = &live.connection {
            return Ok((connection.clone(), live.number));
        }
        let connection = match &self.route {
            Route::Server(server) => {
                open(&self.config.access.of_server(server, &self.config.url)?, &self.config).await?
            }
            Route::Sentinels(sentinels) => sentinels.connect(&self.config).await?,
        };
        live.connection = Some(connection.clone());
        live.number += 1;
        Ok((connection, live.number))
    }

    async fn give_up(&self, number: u64) {
        let mut live = self.live.lock().await;
        if live.number == number {
            live.connection = None;
        }
    }
}

/// Connects and logs in.
///
/// # Errors
/// It is not done within the connection timeout, or we may not enter.
pub(crate) async fn open(
    client: &Client,
    config: &ValkeyConfig,
) -> Result<MultiplexedConnection, ConnectionError> {
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(config.connect_timeout()))
        .set_response_timeout(Some(config.response_timeout()));
    let opened = timeout(config.connect_timeout(), async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&settings).await?;
        // To somebody who is not logged in, a server that wants a password closes the connection after the first long
        // answer, without a word. It does answer this.
        cmd("PING").exec_async(&mut connection).await?;
        Ok(connection)
    });
    opened.await.unwrap_or_else(|_elapsed| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}
