use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, Pipeline, RedisError, cmd};
use tokio::sync::Mutex;

use crate::ValkeyConfig;
use crate::error::is_of_no_use;

/// One connection, made when it is needed and made anew after it broke. Commands share it.
pub(crate) struct Connection {
    client: Client,
    config: AsyncConnectionConfig,
    live: Mutex<Option<MultiplexedConnection>>,
}

impl Connection {
    pub(crate) fn new(config: &ValkeyConfig) -> Result<Self, RedisError> {
        let mut url = config.url.clone();
        if url.scheme() == "valkey" {
            // The client knows the older name only. Both are of the same kind, so the change cannot be refused.
            url.set_scheme("redis").ok();
        }
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(config.connect_timeout()))
            .set_response_timeout(Some(config.response_timeout()));
        Ok(Self { client: Client::open(url)?, config: settings, live: Mutex::new(None) })
    }

    /// Sends a pipeline, which must not be empty, in one round trip. A connection that breaks, or that leads to a server
    /// that was demoted, is given up; the next call makes another.
    pub(crate) async fn query<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, RedisError> {
        let mut connection = self.connect().await?;
        let answer = pipeline.query_async(&mut connection).await;
        if let Err(error) = &answer
            && is_of_no_use(error)
        {
            *self.live.lock().await = None;
        }
        answer
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut live = self.live.lock().await;
        if let Some(connection) = &*live {
            return Ok(connection.clone());
        }
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&self.config).await?;
        // To somebody who is not logged in, a server that wants a password closes the connection after the first long
        // answer, without a word. It does answer this.
        cmd("PING").exec_async(&mut connection).await?;
        Ok(live.insert(connection).clone())
    }
}
