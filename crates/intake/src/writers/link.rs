//! One HTTP/2 connection to one writer, made when it is needed.
//!
//! Not tonic's `Channel`, because that does not tell whether a request that failed had been sent. Here a request surely
//! was not sent if there was no connection, if hyper gives it back, or if the writer says so: a stream above the last
//! one of a GOAWAY (RFC 9113, section 6.8), or REFUSED_STREAM (section 8.7).

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use blackfriday_service::tls::ClientTls;
use futures_util::TryFutureExt;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::body::Body;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::Service;

/// A silent peer is given up after the sum of both.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Room for a whole batch, so that it does not wait for window updates.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// An open connection. Clones share it.
#[derive(Clone)]
pub(super) struct Link {
    sender: SendRequest<Body>,
    scheme: Scheme,
    authority: Authority,
}

/// A request failed below gRPC.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The writer surely did not see it.
    #[error("the request was not sent: {0}")]
    NotSent(String),
    /// The writer may have seen it.
    #[error("the connection broke: {0}")]
    Lost(String),
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// Refused, not reachable, not who it should be, or not within `limit`.
    pub(super) async fn connect(
        address: SocketAddr,
        tls: Option<&ClientTls>,
        limit: Duration,
    ) -> io::Result<Self> {
        let connected = timeout(limit, async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            match tls {
                None => Self::over(stream, address, Scheme::HTTP).await,
                Some(tls) => {
                    let stream = tls.connect(stream).await.map_err(see("--writer-tls-ca"))?;
                    let linked = Self::over(stream, address, Scheme::HTTPS).and_then(Self::let_in).await;
                    linked.map_err(see("--writer-tls-certificate"))
                }
            }
        });
        connected.await.map_err(|_elapsed| io::ErrorKind::TimedOut)?
    }

    async fn over<S>(stream: S, address: SocketAddr, scheme: Scheme) -> io::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // Ends with the last clone of the sender, after its last stream.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, %error, "a connection to a writer ended");
            }
        });
        let authority = address.to_string().parse().expect("a socket address is an authority");
        Ok(Self { sender, scheme, authority })
    }

    /// With TLS 1.3 the writer refuses our certificate after the handshake, when an event may be on its way already. So
    /// the first call on a link is one that changes nothing; whatever the answer, the writer has accepted us.
    async fn let_in(self) -> io::Result<Self> {
        let asked = HealthClient::new(self.clone()).check(HealthCheckRequest::default()).await;
        match asked.as_ref().err().and_then(Error::source) {
            Some(broken) if broken.is::<LinkError>() => Err(io::Error::other(broken.to_string())),
            _ => Ok(self),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }
}

type Responding = Pin<Box<dyn Future<Output = Result<Response<Incoming>, LinkError>> + Send>>;

impl Service<Request<Body>> for Link {
    type Response = Response<Incoming>;
    type Error = LinkError;
    type Future = Responding;

    /// Always: what the peer's limit of streams does not let through yet waits inside of the connection.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Responding {
        *request.uri_mut() = absolute(&self.scheme, &self.authority, request.uri());
        let answer = self.sender.try_send_request(request);
        Box::pin(async move {
            answer.await.map_err(|mut failed| {
                if failed.take_message().is_some() || was_refused(failed.error()) {
                    LinkError::NotSent(said(failed.error()))
                } else {
                    LinkError::Lost(said(failed.error()))
                }
            })
        })
    }
}

fn see(option: &'static str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::other(format!("{error} (see {option})"))
}

fn absolute(scheme: &Scheme, authority: &Authority, uri: &Uri) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme.clone());
    parts.authority = Some(authority.clone());
    parts.path_and_query =
        Some(uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    Uri::from_parts(parts).expect("scheme, authority and path make a URI")
}

fn was_refused(error: &hyper::Error) -> bool {
    let h2 = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    h2.is_some_and(|error| {
        error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}

fn said(error: &hyper::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
