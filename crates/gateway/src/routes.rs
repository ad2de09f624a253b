//! Every route, with its description: the router, the OpenAPI document and the metrics' labels come from here.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use blackfriday_intake::{Accepted, BatchAnswer, Front, SaleBody, Trust, WeatherBody};
use blackfriday_service::Context;
use blackfriday_service::http::{self, HttpMetrics};
use tokio::net::TcpListener;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Config;
use crate::error::Error;
use crate::forward::Forward;
use crate::openapi::{Document, Headers, Problems};

const VENTA: &str = "/venta";
const VENTAS: &str = "/ventas";
const INPUT: &str = "/input";
const OPENAPI: &str = "/openapi.json";

/// What the routes share.
#[derive(Clone)]
struct Door {
    front: Arc<Front<Forward>>,
    document: Bytes,
}

/// Serves until the shutdown begins, and finishes the requests in flight.
///
/// # Errors
/// The upstream's address or the catalogue cannot be read. An upstream that is away is not an error here; requests are
/// answered with 503.
pub async fn run(config: Config, listener: TcpListener, context: Context) -> Result<(), Error> {
    // Until it is read nothing is answered.
    let is_read = context.readiness.condition("catalogue");
    let catalogue = tokio::select! {
        read = config.catalogue.read() => read.map_err(Error::Catalogue)?,
        () = context.shutdown.begun() => return Ok(()),
    };
    is_read.set(true);
    let forward = Arc::new(Forward::new(&config, &context)?);
    let front = Front::new(forward, Trust::Outside, &config.intake, &config.limits, &context.registry);
    let door = Door { front: Arc::new(front.selling(catalogue)), document: Bytes::from(document()) };
    let (router, described) = described().split_for_parts();
    // Labels live as long as the process.
    let paths = described.paths.paths.into_keys().map(|path| &*path.leak());
    let metrics = HttpMetrics::new(&context.registry, paths);
    let router: Router = router.with_state(door);
    http::serve(listener, router, &config.limits, Some(metrics), context.shutdown).await;
    Ok(())
}

/// The OpenAPI document, as JSON.
pub fn document() -> String {
    described().into_openapi().to_json().expect("a document of strings always serializes")
}

fn described() -> OpenApiRouter<Door> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(venta))
        .routes(routes!(ventas))
        .routes(routes!(input))
        .routes(routes!(openapi))
}

/// One sale.
#[utoipa::path(post, path = VENTA, params(Headers), request_body = SaleBody,
    responses((status = 202, description = "Accepted: the broker has acknowledged it", body = Accepted), Problems))]
async fn venta(State(door): State<Door>, request: Request) -> Response {
    door.front.one(VENTA, request).await
}

/// Many sales, as an array or as one object per line. Where all were refused alike, the problem has the results, too; of items
/// that were all wrong the first hundred. Of more than a hundred refused items the others have status and code only.
///
/// Under a batch's key, items that are equal in every field are told apart by their number alone. When only a part of the
/// batch is sent again, the first of them in it takes the first one's key, and is counted once with that. So send equal
/// items again together, or give each an `idempotency_key`.
#[utoipa::path(post, path = VENTAS, params(Headers),
    request_body(content((Vec<SaleBody> = "application/json"), (SaleBody = "application/x-ndjson"))),
    responses(
        (status = 202, description = "All are accepted: the broker has acknowledged them", body = BatchAnswer),
        (status = 207, description = "The results differ", body = BatchAnswer),
        Problems,
    ))]
async fn ventas(State(door): State<Door>, request: Request) -> Response {
    door.front.many(VENTAS, request).await
}

/// One weather report.
#[utoipa::path(post, path = INPUT, params(Headers), request_body = WeatherBody,
    responses((status = 202, description = "Accepted: the broker has acknowledged it", body = Accepted), Problems))]
async fn input(State(door): State<Door>, request: Request) -> Response {
    door.front.weather(INPUT, request).await
}

/// This document.
#[utoipa::path(get, path = OPENAPI, responses((status = 200, description = "OpenAPI", content_type = "application/json")))]
async fn openapi(State(door): State<Door>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], door.document).into_response()
}
