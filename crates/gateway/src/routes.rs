//! Every route, with its description: the router, the OpenAPI document and the metrics' labels come from here.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use axum::{Extension, Router};
use blackfriday_intake::openapi::{
    self, BatchProblems, Headers, SaleProblems, Sales, Served, WeatherProblems, begun, written,
};
use blackfriday_intake::{Accepted, BatchAnswer, Front, SaleBody, Trust, WeatherAccepted, WeatherBody};
use blackfriday_service::Context;
use blackfriday_service::http::{self, HttpMetrics};
use blackfriday_service::openapi::labels;
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Config;
use crate::error::Error;
use crate::forward::Forward;

const VENTA: &str = "/venta";
const VENTAS: &str = "/ventas";
const INPUT: &str = "/input";
const TITLE: &str = "blackfriday gateway";
const DESCRIPTION: &str =
    "Takes flash-sale traffic in. `202` is sent only after the broker has acknowledged the event.";

type Door = Arc<Front<Forward>>;

/// Serves until the shutdown begins, and finishes the requests in flight.
///
/// # Errors
/// A setting is refused, or the upstream's address or the catalogue cannot be read. An upstream that is away is not an error here; requests are
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
    let front =
        Front::new(Arc::clone(&forward), Trust::Outside, &config.intake, &config.limits, &context.registry);
    let front = Arc::new(front.selling(catalogue));
    let (router, described) = described().split_for_parts();
    let metrics = HttpMetrics::new(&context.registry, labels(described));
    let router: Router = router.with_state(Arc::clone(&front)).layer(Extension(Served::from(document())));
    http::serve(listener, router, &config.limits, Some(metrics), context.shutdown).await;
    front.settled().await;
    forward.flush(config.limits.drain_timeout()).await;
    Ok(())
}

/// The OpenAPI document, as JSON.
pub fn document() -> String {
    written(described().into_openapi())
}

fn described() -> OpenApiRouter<Door> {
    OpenApiRouter::with_openapi(begun(TITLE, DESCRIPTION))
        .routes(routes!(venta))
        .routes(routes!(ventas))
        .routes(routes!(input))
        .routes(routes!(openapi::serve))
}

/// One sale.
#[utoipa::path(post, path = VENTA, params(Headers), request_body = SaleBody,
    responses((status = 202, description = "Accepted: the broker has acknowledged it", body = Accepted), SaleProblems))]
async fn venta(State(front): State<Door>, request: Request) -> Response {
    front.one(VENTA, request).await
}

/// Many sales, as an array or as one object per line. Where all were refused alike, the problem has the results, too; of items
/// that were all wrong the first hundred. Of more than a hundred refused items the others have status and code only.
///
/// Under a batch's key, items that are equal in every field are told apart by their number alone. When only a part of the
/// batch is sent again, the first of them in it takes the first one's key, and is counted once with that. So send equal
/// items again together, or give each an `idempotency_key`.
#[utoipa::path(post, path = VENTAS, params(Headers),
    request_body(content((Sales = "application/json"), (SaleBody = "application/x-ndjson"))),
    responses(
        (status = 202, description = "All are accepted: the broker has acknowledged them", body = BatchAnswer),
        (status = 207, description = "The results differ", body = BatchAnswer),
        BatchProblems,
    ))]
async fn ventas(State(front): State<Door>, request: Request) -> Response {
    front.many(VENTAS, request).await
}

/// One weather report, for every log: `202` means that each of them has it. If one has it, or may have it, and another is not
/// known to have it, the answer is `504` and names the state in each. A report without a key gets one of its own, which
/// that answer names.
#[utoipa::path(post, path = INPUT, params(Headers), request_body = WeatherBody,
    responses(
        (status = 202, description = "Accepted: every log has acknowledged it", body = WeatherAccepted),
        WeatherProblems,
    ))]
async fn input(State(front): State<Door>, request: Request) -> Response {
    front.weather(INPUT, request).await
}

#[cfg(test)]
mod tests;
