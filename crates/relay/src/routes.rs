//! Every route, with its description: the router, the OpenAPI document and the metrics' labels come from here.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use axum::{Extension, Router};
use blackfriday_intake::openapi::{
    self, BatchProblems, Headers, OneOrManyAccepted, OneOrManySales, Served, WeatherProblems, begun, written,
};
use blackfriday_intake::{BatchAnswer, Front, SaleBody, Trust, WeatherAccepted, WeatherBody, Writers};
use blackfriday_service::Context;
use blackfriday_service::http::{self, HttpMetrics};
use blackfriday_service::openapi::labels;
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Config;
use crate::error::Error;

const PROCESAR: &str = "/procesar";
const PUBLICAR: &str = "/publicar";
const TITLE: &str = "blackfriday relay";
const DESCRIPTION: &str = "Takes events from the gateway, or from any client, and hands them to the writers. `202` is sent only \
    after the broker has acknowledged the event. Between hops of our own more is said than is written here.";

type Door = Arc<Front<Writers>>;

/// Serves until the shutdown begins, and finishes the requests in flight.
///
/// # Errors
/// The writers' target cannot be read. An unreachable writer is not an error here; requests are answered with 503.
pub async fn run(config: Config, listener: TcpListener, context: Context) -> Result<(), Error> {
    let writers = Writers::start(&config.writers, &context).map_err(Error::Target)?;
    let trust = if config.trust_hops { Trust::Hop } else { Trust::Outside };
    let front = Front::new(Arc::new(writers), trust, &config.intake, &config.limits, &context.registry);
    let front = Arc::new(front);
    let (router, described) = described().split_for_parts();
    let metrics = HttpMetrics::new(&context.registry, labels(described));
    let router: Router = router.with_state(Arc::clone(&front)).layer(Extension(Served::from(document())));
    http::serve(listener, router, &config.limits, Some(metrics), context.shutdown).await;
    front.settled().await;
    Ok(())
}

/// The OpenAPI document, as JSON.
fn document() -> String {
    written(described().into_openapi())
}

fn described() -> OpenApiRouter<Door> {
    OpenApiRouter::with_openapi(begun(TITLE, DESCRIPTION))
        .routes(routes!(procesar))
        .routes(routes!(publicar))
        .routes(routes!(openapi::serve))
}

/// One sale, or many as an array or as one object per line: as the gateway's `/venta` and `/ventas`.
#[utoipa::path(post, path = PROCESAR, params(Headers),
    request_body(content((OneOrManySales = "application/json"), (SaleBody = "application/x-ndjson"))),
    responses(
        (status = 202, description = "All are accepted: the broker has acknowledged them", body = OneOrManyAccepted),
        (status = 207, description = "The results differ", body = BatchAnswer),
        BatchProblems,
    ))]
async fn procesar(State(front): State<Door>, request: Request) -> Response {
    front.one_or_many(PROCESAR, request).await
}

/// One weather report, for every log: as the gateway's `/input`.
#[utoipa::path(post, path = PUBLICAR, params(Headers), request_body = WeatherBody,
    responses(
        (status = 202, description = "Accepted: every log has acknowledged it", body = WeatherAccepted),
        WeatherProblems,
    ))]
async fn publicar(State(front): State<Door>, request: Request) -> Response {
    front.weather(PUBLICAR, request).await
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::document;

    #[test]
    fn every_route_is_described_and_every_reference_leads_somewhere() {
        let text = document();
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        assert!(paths.keys().eq(["/openapi.json", "/procesar", "/publicar"]), "{:?}", paths.keys());
        for (at, prefix) in text.match_indices("#/components/schemas/") {
            let name = text[at + prefix.len()..].split('"').next().expect("a name");
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
        }
    }
}
