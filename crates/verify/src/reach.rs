//! That what a command asks is there. A service waits; who types a command wants to know at once which of them is away.

use anyhow::{Context as _, Result};
use blackfriday_broker::LogConfig;
use blackfriday_store::{Store, StoreConfig, ValkeyConfig};

/// The store, if it and the log answer.
pub(crate) async fn both(log: &LogConfig, valkey: &ValkeyConfig, config: &StoreConfig) -> Result<Store> {
    log.reach().await?;
    let store = Store::new(valkey, config)?;
    let place = || format!("the store at {}; see --valkey-url or BLACKFRIDAY_VALKEY_URL", valkey.url);
    store.ping().await.with_context(place)?;
    Ok(store)
}
