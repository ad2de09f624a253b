//! One set of writers: all addresses that a target's names have.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use blackfriday_proto::{ErrorCode, Refusal};
use blackfriday_service::tls::ClientTls;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::endpoint::{Endpoint, Timing};
use super::gauges::Gauges;
use super::served::Served;
use super::targets::{self, Target};
use super::{WritersConfig, WritersError};

/// The shortest pause between two look-ups, however often calls fail.
const MIN_RESOLVE_INTERVAL: Duration = Duration::from_millis(100);

/// The writers of one target. Clones share the connections; the last one closes them.
#[derive(Clone)]
pub(super) struct Pool {
    pub(super) shared: Arc<Shared>,
    _resolve: Arc<AbortOnDropHandle<()>>,
}

pub(super) struct Shared {
    members: Mutex<Vec<Member>>,
    turn: AtomicUsize,
    pub(super) look_again: Notify,
    timing: Timing,
    services: &'static [Served],
    max_in_flight: usize,
    tls: Option<ClientTls>,
    pub(super) gauges: Arc<Gauges>,
}

/// A writer and the task that watches its health.
struct Member {
    endpoint: Arc<Endpoint>,
    _watch: AbortOnDropHandle<()>,
}

/// Why no writer could be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoWriter {
    /// There is no other.
    None,
    /// Each has its limit of events in flight.
    Full,
}

impl Pool {
    /// Reads the target and begins to look its names up. Its writers are asked for these services.
    ///
    /// # Errors
    /// The target is not a list of `host:port`, or a file of TLS cannot be used.
    pub(super) fn start(
        target: &str,
        services: &'static [Served],
        config: &WritersConfig,
        gauges: Gauges,
    ) -> Result<Self, WritersError> {
        let targets = targets::parse(target)?;
        let host = targets.first().map(Target::host).unwrap_or_default();
        let tls = config.tls.client(host).map_err(WritersError::Tls)?;
        let interval = Duration::from_millis(config.writer_resolve_interval_ms).max(MIN_RESOLVE_INTERVAL);
        let shared = Arc::new(Shared {
            members: Mutex::default(),
            turn: AtomicUsize::new(0),
            look_again: Notify::new(),
            timing: Timing {
                connect_timeout: Duration::from_millis(config.writer_connect_timeout_ms.max(1)),
                check_interval: interval,
            },
            services,
            max_in_flight: config.writer_max_in_flight_events.max(1),
            tls,
            gauges: Arc::new(gauges),
        });
        let resolve = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&shared).resolve(targets, interval)));
        Ok(Self { shared, _resolve: Arc::new(resolve) })
    }

    /// Its writers, as long as there is the pool.
    pub(super) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.shared)
    }

    /// Whether a writer takes events of any of its services.
    pub(super) fn is_usable(&self) -> bool {
        self.shared.gauges.is_usable()
    }

    /// Whether a writer takes an event of this service now.
    ///
    /// # Errors
    /// None does, or each has its limit of events in flight.
    pub(super) fn check(&self, served: Served) -> Result<(), Refusal> {
        let members = self.shared.members.lock().unwrap_or_else(PoisonError::into_inner);
        let mut usable = members.iter().filter(|member| member.endpoint.is_usable(served)).peekable();
        if usable.peek().is_none() {
            return Err(Refusal::new(ErrorCode::Unavailable, "no writer takes events"));
        }
        let has_room = |member: &Member| self.shared.has_room(member.endpoint.in_flight(), 1);
        if usable.any(has_room) { Ok(()) } else { Err(NoWriter::Full.error()) }
    }
}

impl Shared {
    /// Looks the names up at an interval, and soon after a call has failed.
    async fn resolve(self: Arc<Self>, targets: Vec<Target>, interval: Duration) {
        loop {
            if let Some(addresses) = targets::look_up(&targets).await {
                self.replace(&addresses);
            }
            sleep(MIN_RESOLVE_INTERVAL).await;
            tokio::select! {
                () = sleep(interval - MIN_RESOLVE_INTERVAL) => {}
                () = self.look_again.notified() => {}
            }
        }
    }

    /// Events in flight to the writer that has the most.
    pub(super) fn fullest(&self) -> usize {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.iter().map(|member| member.endpoint.in_flight()).max().unwrap_or(0)
    }

