use std::num::NonZeroU16;
use std::sync::Arc;

use blackfriday_broker::{EventLog, OutgoingRecord, Position, PublishError};
use blackfriday_event::{EventId, Timestamp};
use blackfriday_proto::{Command, RecordDraft, encode_record};
use blackfriday_telemetry::context;
use tracing::Span;

/// A topic, and the partitions over which its keyed events are spread.
pub(crate) struct Target {
    log: EventLog,
    topic: &'static str,
    keyed_partitions: NonZeroU16,
}

/// A record with the identity of its event, and the span that ends with its acknowledgement.
pub(crate) struct Prepared {
    pub(crate) id: EventId,
    pub(crate) record: OutgoingRecord,
    pub(crate) span: Option<Span>,
}

impl Target {
    pub(crate) fn new(log: EventLog, topic: &'static str, keyed_partitions: NonZeroU16) -> Arc<Self> {
        Arc::new(Self { log, topic, keyed_partitions })
    }

    /// The record of an event. Events under one idempotency key go to one partition, whatever the topic has, where the order
    /// of offsets says which came first; the others are spread.
    pub(crate) fn prepare<D: RecordDraft>(&self, command: Command<D>, written_at: Timestamp) -> Prepared {
        let span = send_span(self.log, self.topic, command.traceparent.as_deref());
        let id = command.id;
        let key = command.idempotency_key.as_ref().map(|key| key.as_str().as_bytes().to_vec());
        let record = OutgoingRecord {
            topic: self.topic.to_owned(),
            partition: key.is_some().then(|| id.keyed_partition(self.keyed_partitions)),
            key,
            payload: encode_record(&command.accepted(written_at)),
            traceparent: span.as_ref().and_then(context::traceparent_of),
            timestamp_ms: i64::try_from(written_at.millis()).unwrap_or(i64::MAX),
            ..OutgoingRecord::default()
        };
        Prepared { id, record, span }
    }
}

/// The producer's span of a sampled event; none for the others.
fn send_span(log: EventLog, topic: &str, traceparent: Option<&str>) -> Option<Span> {
    let parent = traceparent.filter(|traceparent| context::is_sampled(Some(traceparent)))?;
    let span = tracing::info_span!(
        parent: None,
        "send",
        otel.name = format!("send {topic}"),
        otel.kind = "producer",
        messaging.system = log.name(),
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

/// Writes on the span what became of its record.
pub(crate) fn conclude(span: &Span, delivered: &Result<Position, PublishError>) {
    match delivered {
        Ok(position) => {
            span.record("messaging.destination.partition.id", position.partition);
            if let Some(offset) = position.offset {
                span.record("messaging.kafka.offset", offset);
            }
        }
        Err(error) => {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", tracing::field::display(error));
        }
    }
}
