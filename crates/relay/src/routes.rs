use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use blackfriday_intake::{Front, Trust, Writers};
use blackfriday_service::Context;
use blackfriday_service::http::{self, HttpMetrics};
use tokio::net::TcpListener;

use crate::config::Config;
use crate::error::Error;

const PROCESAR: &str = "/procesar";
const PUBLICAR: &str = "/publicar";

type Door = Arc<Front<Writers>>;

/// Serves until the shutdown begins, and finishes the requests in flight.
///
/// # Errors
/// The writers' target cannot be read. An unreachable writer is not an error here; requests are answered with 503.
pub async fn run(config: Config, listener: TcpListener, context: Context) -> Result<(), Error> {
    let writers = Writers::start(&config.writers, &context).map_err(Error::Target)?;
    let trust = if config.trust_hops { Trust::Hop } else { Trust::Outside };
    let front = Front::new(Arc::new(writers), trust, &config.intake, &config.limits, &context.registry);
    let router =
        Router::new().route(PROCESAR, post(sales)).route(PUBLICAR, post(weather)).with_state(Arc::new(front));
    let metrics = HttpMetrics::new(&context.registry, [PROCESAR, PUBLICAR]);
    http::serve(listener, router, &config.limits, Some(metrics), context.shutdown).await;
    Ok(())
}

async fn sales(State(front): State<Door>, request: Request) -> Response {
    front.one_or_many(PROCESAR, request).await
}

async fn weather(State(front): State<Door>, request: Request) -> Response {
    front.weather(PUBLICAR, request).await
}
