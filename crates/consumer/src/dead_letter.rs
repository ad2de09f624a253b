//! What cannot be counted goes to the topic's dead letters, acknowledged, before the position passes it.
//!
//! What is too large for the dead-letter topic is written as a stub: where it came from, why, how long it was, and how it
//! begins.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBuilder};
use blackfriday_broker::dead_letter::{
    ORIGIN_LENGTH, ORIGIN_OFFSET, ORIGIN_PARTITION, ORIGIN_TOPIC, REASON, topic_of,
};
use blackfriday_broker::{
    BrokerError, Destination, LogConfig, OutgoingRecord, Producer, ProducerConfig, PublishError,
    TopicPartition,
};
use blackfriday_event::Timestamp;
use tokio::time::Instant;

use crate::fold::Rejected;
use crate::troubles::{Subject, Troubles};

/// Between tries, for as long as it takes.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(200))
    .with_max_delay(LONGEST_PAUSE)
    .without_max_times();
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The producer gives a record up after [`MESSAGE_TIMEOUT_MS`]; one that was replaced meanwhile never reports.
const OUTCOME_LIMIT: Duration = Duration::from_secs(5);
const MESSAGE_TIMEOUT_MS: u32 = 3_000;
/// Far above what a topic takes: records are compressed there, and only the broker knows how large they are then.
const RECORD_MAX_BYTES: u32 = 32 << 20;
const STUB_BYTES: usize = 1024;

/// A producer of dead letters. One that is written twice does no harm: it is redriven once.
///
/// # Errors
/// A setting is refused.
pub(crate) fn producer(log: &LogConfig, topics: &BTreeSet<&str>) -> Result<Producer, BrokerError> {
    let settings =
        ProducerConfig::giving_up_after(MESSAGE_TIMEOUT_MS).with_record_max_bytes(RECORD_MAX_BYTES);
    // With the topics themselves: the broker is there for us while it has one of them.
    let names = topics.iter().flat_map(|topic| [(*topic).to_owned(), topic_of(topic)]);
    let destination = |topic| Destination { topic, min_partitions: 1 };
    Producer::to(log, &settings, names.map(destination).collect())
}

/// Publishes what cannot be counted and waits, for as long as it takes, until the broker has acknowledged all of it. A
/// crash in between publishes it again: the origin in the headers shows that the two are one record.
pub(crate) async fn publish(
    producer: &Producer,
    partition: &TopicPartition,
    rejected: Vec<Rejected>,
    troubles: &Troubles,
) {
    let subject = Subject::DeadLetters(partition.clone());
    let mut left: Vec<_> = rejected.into_iter().map(|rejected| outgoing(partition, rejected)).collect();
    let mut pauses = PAUSES.build();
    loop {
        let delivery = producer.publish_batch(left.clone());
        let outcomes = delivery.outcomes_until(Instant::now() + OUTCOME_LIMIT).await;
        let mut worst = None;
        let mut again = Vec::new();
        for (record, outcome) in left.into_iter().zip(outcomes) {
            match outcome {
                Ok(_) => {}
                Err(PublishError::TooLarge | PublishError::Rejected(_)) if !is_stub(&record) => {
                    again.push(stub(record));
                }
                Err(error) => {
                    worst = Some(error);
                    again.push(record);
                }
            }
        }
        left = again;
        if left.is_empty() {
            return troubles.passed(&subject);
        }
        let Some(error) = worst else { continue };
        let topic = topic_of(&partition.topic);
        let cause = producer.refuses(&topic).or_else(|| producer.complaint());
        let cause = cause.unwrap_or_else(|| error.to_string());
        troubles.met(&subject, format!("{} dead letters cannot be written to {topic}: {cause}", left.len()));
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

fn outgoing(partition: &TopicPartition, Rejected { record, reason }: Rejected) -> OutgoingRecord {
    tracing::warn!(%partition, offset = record.offset, reason, "a record cannot be counted");
    let now = Timestamp::from(SystemTime::now()).millis();
    OutgoingRecord {
        topic: topic_of(&partition.topic),
        key: record.key,
        payload: record.payload,
        timestamp_ms: i64::try_from(now).unwrap_or(i64::MAX),
        traceparent: record.traceparent,
        headers: vec![
            (ORIGIN_TOPIC, partition.topic.as_bytes().to_vec()),
            (ORIGIN_PARTITION, partition.partition.to_string().into_bytes()),
            (ORIGIN_OFFSET, record.offset.to_string().into_bytes()),
            (REASON, reason.into_bytes()),
        ],
        ..OutgoingRecord::default()
    }
}

fn is_stub(record: &OutgoingRecord) -> bool {
    record.headers.iter().any(|(name, _)| *name == ORIGIN_LENGTH)
}

fn stub(record: OutgoingRecord) -> OutgoingRecord {
    let mut headers = record.headers;
    headers.iter_mut().for_each(|(_, value)| value.truncate(STUB_BYTES));
    headers.push((ORIGIN_LENGTH, record.payload.len().to_string().into_bytes()));
    let mut payload = record.payload;
    payload.truncate(STUB_BYTES);
    let key = record.key.filter(|key| key.len() <= STUB_BYTES);
    let traceparent = record.traceparent.filter(|trace| trace.len() <= STUB_BYTES);
    OutgoingRecord { payload, key, traceparent, headers, ..record }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_tells_where_the_record_was_how_long_it_was_and_how_it_began() {
        let record = OutgoingRecord {
            key: Some(vec![1; 5_000]),
            payload: vec![7; 2_000_000],
            traceparent: Some("x".repeat(5_000)),
            headers: vec![(ORIGIN_OFFSET, b"12".to_vec()), (REASON, vec![b'r'; 5_000])],
            ..OutgoingRecord::default()
        };
        let stub = stub(record);
        assert!(is_stub(&stub));
        assert_eq!((stub.payload, stub.key, stub.traceparent), (vec![7; STUB_BYTES], None, None));
        let expected = [
            (ORIGIN_OFFSET, b"12".to_vec()),
            (REASON, vec![b'r'; STUB_BYTES]),
            (ORIGIN_LENGTH, b"2000000".to_vec()),
        ];
        assert_eq!(stub.headers, expected);
    }
}
