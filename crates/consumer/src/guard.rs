use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use blackfriday_store::{Eviction, StoreError};

use crate::start::Starter;
use crate::troubles::Subject;

const INTERVAL: Duration = Duration::from_secs(1);

/// Asks the store once a second whether it is there, and whether it keeps what it is given: only then it is counted into.
///
/// That it does not answer shows here within a second, and ends what waits for its answer: a server that hangs is given up
/// long before the limit of an answer, and another may be the primary by then.
pub(crate) async fn guard(starter: Starter, permitted: Arc<AtomicBool>, idle: Arc<AtomicBool>) {
    let Starter { store, progress, troubles, .. } = starter;
    let mut told = false;
    loop {
        let there = store.ping().await;
        if let Err(error) = &there {
            progress.store_is_away(error);
        } else if idle.load(Ordering::Acquire) {
            progress.store_is_there(true);
        }
        match if there.is_ok() { store.check_server().await.map(Some) } else { Ok(None) } {
            Ok(Some(eviction)) => {
                if eviction == Eviction::NotTold && !std::mem::replace(&mut told, true) {
                    tracing::warn!(
                        "Valkey does not report its maxmemory-policy: make sure that it is noeviction"
                    );
                }
                permitted.store(true, Ordering::Release);
                troubles.passed(&Subject::Store);
            }
            Err(error @ StoreError::Evicts { .. }) => {
                permitted.store(false, Ordering::Release);
                troubles.met(&Subject::Store, error.to_string());
            }
            Ok(None) | Err(_) => {}
        }
        // A store that refuses writes still says how full it is; one that is away says nothing.
        let (memory, replication) = match there {
            Ok(()) => (store.memory().await.ok().flatten(), store.replication().await.ok().flatten()),
            Err(_) => (None, None),
        };
        progress.memory(memory);
        progress.replication(replication);
        tokio::time::sleep(INTERVAL).await;
    }
}
