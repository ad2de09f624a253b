//! The dashboard: a read API and one live page over the store.
//!
//! It stands at the pipeline's end and only reads. What it shows is what the store holds at one instant: a number that is
//! not there is `null` in JSON and a dash on the page, never a zero of our own.
//!
//! Invariant: no request of the page leaves its origin, and the store is read only while somebody looks.

mod api;
mod config;
mod events;
mod live;
mod page;
mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use blackfriday_service::http::{self, HttpMetrics};
use blackfriday_service::{Condition, Context};
use blackfriday_store::{Store, StoreError};
use tokio::net::TcpListener;

pub use config::Config;

use self::live::Live;

const PING_INTERVAL: Duration = Duration::from_secs(1);

/// Why the dashboard ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store's address cannot be used.
    #[error("make the store's client")]
    Store(#[source] StoreError),
}

/// Serves until the shutdown begins; event streams end at once then.
///
/// # Errors
/// The store's address cannot be used. That Valkey is away is none: readers are told so.
pub async fn run(config: Config, listener: TcpListener, context: Context) -> Result<(), Error> {
    let store = Store::new(&config.valkey, &config.store).map_err(Error::Store)?;
    let ping = tokio::spawn(ping(store.clone(), context.readiness.condition("valkey")));
    let live = Arc::new(Live::new(store, &config, context.shutdown.clone()));
    let router = Router::new()
        .route("/api/resumen", get(api::resumen))
        .route("/api/categorias", get(api::categorias))
        .route("/api/productos", get(api::productos))
        .route("/api/historial", get(api::historial))
        .route("/api/serie", get(api::serie))
        .route("/api/clima", get(api::clima))
        .route("/events", get(events::stream))
        .with_state(live)
        .merge(page::router(config.opening()));
    let routes = &[
        "/",
        "/events",
        "/api/resumen",
        "/api/categorias",
        "/api/productos",
        "/api/historial",
        "/api/serie",
    ];
    let metrics = HttpMetrics::new(&context.registry, routes);
    http::serve(listener, router, &config.limits, Some(metrics), context.shutdown).await;
    ping.abort();
    Ok(())
}

async fn ping(store: Store, condition: Condition) {
    loop {
        condition.set(store.ping().await.is_ok());
        tokio::time::sleep(PING_INTERVAL).await;
    }
}
