//! What a run is about: the log and the store as real servers, every service as a process of its own, two of each but the
//! gateway, and a balancer before the relays, as a cluster's service is. Reports go to the other log, too, which has a writer, a
//! consumer and a store of its own.
//!
//! Invariant: dropping it ends everything that it started.

mod balancer;
mod clocks;
mod counters;
mod hostile;
mod log;

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_broker::EventLog;
use blackfriday_stack::{Clock, Proxy, Valkey, Wire as Spoken, eventually};
use blackfriday_store::{Store, StoreConfig, ValkeyConfig};
use blackfriday_verify::create::{self, Shape};

use self::balancer::Balancer;
pub(crate) use self::clocks::Clocks;
use self::counters::Counters;
pub(crate) use self::hostile::Hostile;
pub(crate) use self::log::Log;
use super::clients::Doors;
use super::kind::{Clocked, Role, Wire};
use super::setup::Setup;
use crate::processes::Processes;
use crate::service::Service;

/// Partitions of `ventas`.
const PARTITIONS: i32 = 4;
/// A body that grows is there twice for a moment: half of what a gateway takes without this stays within the bound of its memory.
const BODIES_KIB: &str = "65536";
/// The allocator takes memory when it is wanted, not a gigabyte at once: so a limit of memory can be reached.
const MEMORY_WHEN_WANTED: (&str, &str) = ("MIMALLOC_ARENA_EAGER_COMMIT", "0");

/// A log, and the store that counts what it holds.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) log: Log,
    pub(crate) counters: Counters,
}

/// The servers and the services.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) processes: Processes,
    _balancer: Balancer,
    relays: Vec<Proxy>,
    writers: Vec<Proxy>,
    /// What sales go to, and reports.
    pub(crate) main: Side,
    /// What reports go to, too.
    pub(crate) second: Side,
    pub(crate) clocks: Option<Clocks>,
    /// The store's server that the present fault hit.
    pub(crate) hurt: Option<Arc<Valkey>>,
    pub(crate) hostile: Option<Hostile>,
    complaints: Vec<String>,
}

impl Field {
    /// Starts everything and waits until all is ready.
    pub(crate) async fn start(setup: Setup) -> Result<Self> {
        let clocks = if setup.clocks { Some(Clocks::new()?) } else { None };
        let of_log = clocks.as_ref().map(|clocks| Arc::clone(clocks.of(Clocked::Log)));
        let main = Side::start(setup, shape(), of_log);
        let (main, second) = tokio::try_join!(main, Side::start(setup.second(), shape(), None))?;
        let mut processes = Processes::new(match second.kind() {
            EventLog::Kafka => &Service::DOUBLED_AND_KAFKA,
            EventLog::RabbitMq => &Service::DOUBLED_AND_RABBITMQ,
        })?;
        if let Some(clocks) = &clocks {
            clocks.hand_out(&mut processes);
        }
        let relays = proxies(&processes, Role::Relay.services(), Spoken::Any).await?;
        let into_main = proxies(&processes, Role::Writer.services(), Spoken::Http2).await?;
        let into_second = proxies(&processes, &[second.writer()], Spoken::Http2).await?;
        let balancer = Balancer::over(relays.iter().map(Proxy::address).collect()).await?;
        main.tell(&mut processes, &[Role::Writer.services(), Role::Consumer.services()].concat());
        second.tell(&mut processes, &[second.writer(), second.consumer()]);
        let relay = format!("http://{}", balancer.address());
        processes.set(&[Service::Gateway], "BLACKFRIDAY_RELAY_URL", &relay);
        processes.set(&[Service::Gateway], "BLACKFRIDAY_INTAKE_MAX_BODIES_KIB", BODIES_KIB);
        processes.set(&[Service::Gateway], MEMORY_WHEN_WANTED.0, MEMORY_WHEN_WANTED.1);
        let relays_of = Role::Relay.services();
        processes.set(relays_of, "BLACKFRIDAY_RELAY_TRUST_HOPS", "true");
        processes.set(relays_of, "BLACKFRIDAY_WRITER_TARGET", &targets(&into_main));
        processes.set(relays_of, main.weather_target(), &targets(&into_main));
        processes.set(relays_of, second.weather_target(), &targets(&into_second));
        processes.start_all().await?;
        let writers = into_main.into_iter().chain(into_second).collect();
        let (_balancer, hurt, hostile, complaints) = (balancer, None, None, Vec::new());
        Ok(Self { processes, _balancer, relays, writers, main, second, clocks, hurt, hostile, complaints })
    }

    /// Where clients go.
    pub(crate) fn doors(&self) -> Doors {
        let of =
            |role: Role| role.services().iter().map(|service| self.processes.address(*service)).collect();
        Doors {
            gateway: self.processes.address(Service::Gateway),
            relays: of(Role::Relay),
            writers: of(Role::Writer),
        }
    }

