//! Health and reflection, whose calls do not pass the gate.
//!
//! They may be streams without an end, so that their number is bounded over all connections together. A health check is
//! not: it is answered at once, and must be while somebody else holds all of the streams.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

type Request = http::Request<Body>;
type Response = http::Response<Body>;

const CHECK: &str = "/grpc.health.v1.Health/Check";
/// For a health check, its message's arrival included.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// The streams that all services aside of the gate may have in flight. Clones share it.
#[derive(Clone)]
pub(crate) struct Aside(Arc<Semaphore>);

/// A service whose streams are bounded.
#[derive(Clone)]
pub(crate) struct Bound<S> {
    service: S,
    streams: Arc<Semaphore>,
}

impl Aside {
    pub(crate) fn new(max_streams: usize) -> Self {
        Self(Arc::new(Semaphore::new(max_streams.min(Semaphore::MAX_PERMITS))))
    }

    pub(crate) fn bound<S>(&self, service: S) -> Bound<S> {
        Bound { service, streams: Arc::clone(&self.0) }
    }
}

impl<S> Service<Request> for Bound<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if request.uri().path() == CHECK {
            let late = |_elapsed| Ok(Status::resource_exhausted("the message did not arrive").into_http());
            let answer = timeout(CHECK_LIMIT, self.service.call(request));
            return Box::pin(async move { answer.await.unwrap_or_else(late) });
        }
        let Ok(stream) = Arc::clone(&self.streams).try_acquire_owned() else {
            let full = Status::resource_exhausted("too many streams of health and reflection are open");
            return Box::pin(async { Ok(full.into_http()) });
        };
        let answer = self.service.call(request);
        // The answer's body is dropped when its last message is sent, or its client is gone.
        Box::pin(async {
            let keep = move |frame| {
                let _until_the_end = &stream;
                frame
            };
            Ok(answer.await?.map(|body| Body::new(body.map_frame(keep))))
        })
    }
}

impl<S: NamedService> NamedService for Bound<S> {
    const NAME: &'static str = S::NAME;
}
