//! One subject, once: it is driven for some seconds, everything that it accepted is counted, and what each process used
//! meanwhile is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde_json::Value;

use super::client::{Answered, Plan, request, send};
use super::field::Field;
use super::freshness::{Reader, Samples};
use super::part::TOPIC;
use super::publisher::Queue;
use super::subject::Subject;
use super::traffic::Traffic;
use super::usage::Used;
use crate::service::Service;

/// Different requests, which are sent in turn: more for more products, so that they are sold, as far as they fit into memory.
const BODIES: u64 = 1_000;
const MOST_BODIES: u64 = 200_000;
const BATCHES: u64 = 20;
const MOST_SALES_IN_BATCHES: u64 = 1_000_000;

/// What was measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measure {
    pub(crate) sales: u64,
    /// Requests that were answered otherwise than with 202.
    pub(crate) refused: u64,
    pub(crate) took: Duration,
    /// Milliseconds: half of the requests, and 99 of 100, were answered within.
    pub(crate) latency_ms: Option<[f64; 2]>,
    /// Milliseconds from a sale's answer until half of the sales, and 99 of 100, were readable in the store.
    pub(crate) freshness_ms: Option<[f64; 2]>,
    /// Milliseconds from the death of the store's primary until a sale that was accepted after it was readable.
    pub(crate) failover_ms: Option<f64>,
    /// Seconds from the start of the store until it answered.
    pub(crate) boot_s: Option<f64>,
    /// Milliseconds: half of the consumer's round trips to the store, and 99 of 100, took at most.
    pub(crate) apply_ms: Option<[f64; 2]>,
    /// CPU microseconds a sale, of each process that did anything.
    pub(crate) cpu_us: BTreeMap<&'static str, f64>,
    pub(crate) resident_mib: BTreeMap<&'static str, u64>,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Demand {
    /// Connections of single sales.
    pub(crate) connections: u16,
    /// Connections of batches.
    pub(crate) batch_connections: u16,
    /// Sales in a batch.
    pub(crate) batch: u64,
    /// Sales a second; without it as many as are answered.
    pub(crate) rate: Option<f64>,
    /// Products that are sold.
    pub(crate) products: u64,
    /// Whether to measure how long a sale takes to be readable, too: in the read API, where there is one.
    pub(crate) with_freshness: bool,
    /// Whether a request may be refused, and is counted as such.
    pub(crate) may_refuse: bool,
    /// Consumers that count what was accepted until then, from nothing.
    pub(crate) consumers: usize,
    /// What a bare publisher of RabbitMQ publishes to.
    pub(crate) queue: Queue,
}

impl Default for Demand {
    fn default() -> Self {
        Self {
            connections: 64,
            batch_connections: 16,
            batch: 500,
            rate: None,
            products: 400,
            with_freshness: false,
            may_refuse: false,
            consumers: 1,
            queue: Queue::Stream,
        }
    }
}

/// Measures one subject after the other in the same field.
pub(crate) struct Bench {
    pub(crate) field: Field,
    pub(crate) demand: Demand,
    /// Sales that the services accepted so far.
    pub(crate) accepted: u64,
    samples: Samples,
}

impl Bench {
    /// Nothing was accepted there so far.
    pub(crate) fn of(field: Field, demand: Demand) -> Self {
        Self { field, demand, accepted: 0, samples: Samples::default() }
    }

