use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Instant as StdInstant, SystemTime};

use blackfriday_broker::kafka::Producer;
use blackfriday_broker::{OutgoingRecord, Position, PublishError};
use blackfriday_event::{EventId, IdempotencyKey, Sale, Timestamp, WeatherReport};
use blackfriday_proto::{ErrorCode, Refusal, SaleCommand, WeatherCommand, encode_record};
use blackfriday_telemetry::context;
use blackfriday_telemetry::metrics::types::counter::Counter;
use blackfriday_telemetry::metrics::types::gauge::Gauge;
use blackfriday_telemetry::metrics::types::histogram::Histogram;
use blackfriday_telemetry::metrics::{DURATION_BUCKETS, Registry};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tracing::Span;

use crate::Config;
use crate::error::of_publish;

/// Turns events into records and waits for the broker.
#[derive(Clone)]
pub(crate) struct Publisher {
    producer: Producer,
    sales: Arc<Target>,
    weather: Arc<Target>,
    in_flight: Arc<Semaphore>,
    metrics: Metrics,
}

/// A topic, and the partitions over which its keyed events are spread.
struct Target {
    topic: String,
    keyed_partitions: NonZeroU16,
}

#[derive(Clone)]
struct Metrics {
    published: Counter,
    failed: Counter,
    in_flight: Gauge,
    duration: Histogram,
}

/// Records on their way. When it is dropped, also because the client gave up, what is not acknowledged counts as failed.
struct InFlight<'a> {
    metrics: &'a Metrics,
    records: usize,
    acknowledged: usize,
    started: StdInstant,
    _permits: SemaphorePermit<'a>,
}

/// A record with the identity of its event, and the span that ends with its acknowledgement.
struct Prepared {
    id: EventId,
    record: OutgoingRecord,
    span: Option<Span>,
}

impl Publisher {
    pub(crate) fn new(producer: Producer, config: &Config, registry: &Registry) -> Self {
        let metrics = Metrics {
            published: registry
                .counter("messaging_client_sent_messages", "Records acknowledged by the broker"),
            failed: registry.counter("messaging_client_failed_messages", "Records not acknowledged"),
            in_flight: registry
                .gauge("blackfriday_writer_in_flight_records", "Records on their way to the broker"),
            duration: registry.histogram(
                "messaging_client_operation_duration_seconds",
                "From handing a batch to the producer to its last outcome",
                &DURATION_BUCKETS,
            ),
        };
        Self {
            producer,
            sales: Target::new(&config.topic_sales, config.topic_sales_keyed_partitions),
            weather: Target::new(&config.topic_weather, config.topic_weather_keyed_partitions),
            in_flight: Arc::new(Semaphore::new(
                config.limits.max_in_flight_records.min(Semaphore::MAX_PERMITS),
            )),
            metrics,
        }
    }

    /// Publishes sales and waits for every outcome, until `by` at the latest.
    pub(crate) async fn sales(
        &self,
        commands: Vec<SaleCommand>,
        by: Instant,
    ) -> Vec<Result<EventId, Refusal>> {
        let written_at = Timestamp::from(SystemTime::now());
        let prepare = |command: SaleCommand| {
            let span = span(&self.sales.topic, command.traceparent.as_deref());
            let (id, idempotency_key) = (command.id, command.idempotency_key);
            let record = self.sales.record(id, idempotency_key.as_ref(), written_at);
            let payload =
                encode_record(&Sale { id, accepted_at: written_at, idempotency_key, draft: command.draft });
            prepared(id, OutgoingRecord { payload, ..record }, span)
        };
        self.publish(commands.into_iter().map(prepare).collect(), by).await
    }

    /// Publishes a weather report and waits for its outcome, until `by` at the latest.
    pub(crate) async fn weather(&self, command: WeatherCommand, by: Instant) -> Result<EventId, Refusal> {
        let written_at = Timestamp::from(SystemTime::now());
        let span = span(&self.weather.topic, command.traceparent.as_deref());
        let (id, idempotency_key) = (command.id, command.idempotency_key);
        let record = self.weather.record(id, idempotency_key.as_ref(), written_at);
        let report = WeatherReport { id, accepted_at: written_at, idempotency_key, draft: command.draft };
        let prepared = prepared(id, OutgoingRecord { payload: encode_record(&report), ..record }, span);
        let unknown = || Err(Refusal::new(ErrorCode::OutcomeUnknown, "no outcome").of(id));
        self.publish(vec![prepared], by).await.pop().unwrap_or_else(unknown)
    }

