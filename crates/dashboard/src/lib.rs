//! The dashboard: a read API and one live page over the store.
//!
//! It is the end of the pipeline and only reads. What it shows is what the store holds at one instant: a number that is
//! not there is `null` in JSON and a dash on the page, never a zero of our own.
//!
//! Invariant: no request of the page leaves its origin, and the store is read only while somebody looks.

mod api;
mod config;
mod decimal;
mod events;
mod live;
mod openapi;
mod page;
mod parameters;
mod refusal;
mod rows;
mod seats;
mod shared;
mod trouble;
mod view;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use blackfriday_service::http::{self, HttpMetrics};
use blackfriday_service::{Condition, Context};
use blackfriday_store::{Store, StoreError};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

pub use config::{Config, category_of_student_id};

use self::live::Live;
use self::trouble::READ_LIMIT;

const PING_INTERVAL: Duration = Duration::from_secs(1);

/// Why the dashboard ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store's address cannot be used.
    #[error("cannot make the store's client")]
    Store(#[source] StoreError),
}

/// Every route, as metrics name it.
const ROUTES: &[&str] = &[
    "/",
    "/page.css",
    "/page.js",
    "/charts.js",
    "/texts.js",
    "/events",
    "/openapi.json",
    "/api/resumen",
    "/api/totales",
    "/api/categorias",
    "/api/productos",
    "/api/extremos",
    "/api/historial",
    "/api/serie",
    "/api/clima",
];

/// Serves until the shutdown begins; event streams end at once then.
///
/// # Errors
/// The store's address cannot be used. An unreachable Valkey is not an error here: readers are answered 503.
pub async fn run(config: Config, listener: TcpListener, context: Context) -> Result<(), Error> {
    let store = Store::new(&config.valkey, &config.store).map_err(Error::Store)?;
    let live = Arc::new(Live::new(store.clone(), &config, context.shutdown.clone()));
    let ping = tokio::spawn(ping(store, context.readiness.condition("valkey")));
    let poll = tokio::spawn(Arc::clone(&live).poll());
    let router = Router::new()
        .route("/events", get(events::stream))
        .with_state(Arc::clone(&live))
        .merge(api::router(live))
        .merge(page::router(config.opening()));
    let metrics = HttpMetrics::new(&context.registry, ROUTES.iter().copied());
    http::serve(listener, router, &config.limits, Some(metrics), context.shutdown).await;
    ping.abort();
    poll.abort();
    Ok(())
}

async fn ping(store: Store, condition: Condition) {
    loop {
        let mut answer = pin!(store.ping());
        let in_time = timeout(READ_LIMIT, &mut answer).await;
        condition.set(matches!(in_time, Ok(Ok(()))));
        if in_time.is_err() {
            // Awaited to its end: only the store's own limit makes it give up a dead connection, for all readers.
            answer.await.ok();
        }
        sleep(PING_INTERVAL).await;
    }
}
