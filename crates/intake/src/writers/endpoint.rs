use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::transport::{Channel, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

/// One writer.
pub(super) struct Endpoint {
    address: SocketAddr,
    channel: Channel,
    usable: AtomicBool,
    in_flight: AtomicUsize,
    calls: AtomicU64,
}

/// No connection could be made: nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("connect to writer {address}")]
pub(super) struct ConnectFailed {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// A call in flight, for as long as it lives.
pub(super) struct InFlight<'a>(&'a Endpoint);

impl Endpoint {
    pub(super) fn new(address: SocketAddr, connect_timeout: Duration) -> Self {
        let connect = move |_: Uri| async move {
            let connected = match timeout(connect_timeout, TcpStream::connect(address)).await {
                Ok(connected) => connected,
                Err(_elapsed) => Err(std::io::ErrorKind::TimedOut.into()),
            };
            let stream = connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
            stream.map(TokioIo::new).map_err(|source| ConnectFailed { address, source })
        };
        let uri = format!("http://{address}");
        let endpoint = Channel::from_shared(uri).expect("a socket address makes a URI");
        let channel = endpoint
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .initial_connection_window_size(4 << 20)
            .initial_stream_window_size(2 << 20)
            .connect_with_connector_lazy(service_fn(connect));
        Self {
            address,
            channel,
            usable: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            calls: AtomicU64::new(0),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Whether it took the last call or health check.
    pub(super) fn is_usable(&self) -> bool {
        self.usable.load(Ordering::Relaxed)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self) -> InFlight<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    /// Leaves it out until a health check says otherwise.
    pub(super) fn eject(&self) {
        if self.usable.swap(false, Ordering::Relaxed) {
            tracing::warn!(address = %self.address, "a writer is left out");
        }
    }

    /// Asks for its health; a writer that serves is used. Says whether it does.
    pub(super) async fn check(&self, limit: Duration) -> bool {
        let mut client = HealthClient::new(self.channel());
        let asked = timeout(limit, client.check(HealthCheckRequest { service: String::new() })).await;
        let serving = matches!(asked, Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving);
        if self.usable.swap(serving, Ordering::Relaxed) != serving {
            tracing::info!(address = %self.address, serving, "a writer's health changed");
        }
        serving
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