    /// The proxies of a wire.
    pub(crate) fn wire(&self, wire: Wire) -> Vec<&Proxy> {
        match wire {
            Wire::Relays => self.relays.iter().collect(),
            Wire::Writers => self.writers.iter().collect(),
            Wire::Log => self.main.log.wires(),
            Wire::Store => self.main.counters.wires(),
        }
    }

    /// Notes what was not as it should be.
    pub(crate) fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }

    /// What was not as it should be.
    pub(crate) fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// SIGTERM, whose end must be in order.
    pub(crate) async fn stop_in_order(&mut self, service: Service) -> Result<()> {
        let status = self.processes.terminate(service).await?;
        if status.code() != Some(0) {
            self.complain(format!("{service:?} ended with {status} after SIGTERM"));
        }
        Ok(())
    }

    /// Starts what has ended by itself again, as a supervisor does; which it was.
    pub(crate) fn revive(&mut self) -> Result<Vec<(Service, ExitStatus)>> {
        let ended = self.processes.ended();
        for (service, _) in &ended {
            self.processes.kill(*service)?;
            self.processes.spawn(*service)?;
        }
        Ok(ended)
    }

    /// Notes it if no consumer ends within `limit`, as each does on what waiting cannot mend.
    pub(crate) async fn expect_ended(&mut self, why: &str, limit: Duration) {
        let processes = &self.processes;
        if eventually(limit, async || !processes.ended().is_empty()).await.is_err() {
            self.complain(format!("{why}: every consumer goes on"));
        }
    }

    /// Notes it if no consumer says within `limit` that it cannot count: it is not ready, or has ended.
    pub(crate) async fn expect_loud(&mut self, why: &str, limit: Duration) {
        let consumers = Role::Consumer.services();
        let processes = &self.processes;
        let is_loud = async || {
            for consumer in consumers {
                if !processes.is_ready(*consumer).await {
                    return true;
                }
            }
            false
        };
        if eventually(limit, is_loud).await.is_err() {
            self.complain(format!("{why}: every consumer says that it counts"));
        }
    }
}

impl Side {
    /// With the topics that there are to be, and the log at this time of day.
    pub(crate) async fn start(setup: Setup, shape: Shape, clock: Option<Arc<Clock>>) -> Result<Self> {
        let log = async { Ok(Log::start(setup.log, setup.brokers.into(), clock).await?) };
        let (log, counters) = tokio::try_join!(log, Counters::start(setup.store))?;
        let shape = Shape { replication: log.replication()?, ..shape };
        create::make(&log.config(), &shape).await?;
        log.settle().await?;
        Ok(Self { log, counters })
    }

    /// A client of the store, as `verify` has one.
    pub(crate) fn store(&self) -> Result<Store> {
        let valkey = ValkeyConfig::new(&self.counters.url()).map_err(anyhow::Error::msg)?;
        Store::new(&valkey, &StoreConfig::default()).context("a store")
    }

    /// Which log it is.
    pub(crate) fn kind(&self) -> EventLog {
        self.log.config().log
    }

    /// Its writer, where it is the second one.
    pub(crate) fn writer(&self) -> Service {
        match self.kind() {
            EventLog::Kafka => Service::KafkaWriter,
            EventLog::RabbitMq => Service::RabbitWriter,
        }
    }

    /// Its consumer, where it is the second one.
    fn consumer(&self) -> Service {
        match self.kind() {
            EventLog::Kafka => Service::KafkaConsumer,
            EventLog::RabbitMq => Service::RabbitConsumer,
        }
    }

    /// The variable that names the writers of its reports to a relay.
    fn weather_target(&self) -> &'static str {
        match self.kind() {
            EventLog::Kafka => "BLACKFRIDAY_WEATHER_KAFKA_TARGET",
            EventLog::RabbitMq => "BLACKFRIDAY_WEATHER_RABBITMQ_TARGET",
        }
    }

    /// Where the services of this side find log and store.
    pub(crate) fn tell(&self, processes: &mut Processes, services: &[Service]) {
        for (name, value) in self.environment() {
            processes.set(services, name, &value);
        }
    }

    /// The same as variables.
    pub(crate) fn environment(&self) -> [(&'static str, String); 3] {
        let [log, servers] = self.log.environment();
        [log, servers, ("BLACKFRIDAY_VALKEY_URL", self.counters.url())]
    }
}

/// Between services and whoever calls them.
async fn proxies(processes: &Processes, services: &[Service], spoken: Spoken) -> Result<Vec<Proxy>> {
    let mut proxies = Vec::new();
    for service in services {
        proxies.push(Proxy::speaking(spoken, processes.address(*service)).await?);
    }
    Ok(proxies)
}

fn shape() -> Shape {
    Shape { partitions: PARTITIONS, ..Shape::default() }
}

fn targets(proxies: &[Proxy]) -> String {
    proxies.iter().map(|proxy| proxy.address().to_string()).collect::<Vec<_>>().join(",")
}
