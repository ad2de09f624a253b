use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{CONNECTION, EXPECT, HOST};
use http::{HeaderValue, Request, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tower::Service;

use super::HttpMetrics;
use super::connection::{Activity, Answering, Kept};
use super::received::Received;
use crate::body::Room;
use crate::limits::HttpLimits;
use crate::problem::{Kind, Problem};
use crate::shutdown::Shutdown;

/// What a request holds until its answer is written, not merely made.
pub(super) struct UntilWritten {
    _answering: Answering,
    _place: Option<OwnedSemaphorePermit>,
    _room: Option<Arc<Room>>,
}

/// Answers requests by the router, under the limits.
#[derive(Clone)]
pub(super) struct Answers {
    router: Router,
    in_flight: Arc<Semaphore>,
    metrics: Option<HttpMetrics>,
    shutdown: Shutdown,
    peer: Option<SocketAddr>,
}

impl Answers {
    pub(super) fn new(
        router: Router,
        limits: &HttpLimits,
        metrics: Option<HttpMetrics>,
        shutdown: Shutdown,
    ) -> Self {
        let router = router
            .fallback(|| async { Problem::new(Kind::NotFound, "there is nothing at this path") })
            .method_not_allowed_fallback(|| async {
                Problem::new(Kind::MethodNotAllowed, "the route does not take this method")
            });
        let in_flight = Arc::new(Semaphore::new(limits.max_in_flight));
        if let Some(metrics) = &metrics {
            metrics.limit("http-max-in-flight", limits.max_in_flight, &in_flight);
        }
        Self { router, in_flight, metrics, shutdown, peer: None }
    }

    /// Those of a connection: its requests say who sent them.
    pub(super) fn from(&self, peer: SocketAddr) -> Arc<Self> {
        Arc::new(Self { peer: Some(peer), ..self.clone() })
    }

    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        activity: Arc<Activity>,
    ) -> Result<hyper::Response<Kept<UntilWritten>>, Infallible> {
        let started = Instant::now();
        let answering = activity.answering(started);
        let observed =
            self.metrics.as_ref().map(|metrics| metrics.begin(request.method(), request.uri().path()));
        let has_host = has_one_host(&request);
        let is_expected = request.headers().contains_key(EXPECT);
        let (head, body) = request.into_parts();
        let (body, rest) = Received::new(body, is_expected, Arc::clone(&activity));
        let mut request = Request::from_parts(head, Body::new(body));
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let place = Arc::clone(&self.in_flight).try_acquire_owned().ok();
        let mut response = match &place {
            // Without a body, as hyper refuses a head that cannot be read.
            Some(_) if !has_host => {
                drop(request);
                StatusCode::BAD_REQUEST.into_response()
            }
            Some(_) => limited(self.router.clone(), &activity, request).await,
            None => {
                drop(request);
                Problem::new(Kind::Overloaded, "too many requests in flight").into_response()
            }
        };
        rest.discard().await;
        if let Some(observed) = observed {
            observed.end(response.status(), started.elapsed());
        }
        if self.shutdown.is_begun() || activity.is_unread() || !has_host {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let room = response.extensions_mut().remove::<Arc<Room>>();
        // A stream without an end has limits of its own, and would keep its place for good.
        let place = place.filter(|_| response.body().size_hint().exact().is_some());
        let until_written = UntilWritten { _answering: answering, _place: place, _room: room };
        Ok(response.map(|body| Kept::new(body, until_written)))
    }
}

/// HTTP/1.1 wants it once (RFC 9112, 3.2): of two, a proxy before us may have taken the other.
fn has_one_host<B>(request: &Request<B>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11)
}

/// The connection's task, which polls this, notes when it takes too long.
async fn limited(mut router: Router, activity: &Activity, request: Request<Body>) -> Response {
    let mut routed = pin!(AssertUnwindSafe(router.call(request)).catch_unwind());
    let answered = poll_fn(|context| match routed.as_mut().poll(context) {
        Poll::Pending if activity.is_late() => Poll::Ready(None),
        answered => answered.map(Some),
    });
    match answered.await {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(never))) => match never {},
        Some(Err(_panic)) => {
            // The panic's own words are on standard error.
            tracing::error!("a request panicked, its outcome is not known");
            outcome_unknown("the request met a defect")
        }
        None => outcome_unknown("the request took too long"),
    }
}

fn outcome_unknown(detail: &str) -> Response {
    Problem::new(Kind::OutcomeUnknown, detail).into_response()
}
