use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant, SystemTime};

use blackfriday_broker::kafka::Producer;
use blackfriday_broker::{OutgoingRecord, Position, PublishError};
use blackfriday_event::{EventId, Sale, Timestamp, WeatherReport};
use blackfriday_proto::{ErrorCode, SaleCommand, SaleError, WeatherCommand, encode_sale, encode_weather};
use blackfriday_telemetry::context;
use blackfriday_telemetry::metrics::types::counter::Counter;
use blackfriday_telemetry::metrics::types::gauge::Gauge;
use blackfriday_telemetry::metrics::types::histogram::Histogram;
use blackfriday_telemetry::metrics::{DURATION_BUCKETS, Registry};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Span;

use crate::Config;
use crate::error::of_publish;
use crate::partition::record_key;

/// Left of a call's time for the answer's way back.
const ANSWER_RESERVE: Duration = Duration::from_millis(50);

/// Turns events into records and waits for the broker.
#[derive(Clone)]
pub(crate) struct Publisher {
    producer: Producer,
    topics: Arc<(String, String)>,
    in_flight: Arc<Semaphore>,
    metrics: Metrics,
}

#[derive(Clone)]
struct Metrics {
    published: Counter,
    failed: Counter,
    in_flight: Gauge,
    duration: Histogram,
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
            topics: Arc::new((config.topic_sales.clone(), config.topic_weather.clone())),
            in_flight: Arc::new(Semaphore::new(config.limits.max_in_flight_records)),
            metrics,
        }
    }

    /// Publishes sales and waits for every outcome, until a little before `deadline`.
    pub(crate) async fn sales(
        &self,
        commands: Vec<SaleCommand>,
        deadline: Instant,
    ) -> Vec<Result<EventId, SaleError>> {
        let accepted_at = Timestamp::from(SystemTime::now());
        let prepare = |command: SaleCommand| {
            let span = span(&self.topics.0, command.traceparent.as_deref());
            let (id, idempotency_key) = (command.id, command.idempotency_key);
            let key = record_key(idempotency_key.as_ref());
            let payload = encode_sale(&Sale { id, accepted_at, idempotency_key, draft: command.draft });
            prepared(&self.topics.0, id, accepted_at, key, payload, span)
        };
        self.publish(commands.into_iter().map(prepare).collect(), deadline).await
    }

    /// Publishes a weather report.
    pub(crate) async fn weather(
        &self,
        command: WeatherCommand,
        deadline: Instant,
    ) -> Result<EventId, SaleError> {
        let accepted_at = Timestamp::from(SystemTime::now());
        let span = span(&self.topics.1, command.traceparent.as_deref());
        let (id, idempotency_key) = (command.id, command.idempotency_key);
        let key = record_key(idempotency_key.as_ref());
        let payload =
            encode_weather(&WeatherReport { id, accepted_at, idempotency_key, draft: command.draft });
        let prepared = prepared(&self.topics.1, id, accepted_at, key, payload, span);
        let unknown = || Err(SaleError::new(ErrorCode::OutcomeUnknown, "no outcome").of(id));
        self.publish(vec![prepared], deadline).await.pop().unwrap_or_else(unknown)
    }

    async fn publish(&self, prepared: Vec<Prepared>, deadline: Instant) -> Vec<Result<EventId, SaleError>> {
        let count = prepared.len();
        let permits = u32::try_from(count).ok().and_then(|count| self.in_flight.try_acquire_many(count).ok());
        let Some(_permits) = permits else {
            self.metrics.failed.inc_by(count as u64);
            let full =
                || SaleError::new(ErrorCode::Overloaded, "too many records are on their way to the broker");
            return prepared.into_iter().map(|prepared| Err(full().of(prepared.id))).collect();
        };
        let started = StdInstant::now();
        self.metrics.in_flight.inc_by(i64::try_from(count).unwrap_or(i64::MAX));
        let (about, records): (Vec<_>, Vec<_>) =
            prepared.into_iter().map(|prepared| ((prepared.id, prepared.span), prepared.record)).unzip();
        let outcomes = self.producer.publish_batch(records).outcomes_until(deadline - ANSWER_RESERVE).await;
        self.metrics.in_flight.dec_by(i64::try_from(count).unwrap_or(i64::MAX));
        self.metrics.duration.observe(started.elapsed().as_secs_f64());
        let acknowledged = outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
        self.metrics.published.inc_by(acknowledged);
        self.metrics.failed.inc_by(count as u64 - acknowledged);
        about.into_iter().zip(outcomes).map(|((id, span), outcome)| conclude(id, span, outcome)).collect()
    }
}

fn conclude(
    id: EventId,
    span: Option<Span>,
    outcome: Result<Position, PublishError>,
) -> Result<EventId, SaleError> {
    if let (Some(span), Ok(position)) = (span, &outcome) {
        span.record("messaging.destination.partition.id", position.partition);
        span.record("messaging.kafka.offset", position.offset);
    }
    outcome.map(|_| id).map_err(|error| of_publish(error).of(id))
}

fn prepared(
    topic: &str,
    id: EventId,
    accepted_at: Timestamp,
    key: Option<Vec<u8>>,
    payload: Vec<u8>,
    span: Option<Span>,
) -> Prepared {
    let record = OutgoingRecord {
        topic: topic.to_owned(),
        key,
        payload,
        timestamp_ms: i64::try_from(accepted_at.millis()).unwrap_or(i64::MAX),
        traceparent: span.as_ref().and_then(context::traceparent_of),
        ..OutgoingRecord::default()
    };
    Prepared { id, record, span }
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
    );
    context::set_parent(&span, parent);
    Some(span)
}