    fn replace(&self, addresses: &[SocketAddr]) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|Member { endpoint, .. }| {
            let stays = addresses.contains(&endpoint.address());
            if !stays {
                tracing::info!(address = %endpoint.address(), "a writer has gone");
                endpoint.retire();
            }
            stays
        });
        for address in addresses {
            if !members.iter().any(|member| member.endpoint.address() == *address) {
                tracing::info!(%address, "a writer is known");
                let (tls, gauges) = (self.tls.clone(), Arc::clone(&self.gauges));
                let endpoint = Arc::new(Endpoint::new(*address, self.timing, self.services, tls, gauges));
                let watch = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&endpoint).watch()));
                members.push(Member { endpoint, _watch: watch });
            }
        }
        self.gauges.known.set(i64::try_from(members.len()).unwrap_or(i64::MAX));
    }

    /// The writer usable for this service with the fewest events in flight that is not among `tried`, taking turns among equals. Where
    /// none is usable, one that was left out: its answer is as good as ours would be, and it may be back.
    pub(super) fn pick(
        &self,
        tried: &[Arc<Endpoint>],
        events: usize,
        served: Served,
    ) -> Result<Arc<Endpoint>, NoWriter> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % members.len().max(1);
        let (after, before) = members.split_at(turn);
        let untried = before.iter().chain(after).map(|member| &member.endpoint);
        let mut untried =
            untried.filter(|endpoint| !tried.iter().any(|tried| Arc::ptr_eq(tried, endpoint))).peekable();
        let none = if untried.peek().is_some() { NoWriter::Full } else { NoWriter::None };
        untried
            .map(|endpoint| (!endpoint.is_usable(served), endpoint.in_flight(), endpoint))
            .filter(|(_, in_flight, _)| self.has_room(*in_flight, events))
            .min_by_key(|(unusable, in_flight, _)| (*unusable, *in_flight))
            .map(|(_, _, endpoint)| Arc::clone(endpoint))
            .ok_or(none)
    }

    /// Whether a writer with so many events in flight takes these.
    fn has_room(&self, in_flight: usize, events: usize) -> bool {
        in_flight == 0 || in_flight + events <= self.max_in_flight
    }

    /// Whether there is no writer but these.
    pub(super) fn are_all(&self, tried: &[Arc<Endpoint>]) -> bool {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.iter().all(|member| tried.iter().any(|tried| Arc::ptr_eq(tried, &member.endpoint)))
    }
}

impl NoWriter {
    pub(super) fn error(self) -> Refusal {
        match self {
            Self::None => Refusal::new(ErrorCode::Unavailable, "no writer is known"),
            Self::Full => {
                Refusal::new(ErrorCode::Overloaded, "every writer has its limit of events in flight")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use blackfriday_telemetry::metrics::Registry;
    use tokio::net::TcpListener;
    use tokio::time::{Instant, sleep_until};
    use tonic::transport::Server;
    use tonic::transport::server::TcpIncoming;

    use super::super::gauges::Metrics;
    use super::*;

    fn shared(max_in_flight: usize) -> Shared {
        let interval = Duration::from_millis(100);
        Shared {
            members: Mutex::default(),
            turn: AtomicUsize::new(0),
            look_again: Notify::new(),
            timing: Timing { connect_timeout: Duration::from_secs(1), check_interval: interval },
            services: &Served::ALL,
            max_in_flight,
            tls: None,
            gauges: Arc::new(Metrics::new(&Registry::new("test")).of("writer", &Served::ALL, Arc::default())),
        }
    }

    /// A server that is only healthy, as a whole: it does not know the names of services.
    async fn healthy() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (_, health) = tonic_health::server::health_reporter();
        tokio::spawn(Server::builder().add_service(health).serve_with_incoming(TcpIncoming::from(listener)));
        address
    }

    fn pick(shared: &Shared, tried: &[Arc<Endpoint>], events: usize) -> Result<Arc<Endpoint>, NoWriter> {
        shared.pick(tried, events, Served::Sales)
    }

    fn picked(shared: &Shared) -> BTreeSet<SocketAddr> {
        (0..20).filter_map(|_| pick(shared, &[], 1).ok()).map(|endpoint| endpoint.address()).collect()
    }

    async fn until(shared: &Shared, expected: &[SocketAddr]) {
        let expected = expected.iter().copied().collect();
        let limit = Instant::now() + Duration::from_secs(10);
        while picked(shared) != expected {
            assert!(Instant::now() < limit, "{:?} instead of {expected:?}", picked(shared));
            sleep_until(Instant::now() + Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn an_address_that_appears_is_used_and_one_that_disappears_is_not() {
        let shared = shared(100);
        assert_eq!(pick(&shared, &[], 1).err(), Some(NoWriter::None));
        let (first, second) = (healthy().await, healthy().await);
        shared.replace(&[first]);
        until(&shared, &[first]).await;
        let in_flight = pick(&shared, &[], 1).expect("the first");
        shared.replace(&[first, second]);
        until(&shared, &[first, second]).await;
        shared.replace(&[second]);
        assert_eq!(picked(&shared), BTreeSet::from([second]));
        assert!(in_flight.link().await.is_ok(), "what it has in flight can end");
        shared.replace(&[]);
        assert_eq!((pick(&shared, &[], 1).err(), shared.gauges.is_usable()), (Some(NoWriter::None), false));
    }

    #[tokio::test]
    async fn the_writer_with_the_fewest_events_in_flight_is_picked_unless_all_are_full() {
        let shared = shared(10);
        let (first, second) = (healthy().await, healthy().await);
        shared.replace(&[first, second]);
        until(&shared, &[first, second]).await;
        let one = pick(&shared, &[], 8).expect("both are free");
        let eight = one.begin(8);
        let other = pick(&shared, &[], 4).expect("the other");
        assert_ne!(other.address(), one.address());
        let nine = other.begin(9);
        assert_eq!(pick(&shared, &[], 2).expect("there is room").address(), one.address());
        assert_eq!(pick(&shared, &[], 3).err(), Some(NoWriter::Full));
        assert_eq!(pick(&shared, &[Arc::clone(&one), Arc::clone(&other)], 1).err(), Some(NoWriter::None));
        drop((eight, nine));
        assert!(pick(&shared, &[], 1000).is_ok(), "a batch above the limit goes to a free writer");
    }
}