    pub(crate) async fn measure(&mut self, subject: Subject, lasts: Duration) -> Result<Measure> {
        match subject {
            Subject::Handler => self.drive(subject, self.field.handler(), lasts).await,
            Subject::Peer => self.drive(subject, self.field.peer()?, lasts).await,
            Subject::Relay | Subject::RelayBatch => self.count(subject, Service::Gateway, lasts).await,
            Subject::Writer | Subject::WriterBatch => {
                self.count(subject, Service::WriterGateway, lasts).await
            }
            Subject::Log | Subject::LogBatch => self.count(subject, Service::LogGateway, lasts).await,
            Subject::Producer => {
                let (seconds, products) = (lasts.as_secs().to_string(), self.demand.products.to_string());
                self.part(&["producer", &self.brokers()?, &seconds, &products, self.field.acks()]).await
            }
            Subject::Publisher => {
                let (seconds, products) = (lasts.as_secs().to_string(), self.demand.products.to_string());
                let broker = self.field.log.amqp().context("a publisher publishes into RabbitMQ")?;
                self.part(&["publisher", &broker, self.demand.queue.name(), &seconds, &products]).await
            }
            Subject::Failover => self.fail_over(lasts).await,
            Subject::Boot => self.boot(lasts).await,
            Subject::Consumer => self.part(&["consumer", &self.brokers()?, "ventas"]).await,
            Subject::Backlog => self.backlog().await,
        }
    }

    /// Sends to one of our gateways, and waits until all is counted.
    pub(super) async fn count(
        &mut self,
        subject: Subject,
        gateway: Service,
        lasts: Duration,
    ) -> Result<Measure> {
        let to = self.field.processes.address(gateway);
        let plan = self.plan(subject, to, lasts);
        let watched = self.field.watched()?;
        let before = watched.used()?;
        let (answered, freshness) = if self.demand.with_freshness {
            let reader = self.field.api().map_or(Reader::Store(&self.field.store), Reader::Api);
            let sampling = self.samples.take(reader, to, lasts);
            let (answered, freshness) = tokio::try_join!(send(plan), sampling)?;
            (answered, Some(freshness))
        } else {
            (send(plan).await?, None)
        };
        let refused = answered.refused;
        ensure!(
            refused == 0 || self.demand.may_refuse,
            "{refused} requests were refused:\n{}",
            self.field.logs()
        );
        let resident_mib = watched.resident_mib();
        self.accepted += answered.accepted + freshness.as_ref().map_or(0, Histogram::len);
        self.field.until_counted(self.accepted).await?;
        let mut measure = Measure::of(&answered, &before, &watched.used()?, resident_mib)?;
        measure.freshness_ms = freshness.map(|freshness| quantiles(&freshness));
        Ok(measure)
    }

    /// Sends to something that counts nothing.
    async fn drive(&self, subject: Subject, to: SocketAddr, lasts: Duration) -> Result<Measure> {
        let plan = self.plan(subject, to, lasts);
        let watched = self.field.watched()?;
        let before = watched.used()?;
        let answered = send(plan).await?;
        ensure!(answered.refused == 0, "{} requests were refused", answered.refused);
        Measure::of(&answered, &before, &watched.used()?, watched.resident_mib())
    }

    /// Runs a bare part, and takes its word.
    async fn part(&self, arguments: &[&str]) -> Result<Measure> {
        let watched = self.field.watched()?;
        let before = watched.used()?;
        let told = self.field.part(arguments).await?;
        let number = |name: &str| told[name].as_u64().with_context(|| format!("{name} in {told}"));
        let records = number("records")?;
        let took = told["seconds"].as_f64().context("seconds")?;
        let mut cpu_us = per_sale(&before, &watched.used()?, records);
        cpu_us.insert("part", each(Duration::from_micros(number("cpu_us")?), records));
        let mut resident_mib = watched.resident_mib();
        resident_mib.insert("part", number("resident_mib")?);
        Ok(Measure {
            sales: records,
            took: Duration::from_secs_f64(took),
            cpu_us,
            resident_mib,
            ..Measure::default()
        })
    }

