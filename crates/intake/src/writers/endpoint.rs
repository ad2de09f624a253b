//! One writer: its connection, and which of its services take events.
//!
//! `grpc.health.v1` is asked for each service by name, because a fault of one topic must not take the writer out for the
//! other. A writer that does not know the names is asked for itself as a whole.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use blackfriday_service::tls::ClientTls;
use futures_util::future::join_all;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::gauges::Gauges;
use super::link::{Link, LinkError};
use super::served::{PerService, Served};

/// Pauses before a writer that was left out is asked for its health again.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(RECONNECT_PAUSE)
    .with_max_delay(LONGEST_PAUSE)
    .without_max_times();
/// The first of them, and how long a failure to connect is the answer to the next calls.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How its connections are made and its health is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) connect_timeout: Duration,
    pub(super) check_interval: Duration,
}

/// One writer.
pub(super) struct Endpoint {
    address: SocketAddr,
    timing: Timing,
    services: &'static [Served],
    tls: Option<ClientTls>,
    connection: Mutex<Connection>,
    usable: PerService,
    in_flight: AtomicUsize,
    doubted: Notify,
    gauges: Arc<Gauges>,
}

#[derive(Default)]
struct Connection {
    link: Option<Link>,
    /// Until then the last failure to connect is the answer to the next calls.
    failed: Option<(Instant, String)>,
}

/// Events in flight to one writer, for as long as it lives.
pub(super) struct InFlight<'a> {
    endpoint: &'a Endpoint,
    events: usize,
}

impl Endpoint {
    pub(super) fn new(
        address: SocketAddr,
        timing: Timing,
        services: &'static [Served],
        tls: Option<ClientTls>,
        gauges: Arc<Gauges>,
    ) -> Self {
        Self {
            address,
            timing,
            services,
            tls,
            connection: Mutex::default(),
            usable: PerService::default(),
            in_flight: AtomicUsize::new(0),
            doubted: Notify::new(),
            gauges,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the service's last health check was good, and no call of it has failed since.
    pub(super) fn is_usable(&self, served: Served) -> bool {
        self.usable.get(served)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self, events: usize) -> InFlight<'_> {
        self.in_flight.fetch_add(events, Ordering::Relaxed);
        self.gauges.in_flight.inc_by(i64::try_from(events).unwrap_or(i64::MAX));
        InFlight { endpoint: self, events }
    }

    /// The open connection, or a new one.
    pub(super) async fn link(&self) -> Result<Link, LinkError> {
        let mut connection = self.connection.lock().await;
        if let Some(link) = connection.link.as_ref().filter(|link| link.is_open()) {
            return Ok(link.clone());
        }
        connection.link = None;
        if let Some((until, failure)) = &connection.failed
            && Instant::now() < *until
        {
            return Err(LinkError::NotSent(failure.clone()));
        }
        match Link::connect(self.address, self.tls.as_ref(), self.timing.connect_timeout).await {
            Ok(link) => {
                *connection = Connection { link: Some(link.clone()), failed: None };
                Ok(link)
            }
            Err(error) => {
                let failure = format!("connect to writer {}: {error}", self.address);
                if connection.failed.is_none() {
                    tracing::warn!(address = %self.address, %error, "a writer cannot be connected to");
                }
                connection.failed = Some((Instant::now() + RECONNECT_PAUSE, failure.clone()));
                Err(LinkError::NotSent(failure))
            }
        }
    }

    /// Leaves it out for these services until they are healthy again.
    pub(super) fn eject(&self, services: &[Served]) {
        for served in services {
            if self.set_usable(*served, false) {
                self.gauges.ejections.inc();
                tracing::warn!(address = %self.address, rpc_service = served.name(), "a writer is left out");
            }
        }
        self.doubt();
    }

    /// Asks for its health soon.
    pub(super) fn doubt(&self) {
        self.doubted.notify_one();
    }

    /// It is no longer among the writers.
    pub(super) fn retire(&self) {
        for served in self.services {
            self.set_usable(*served, false);
        }
    }

    /// Asks for its health again and again: at an interval while it is good, with growing pauses while it is not.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut pauses = PAUSES.build();
        loop {
            let serves = self.serves().await;
            for (served, serves) in self.services.iter().copied().zip(serves.iter().copied()) {
                if self.set_usable(served, serves) != serves {
                    let rpc_service = served.name();
                    tracing::info!(address = %self.address, rpc_service, serves, "a writer's health changed");
                }
            }
            if serves.iter().all(|serves| *serves) {
                tokio::select! {
                    () = sleep(self.timing.check_interval) => {
                        pauses = PAUSES.build();
                        continue;
                    }
                    () = self.doubted.notified() => {}
                }
            }
            sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
        }
    }

    /// Which of the services take events.
    async fn serves(&self) -> Vec<bool> {
        let asked = timeout(self.timing.connect_timeout, async {
            let link = self.link().await.ok()?;
            Some(join_all(self.services.iter().map(|served| serves(link.clone(), *served))).await)
        });
        asked.await.ok().flatten().unwrap_or_else(|| vec![false; self.services.len()])
    }

    /// Gives the value before.
    fn set_usable(&self, served: Served, usable: bool) -> bool {
        let before = self.usable.swap(served, usable);
        if before != usable {
            self.gauges.count_usable(served, usable);
        }
        before
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.endpoint.in_flight.fetch_sub(self.events, Ordering::Relaxed);
        self.endpoint.gauges.in_flight.dec_by(i64::try_from(self.events).unwrap_or(i64::MAX));
    }
}

/// Whether a service takes events, by its own health; by the whole server's if that does not know the name.
async fn serves(link: Link, served: Served) -> bool {
    let own = check(link.clone(), served.name()).await;
    let whole = || check(link, "");
    if own == Err(Code::NotFound) { whole().await == Ok(true) } else { own == Ok(true) }
}

/// `grpc.health.v1`; a server without it serves as long as it answers.
async fn check(link: Link, service: &str) -> Result<bool, Code> {
    let request = HealthCheckRequest { service: service.to_owned() };
    match HealthClient::new(link).check(request).await {
        Ok(answer) => Ok(answer.get_ref().status() == ServingStatus::Serving),
        Err(status) if status.code() == Code::Unimplemented => Ok(true),
        Err(status) => Err(status.code()),
    }
}
