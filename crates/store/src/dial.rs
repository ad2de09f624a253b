//! Reaching one server: connecting, logging in, and asking for its role.

use std::io;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Value, cmd};
use tokio::time::timeout;

use crate::config::ValkeyConfig;
use crate::error::ConnectionError;

/// Connects and logs in.
///
/// # Errors
/// It is not done within the connection timeout, or the server refuses us.
pub(crate) async fn open(
    client: &Client,
    config: &ValkeyConfig,
) -> Result<MultiplexedConnection, ConnectionError> {
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(config.connect_timeout()))
        .set_response_timeout(Some(config.response_timeout()));
    let opened = timeout(config.connect_timeout(), async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&settings).await?;
        // A server that wants a password closes the connection of a client that is not logged in after the first long
        // answer, without a word. It does answer this.
        cmd("PING").exec_async(&mut connection).await?;
        Ok(connection)
    });
    opened.await.unwrap_or_else(|_elapsed| Err(timed_out()))
}

/// Whether the server says that it is the primary.
pub(crate) async fn is_primary(connection: &mut MultiplexedConnection) -> Result<bool, ConnectionError> {
    let role: Vec<Value> = cmd("ROLE").query_async(connection).await?;
    Ok(matches!(role.first(), Some(Value::BulkString(role)) if role == b"master"))
}

/// That the server did not answer in time.
pub(crate) fn timed_out() -> ConnectionError {
    RedisError::from(io::Error::from(io::ErrorKind::TimedOut)).into()
}
