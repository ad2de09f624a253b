use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::CONNECTION;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower::Service;

use super::HttpMetrics;
use crate::{HttpLimits, Problem, Shutdown};

/// Past the request timeout: what a route may take to tell its own timeout better than we can.
const GRACE: Duration = Duration::from_millis(500);

/// Answers requests by the router, under the limits.
#[derive(Clone)]
pub(super) struct Answers {
    router: Router,
    in_flight: Arc<Semaphore>,
    hard_limit: Duration,
    metrics: Option<HttpMetrics>,
    shutdown: Shutdown,
}

impl Answers {
    pub(super) fn new(
        router: Router,
        limits: &HttpLimits,
        metrics: Option<HttpMetrics>,
        shutdown: Shutdown,
    ) -> Self {
        let router = router
            .fallback(|| async { Problem::not_found() })
            .method_not_allowed_fallback(|| async { Problem::method_not_allowed() });
        Self {
            router,
            in_flight: Arc::new(Semaphore::new(limits.max_in_flight)),
            hard_limit: limits.request_timeout() + GRACE,
            metrics,
            shutdown,
        }
    }

    pub(super) async fn answer(self, request: Request<Incoming>) -> Result<Response, Infallible> {
        let started = Instant::now();
        let observed =
            self.metrics.as_ref().map(|metrics| metrics.begin(request.method(), request.uri().path()));
        let mut response =
            limited(self.router.clone(), &self.in_flight, self.hard_limit, request.map(Body::new)).await;
        if let Some(observed) = observed {
            observed.end(response.status(), started.elapsed());
        }
        if self.shutdown.is_begun() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

async fn limited(
    mut router: Router,
    in_flight: &Semaphore,
    hard_limit: Duration,
    request: Request<Body>,
) -> Response {
    let Ok(_permit) = in_flight.try_acquire() else {
        return Problem::overloaded("too many requests in flight").into_response();
    };
    let routed = AssertUnwindSafe(router.call(request)).catch_unwind();
    match timeout(hard_limit, routed).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(_panic)) => {
            let title = "A defect; the outcome is not known";
            Problem::new(500, "internal", title, "the request met a defect").into_response()
        }
        Err(_elapsed) => {
            let title = "The outcome is not known";
            Problem::new(504, "outcome-unknown", title, "the request took too long").into_response()
        }
    }
}