    async fn publish(&self, prepared: Vec<Prepared>, by: Instant) -> Vec<Result<EventId, Refusal>> {
        let Some(mut in_flight) = self.begin(prepared.len()) else {
            let full =
                || Refusal::new(ErrorCode::Overloaded, "too many records are on their way to the broker");
            return prepared.into_iter().map(|prepared| Err(full().of(prepared.id))).collect();
        };
        let (about, records): (Vec<_>, Vec<_>) =
            prepared.into_iter().map(|prepared| ((prepared.id, prepared.span), prepared.record)).unzip();
        let outcomes = self.producer.publish_batch(records).outcomes_until(by).await;
        in_flight.acknowledged = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        about.into_iter().zip(outcomes).map(|((id, span), outcome)| conclude(id, span, outcome)).collect()
    }

    /// Room for so many records, or none.
    fn begin(&self, records: usize) -> Option<InFlight<'_>> {
        let permits =
            u32::try_from(records).ok().and_then(|count| self.in_flight.try_acquire_many(count).ok());
        let Some(permits) = permits else {
            self.metrics.failed.inc_by(records as u64);
            return None;
        };
        self.metrics.in_flight.inc_by(gauge_of(records));
        let (metrics, started) = (&self.metrics, StdInstant::now());
        Some(InFlight { metrics, records, acknowledged: 0, started, _permits: permits })
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec_by(gauge_of(self.records));
        self.metrics.duration.observe(self.started.elapsed().as_secs_f64());
        self.metrics.published.inc_by(self.acknowledged as u64);
        self.metrics.failed.inc_by((self.records - self.acknowledged) as u64);
    }
}

fn gauge_of(records: usize) -> i64 {
    i64::try_from(records).unwrap_or(i64::MAX)
}

fn conclude(
    id: EventId,
    span: Option<Span>,
    outcome: Result<Position, PublishError>,
) -> Result<EventId, Refusal> {
    if let Some(span) = span {
        match &outcome {
            Ok(position) => {
                span.record("messaging.destination.partition.id", position.partition);
                span.record("messaging.kafka.offset", position.offset);
            }
            Err(error) => {
                span.record("otel.status_code", "ERROR");
                span.record("error.type", tracing::field::display(error));
            }
        }
    }
    outcome.map(|_| id).map_err(|error| of_publish(error).of(id))
}

impl Target {
    fn new(topic: &str, keyed_partitions: NonZeroU16) -> Arc<Self> {
        Arc::new(Self { topic: topic.to_owned(), keyed_partitions })
    }

    /// A record without its payload. Events under one idempotency key go to one partition, whatever the topic has, where the
    /// order of offsets says which came first; the others are spread.
    fn record(&self, id: EventId, key: Option<&IdempotencyKey>, written_at: Timestamp) -> OutgoingRecord {
        OutgoingRecord {
            topic: self.topic.clone(),
            key: key.map(|key| key.as_str().as_bytes().to_vec()),
            partition: key.map(|_| id.keyed_partition(self.keyed_partitions)),
            timestamp_ms: i64::try_from(written_at.millis()).unwrap_or(i64::MAX),
            ..OutgoingRecord::default()
        }
    }
}

fn prepared(id: EventId, record: OutgoingRecord, span: Option<Span>) -> Prepared {
    let traceparent = span.as_ref().and_then(context::traceparent_of);
    Prepared { id, record: OutgoingRecord { traceparent, ..record }, span }
}

/// The producer's span of a sampled event; none for the others.
fn span(topic: &str, traceparent: Option<&str>) -> Option<Span> {
    let parent = traceparent.filter(|traceparent| context::is_sampled(Some(traceparent)))?;
    let span = tracing::info_span!(
        parent: None,
        "send",
        otel.name = format!("send {topic}"),
        otel.kind = "producer",
        messaging.system = "kafka",
        messaging.operation.type = "send",
        messaging.destination.name = topic,
        messaging.destination.partition.id = tracing::field::Empty,
        messaging.kafka.offset = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
        error.type = tracing::field::Empty,
    );
    context::set_parent(&span, parent);
    Some(span)
}
