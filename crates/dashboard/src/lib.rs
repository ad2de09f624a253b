//! The dashboard: a read API and one live page over the store.
//!
//! It is the end of the pipeline and only reads. What it shows is what the store holds at one instant: a number that is
//! not there is `null` in JSON and a dash on the page, never a zero of our own.
//!
//! Invariant: no request of the page leaves its origin, and the store is read only while somebody looks.

mod api;
mod config;
mod currency;
mod decimal;
mod events;
mod live;
mod names;
mod openapi;
mod page;
mod parameters;
mod redis;
mod refusal;
mod rows;
mod schemas;
mod seats;
mod shared;
mod trouble;
mod view;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use blackfriday_service::Context;
use blackfriday_service::http::{self, HttpMetrics};
use blackfriday_service::openapi::labels;
use blackfriday_store::{Store, StoreError};
use blackfriday_workload::SourceError;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use config::{Config, WeatherRedis, category_of_student_id};
pub use currency::{Currency, NotACurrency};
pub use names::NamesConfig;

use self::live::Live;
use self::names::Names;
use self::redis::Redis;
use self::trouble::READ_LIMIT;

/// For the fuzz target: what holds of any query.
#[cfg(fuzzing)]
pub fn any_query(query: &str) {
    parameters::is_right_or_has_its_wrong_parameters_named(query);
}

const PING_INTERVAL: Duration = Duration::from_secs(1);

/// Why the dashboard ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store's address cannot be used.
    #[error("cannot make the store's client")]
    Store(#[source] StoreError),
    /// The second store's address cannot be used.
    #[error("cannot make the client of the weather's Redis")]
    Redis(#[source] StoreError),
    /// The workload cannot be read.
    #[error("cannot read the names of products (see --workload)")]
    Names(#[source] SourceError),
}

/// Serves until the shutdown begins; event streams end at once then.
///
/// # Errors
/// A store's address cannot be used, or what should be a workload is none. An unreachable Valkey is not an error here:
/// readers are answered 503. Nor is an unreachable Redis or registry: they are answered without its numbers, or without names.
pub async fn run(config: Config, listener: TcpListener, context: Context) -> Result<(), Error> {
    let store = Store::new(&config.valkey, &config.store).map_err(Error::Store)?;
    let redis = config.weather_redis.server(&config.valkey);
    let redis = redis.map(|redis| Store::new(&redis, &config.store).map_err(Error::Redis)).transpose()?;
    let second = redis.clone().map(Redis::new);
    let names = Names::default();
    let live = Live::new(store.clone(), second, names.clone(), &config, context.shutdown.clone());
    let live = Arc::new(live);
    let streams = live.streams();
    context.registry.limit("max-streams", config.max_streams, move || *streams.borrow());
    let is_ready = context.readiness.condition("valkey");
    context.readiness.locate("valkey", config.valkey.url.to_string());
    let mut pings = JoinSet::new();
    pings.spawn(ping(store, move |answers| is_ready.set(answers)));
    if let Some(redis) = redis {
        // Nothing follows from the answer, but a connection that hangs is given up by it.
        pings.spawn(ping(redis, |_answers| {}));
    }
    let poll = tokio::spawn(Arc::clone(&live).poll());
    let (router, described) = openapi::router().split_for_parts();
    let metrics = HttpMetrics::new(&context.registry, labels(described).chain(page::paths()));
    let router = router.with_state(live).merge(page::router(&config, openapi::document()));
    let mut reading = JoinSet::new();
    // In a task of its own: a registry's client takes its time to be made, and nobody waits for names.
    reading.spawn(names.read(config.names.clone()));
    let served = tokio::select! {
        Some(Ok(Err(never))) = reading.join_next() => Err(Error::Names(never)),
        () = http::serve(listener, router, &config.limits, Some(metrics), context.shutdown) => Ok(()),
    };
    poll.abort();
    served
}

/// Says again and again whether a server answers.
async fn ping(store: Store, told: impl Fn(bool)) {
    loop {
        let mut answer = pin!(store.ping());
        let in_time = timeout(READ_LIMIT, &mut answer).await;
        told(matches!(in_time, Ok(Ok(()))));
        if in_time.is_err() {
            // Awaited to its end: only the store's own limit makes it give up a dead connection, for all readers.
            answer.await.ok();
        }
        sleep(PING_INTERVAL).await;
    }
}
