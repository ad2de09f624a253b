//! What a call must pass before it is decoded: the limits on calls, on bytes and on sales.
//!
//! A small message is bounded by the number of calls in flight; a larger one takes room in a budget of bytes, as its bytes
//! arrive, so that a few slow batches do not keep single sales out. A batch takes room for its answer, too, before any of
//! it is published.
//!
//! Invariant: what is refused here was not published, and says so: every status of this module means that a repetition
//! is safe, or that the call itself is wrong. What a call holds is given back when its answer is sent.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use blackfriday_service::BodyBudget;
use blackfriday_telemetry::metrics::Registry;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use prost::bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use crate::answers::{CallRoom, Untaken, kept};
use crate::calls::{AnswerBy, CallMetrics};
use crate::config::Limits;
use crate::{gzip, message};

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// Between two parts of a message.
const STALL_LIMIT: Duration = Duration::from_secs(2);
/// What a sale of a batch takes when it is decoded, and then its result: whatever its length on the wire, up to which the
/// message's own room counts.
const SALE_BYTES: usize = 256;
/// Of the budget, answers that their peer does not take have a quarter on one connection; and room for single sales' in any
/// case.
const UNTAKEN_PART: usize = 4;
const LEAST_UNTAKEN_BYTES: usize = 64 << 10;
const BATCH_METHOD: &str = "ProcesarVentas";
/// The methods that metrics know by name.
const METHODS: [&str; 3] = ["ProcesarVenta", BATCH_METHOD, "Publicar"];

/// The limits that all services share. Clones share the room.
#[derive(Clone)]
pub(crate) struct Gate {
    calls: Arc<Semaphore>,
    bytes: BodyBudget,
    limits: Limits,
    metrics: CallMetrics,
}

/// A service of unary calls behind the gate.
#[derive(Clone)]
pub(crate) struct Admitted<S> {
    service: S,
    gate: Gate,
}

/// What a call takes until its answer is sent.
struct Held {
    call: OwnedSemaphorePermit,
    room: CallRoom,
    untaken: Arc<Untaken>,
}

impl Gate {
    pub(crate) fn new(limits: &Limits, registry: &Registry) -> Self {
        let most = limits.max_calls.min(Semaphore::MAX_PERMITS);
        let calls = Arc::new(Semaphore::new(most));
        let free = Arc::clone(&calls);
        registry.limit("max-calls", most, move || most - free.available_permits());
        Self {
            calls,
            bytes: BodyBudget::new(limits.max_messages_kib).of_flag("max-messages-kib", registry),
            limits: limits.clone(),
            metrics: CallMetrics::new(registry),
        }
    }

    pub(crate) fn before<S>(&self, service: S) -> Admitted<S> {
        Admitted { service, gate: self.clone() }
    }

    /// Takes a place for the call, reads its message, and takes room for what it becomes.
    async fn admit(&self, request: Request, method: &str) -> Result<(Request, Held), Status> {
        let untaken = request.extensions().get::<Arc<Untaken>>().cloned().unwrap_or_default();
        self.check_taken(&untaken)?;
        let full = |_| Status::resource_exhausted("too many calls are in flight");
        let call = Arc::clone(&self.calls).try_acquire_owned().map_err(full)?;
        let by = AnswerBy::of(request.headers(), self.limits.call_timeout());
        let (mut parts, body) = request.into_parts();
        let mut room = CallRoom::new(self.bytes.room());
        let read = message::read(body, self.limits.max_message_bytes, STALL_LIMIT, &room);
        let late = |_| Status::resource_exhausted("the message did not arrive in time; nothing was written");
        let mut message = timeout_at(by.0, read).await.map_err(late)??;
        if gzip::is_gzip(&mut parts.headers, &message)? {
            (message, room) = self.inflate(message, room).await?;
        }
        if by.is_over() {
            return Err(Status::resource_exhausted("the call has no time left; nothing was written"));
        }
        if method == BATCH_METHOD {
            let sales = message::count_field_1(&message)?;
            self.check_count(sales)?;
            room.take(sales.saturating_mul(SALE_BYTES))?;
        }
        parts.extensions.insert(by);
        parts.extensions.insert(room.clone());
        let request = Request::from_parts(parts, Body::new(Full::new(message)));
        Ok((request, Held { call, room, untaken }))
    }

