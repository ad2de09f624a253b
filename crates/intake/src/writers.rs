//! The gRPC client: balanced over all writers that a name resolves to, which is asked again while running.
//!
//! A ClusterIP would pin one HTTP/2 connection to one pod; so the target is a headless name, and each address has a
//! channel of its own. A call goes to the usable writer with the fewest calls in flight.

mod endpoint;
mod send;
mod targets;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blackfriday_telemetry::metrics::Registry;
use blackfriday_telemetry::metrics::types::gauge::Gauge;
use tokio::sync::{Notify, watch};

pub use self::targets::WritersError;

use self::endpoint::Endpoint;
use self::targets::Target;

/// Where the writers are.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Writers")]
pub struct WritersConfig {
    /// The writers: `host:port`, several separated by commas; every address of each name is used.
    #[arg(long, env = "BLACKFRIDAY_WRITER_TARGET", default_value = "127.0.0.1:50051")]
    pub writer_target: String,
    /// Milliseconds between two look-ups of the names.
    #[arg(long, env = "BLACKFRIDAY_WRITER_RESOLVE_INTERVAL_MS", default_value_t = 2_000)]
    pub writer_resolve_interval_ms: u64,
    /// Milliseconds for a connection to a writer.
    #[arg(long, env = "BLACKFRIDAY_WRITER_CONNECT_TIMEOUT_MS", default_value_t = 1_000)]
    pub writer_connect_timeout_ms: u64,
}

/// Hands events to the writers.
#[derive(Clone)]
pub struct Writers {
    endpoints: Arc<Mutex<Vec<Arc<Endpoint>>>>,
    look_again: Arc<Notify>,
    usable: watch::Sender<bool>,
    connect_timeout: Duration,
    count: Gauge,
}

impl Writers {
    /// Reads the target and begins to look its names up.
    ///
    /// # Errors
    /// The target is not a list of `host:port`.
    pub fn start(config: &WritersConfig, registry: &Registry) -> Result<Self, WritersError> {
        let targets = targets::parse(&config.writer_target)?;
        let writers = Self {
            endpoints: Arc::default(),
            look_again: Arc::new(Notify::new()),
            usable: watch::Sender::new(false),
            connect_timeout: Duration::from_millis(config.writer_connect_timeout_ms),
            count: registry.gauge("blackfriday_writers", "Writer addresses that are in use"),
        };
        let interval = Duration::from_millis(config.writer_resolve_interval_ms.max(1));
        tokio::spawn(writers.clone().resolve(targets, interval));
        Ok(writers)
    }

    /// Whether a writer is there that takes events, as last seen.
    pub fn usable(&self) -> watch::Receiver<bool> {
        self.usable.subscribe()
    }

    /// Looks the names up again and again, and asks each writer for its health.
    async fn resolve(self, targets: Vec<Target>, interval: Duration) {
        // The callers hold the same list; when only this task is left, nobody calls any more.
        while Arc::strong_count(&self.endpoints) > 1 || !self.usable.is_closed() {
            if let Some(addresses) = targets::look_up(&targets).await {
                self.replace(&addresses);
            }
            let endpoints = self.snapshot();
            let checks = endpoints.iter().map(|endpoint| endpoint.check(self.connect_timeout));
            let healthy = futures_util::future::join_all(checks).await.into_iter().any(|healthy| healthy);
            self.usable.send_replace(healthy);
            // While something is wrong, look more often.
            let all_well = healthy && endpoints.iter().all(|endpoint| endpoint.is_usable());
            let pause = if all_well { interval } else { interval.min(Duration::from_millis(250)) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.look_again.notified() => {}
            }
        }
    }

    fn replace(&self, addresses: &[std::net::SocketAddr]) {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        endpoints.retain(|endpoint| addresses.contains(&endpoint.address()));
        for address in addresses {
            if !endpoints.iter().any(|endpoint| endpoint.address() == *address) {
                tracing::info!(%address, "a writer is used");
                endpoints.push(Arc::new(Endpoint::new(*address, self.connect_timeout)));
            }
        }
        self.count.set(i64::try_from(endpoints.len()).unwrap_or(i64::MAX));
    }

    fn snapshot(&self) -> Vec<Arc<Endpoint>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The usable writer with the fewest calls in flight that is not among `tried`; an unusable one if there is no other.
    fn pick(&self, tried: &[Arc<Endpoint>]) -> Option<Arc<Endpoint>> {
        let endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let untried =
            endpoints.iter().filter(|endpoint| !tried.iter().any(|tried| Arc::ptr_eq(tried, endpoint)));
        untried
            .min_by_key(|endpoint| (!endpoint.is_usable(), endpoint.in_flight(), endpoint.calls()))
            .cloned()
    }
}
