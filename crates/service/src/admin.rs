//! The admin port: `/livez`, `/readyz` and `/metrics`, apart from the traffic so that probes work under overload.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use blackfriday_telemetry::metrics::types::gauge::Gauge;
use blackfriday_telemetry::metrics::{CONTENT_TYPE, Registry, encode_all};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::http;
use crate::limits::HttpLimits;
use crate::readiness::Readiness;
use crate::shutdown::Shutdown;

/// Serves the admin port until `stop`, with the metrics of the process and of the services that run in it besides.
pub async fn serve(
    listener: TcpListener,
    process: Registry,
    services: Vec<Registry>,
    readiness: Readiness,
    stop: Shutdown,
) {
    let tasks = process.gauge("tokio_alive_tasks", "Tasks of the runtime that have not ended");
    let registries = [vec![process], services].concat();
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(metrics).with_state((Arc::from(registries), tasks)));
    let limits =
        HttpLimits { max_connections: 64, max_in_flight: 64, drain_timeout_ms: 500, ..HttpLimits::default() };
    http::serve(listener, router, &limits, None, stop).await;
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let missing = readiness.missing().join(", ");
    match (readiness.is_ready(), missing.is_empty()) {
        (true, true) => "ready\n".into_response(),
        (true, false) => format!("ready, but without: {missing}\n").into_response(),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {missing}\n")).into_response(),
    }
}

async fn metrics(State((registries, tasks)): State<(Arc<[Registry]>, Gauge)>) -> Response {
    tasks.set(i64::try_from(Handle::current().metrics().num_alive_tasks()).unwrap_or(i64::MAX));
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], encode_all(&registries)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_that_have_not_ended_are_told() {
        let registry = Registry::new("test");
        let tasks = registry.gauge("tokio_alive_tasks", "");
        let _waiting = [(); 3].map(|()| tokio::spawn(std::future::pending::<()>()));
        metrics(State((Arc::from([registry.clone()]), tasks))).await;
        let text = registry.encode();
        assert!(text.contains("tokio_alive_tasks{service=\"test\"} 3"), "{text}");
    }
}