    /// Room for what the message inflates to is taken before it is inflated; the compressed one's is given back after.
    async fn inflate(&self, message: Bytes, _compressed: CallRoom) -> Result<(Bytes, CallRoom), Status> {
        let length = gzip::inflated_length(&message, self.limits.max_message_bytes)?;
        let room = CallRoom::new(self.bytes.room());
        room.take(length)?;
        let inflated = spawn_blocking(move || gzip::inflate(&message, length)).await;
        Ok((inflated.map_err(|error| Status::internal(error.to_string()))??, room))
    }

    /// A peer that does not take its answers gets no more of them than its part.
    fn check_taken(&self, untaken: &Untaken) -> Result<(), Status> {
        let kib = usize::try_from(self.limits.max_messages_kib).unwrap_or(usize::MAX);
        let most = kib.saturating_mul(1024) / UNTAKEN_PART;
        if untaken.bytes() > most.max(LEAST_UNTAKEN_BYTES) {
            return Err(Status::resource_exhausted("the connection does not take its answers"));
        }
        Ok(())
    }

    fn check_count(&self, sales: usize) -> Result<(), Status> {
        let limit = self.limits.max_batch_sales;
        if sales > limit {
            return Err(Status::out_of_range(format!("{sales} sales; a batch holds at most {limit}")));
        }
        Ok(())
    }
}

impl<S> Service<Request> for Admitted<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + NamedService + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let method = method_of(request.uri().path());
        let call = self.gate.metrics.begin(S::NAME, method);
        // The clone was not asked whether it is ready, the original was.
        let fresh = self.service.clone();
        let mut service = std::mem::replace(&mut self.service, fresh);
        let gate = self.gate.clone();
        Box::pin(async move {
            let (response, held) = match gate.admit(request, method).await {
                Ok((request, held)) => (service.call(request).await?, Some(held)),
                Err(status) => (status.into_http(), None),
            };
            let refused = Status::from_header_map(response.headers());
            call.end(refused.map_or(Code::Ok, |status| status.code()));
            let Some(Held { call, room, untaken }) = held else { return Ok(response) };
            Ok(kept(response, &untaken, &room, call).await)
        })
    }
}

impl<S: NamedService> NamedService for Admitted<S> {
    const NAME: &'static str = S::NAME;
}

fn method_of(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    METHODS.into_iter().find(|method| *method == name).unwrap_or("_OTHER")
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use clap::Parser;

    use super::*;

    /// Counts the calls that reach it.
    #[derive(Clone, Default)]
    struct Behind(Arc<AtomicUsize>);

    impl NamedService for Behind {
        const NAME: &'static str = "behind";
    }

    impl Service<Request> for Behind {
        type Response = Response;
        type Error = Infallible;
        type Future = Ready<Result<Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request) -> Self::Future {
            self.0.fetch_add(1, Ordering::Relaxed);
            ready(Ok(Response::new(Body::empty())))
        }
    }

    #[tokio::test]
    async fn a_call_without_time_left_is_refused_before_anything_is_written() {
        let config = crate::Config::try_parse_from(["writer"]).expect("defaults");
        let gate = Gate::new(&config.limits, &Registry::new("test"));
        let behind = Behind::default();
        let mut call = gate.before(behind.clone());
        let mut status = async |timeout: &str| {
            let empty = Body::new(Full::new(Bytes::from_static(&[0; 5])));
            let request = http::Request::post("/blackfriday.ProductSaleService/ProcesarVenta");
            let request = request.header("grpc-timeout", timeout).body(empty).expect("a request");
            let response = call.call(request).await.expect("infallible");
            Status::from_header_map(response.headers()).map(|status| status.code())
        };
        for timeout in ["0H", "0n", "1n", "99999999n", "999u", "1m", "4m"] {
            let long = timeout == "99999999n";
            let expected = if long { None } else { Some(Code::ResourceExhausted) };
            assert_eq!(status(timeout).await, expected, "{timeout}");
        }
        for timeout in ["1S", "99999999H", "1x", ""] {
            assert_eq!(status(timeout).await, None, "{timeout}");
        }
        assert_eq!(behind.0.load(Ordering::Relaxed), 5);
    }
}
