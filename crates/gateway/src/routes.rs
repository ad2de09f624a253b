use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use blackfriday_intake::{Front, Trust};
use blackfriday_service::Context;
use blackfriday_service::http::{self, HttpMetrics};
use tokio::net::TcpListener;

use crate::forward::Forward;
use crate::openapi::document;
use crate::{Config, Error};

const VENTA: &str = "/venta";
const VENTAS: &str = "/ventas";
const INPUT: &str = "/input";
const OPENAPI: &str = "/openapi.json";
/// Every route.
pub(crate) const ROUTES: &[&str] = &[VENTA, VENTAS, INPUT, OPENAPI];

type Door = Arc<Front<Forward>>;

/// Serves until the shutdown begins, and finishes the requests in flight.
///
/// # Errors
/// The upstream's address or the catalogue cannot be read. That the upstream is away is not an error: requests hear it.
pub async fn run(config: Config, listener: TcpListener, context: Context) -> Result<(), Error> {
    // Until it is read nothing is answered.
    let is_read = context.readiness.condition("catalogue");
    let catalogue = tokio::select! {
        read = config.catalogue.read() => read.map_err(Error::Catalogue)?,
        () = context.shutdown.begun() => return Ok(()),
    };
    is_read.set(true);
    let forward = Forward::new(&config, &context)?;
    let front =
        Front::new(Arc::new(forward), Trust::Outside, &config.intake, &config.limits, &context.registry)
            .selling(catalogue);
    let openapi = Bytes::from(document());
    let router = Router::new()
        .route(VENTA, post(sale))
        .route(VENTAS, post(sales))
        .route(INPUT, post(weather))
        .with_state(Arc::new(front))
        .route(OPENAPI, get(move || async move { json(openapi) }));
    let metrics = HttpMetrics::new(&context.registry, ROUTES);
    http::serve(listener, router, &config.limits, Some(metrics), context.shutdown).await;
    Ok(())
}

async fn sale(State(front): State<Door>, request: Request) -> Response {
    front.one(VENTA, request).await
}

async fn sales(State(front): State<Door>, request: Request) -> Response {
    front.many(VENTAS, request).await
}

async fn weather(State(front): State<Door>, request: Request) -> Response {
    front.weather(INPUT, request).await
}

/// All answers share the document's bytes.
fn json(document: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}