    /// Stops the consumer, empties the store, and takes the time until a new one has counted everything.
    async fn backlog(&mut self) -> Result<Measure> {
        self.field.stop_consumers().await?;
        self.field.store.command(&["FLUSHALL"]).await?;
        let began = Instant::now();
        self.field.spawn_consumers(self.demand.consumers)?;
        let watched = self.field.watched()?;
        let mut before = watched.used()?;
        // What it has used since it began is its own.
        before.insert("consumer", Duration::ZERO);
        self.field.until_counted(self.accepted).await?;
        let took = began.elapsed();
        let cpu_us = per_sale(&before, &watched.used()?, self.accepted);
        let resident_mib = watched.resident_mib();
        Ok(Measure { sales: self.accepted, took, cpu_us, resident_mib, ..Measure::default() })
    }

    pub(super) fn plan(&self, subject: Subject, to: SocketAddr, lasts: Duration) -> Plan {
        let mut traffic = Traffic::of(self.demand.products);
        let (connections, sales) = if subject.is_batch() {
            (self.demand.batch_connections, self.demand.batch)
        } else {
            (self.demand.connections, 1)
        };
        let requests: Vec<_> = if subject.is_batch() {
            let batches = self.demand.products.min(MOST_SALES_IN_BATCHES).div_ceil(sales).max(BATCHES);
            (0..batches).map(|_| request("/ventas", to, &traffic.batch(sales))).collect()
        } else {
            let bodies = self.demand.products.clamp(BODIES, MOST_BODIES);
            (0..bodies).map(|_| request("/venta", to, &traffic.sale())).collect()
        };
        let rate = self.demand.rate.map(|rate| rate / f64::from(u32::try_from(sales).unwrap_or(1)));
        Plan { to, requests: Arc::from(requests), sales, connections: connections.into(), lasts, rate }
    }

    fn brokers(&self) -> Result<String> {
        self.field.log.brokers().with_context(|| format!("{TOPIC} is in Kafka"))
    }
}

impl Measure {
    fn of(
        answered: &Answered,
        before: &Used,
        after: &Used,
        resident_mib: BTreeMap<&'static str, u64>,
    ) -> Result<Self> {
        ensure!(answered.accepted > 0, "nothing was accepted");
        Ok(Self {
            sales: answered.accepted,
            refused: answered.refused,
            took: answered.took,
            latency_ms: Some(quantiles(&answered.latencies)),
            cpu_us: per_sale(before, after, answered.accepted),
            resident_mib,
            ..Self::default()
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "fewer sales than 2^53")]
    pub(crate) fn sales_per_s(&self) -> f64 {
        self.sales as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn to_json(&self) -> Value {
        serde_json::json!({
            "sales": self.sales,
            "refused": self.refused,
            "seconds": self.took.as_secs_f64(),
            "sales_per_s": self.sales_per_s(),
            "latency_ms": self.latency_ms.map(|[p50, p99]| serde_json::json!({"p50": p50, "p99": p99})),
            "freshness_ms": self.freshness_ms.map(|[p50, p99]| serde_json::json!({"p50": p50, "p99": p99})),
            "cpu_us_per_sale": self.cpu_us,
            "resident_mib": self.resident_mib,
        })
    }
}

/// Milliseconds out of microseconds: the median, and the 99th of 100.
#[expect(clippy::cast_precision_loss, reason = "microseconds of a run are far below 2^53")]
pub(super) fn quantiles(us: &Histogram<u64>) -> [f64; 2] {
    [0.5, 0.99].map(|quantile| us.value_at_quantile(quantile) as f64 / 1000.0)
}

pub(super) fn per_sale(before: &Used, after: &Used, sales: u64) -> BTreeMap<&'static str, f64> {
    let used = |(name, after): (&&'static str, &Duration)| {
        let used = after.saturating_sub(before.get(name).copied().unwrap_or_default());
        (*name, each(used, sales))
    };
    after.iter().map(used).collect()
}

#[expect(clippy::cast_precision_loss, reason = "fewer sales than 2^53")]
fn each(used: Duration, sales: u64) -> f64 {
    used.as_secs_f64() * 1e6 / sales as f64
}
