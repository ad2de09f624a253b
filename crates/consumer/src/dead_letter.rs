use std::time::{Duration, SystemTime};

use blackfriday_broker::kafka::Producer;
use blackfriday_broker::{OutgoingRecord, TopicPartition};
use blackfriday_event::Timestamp;

use crate::fold::Rejected;

/// Header: the topic that the record came from.
pub const ORIGIN_TOPIC: &str = "blackfriday-origin-topic";
/// Header: the partition that it came from.
pub const ORIGIN_PARTITION: &str = "blackfriday-origin-partition";
/// Header: its offset there.
pub const ORIGIN_OFFSET: &str = "blackfriday-origin-offset";
/// Header: why it cannot be counted.
pub const REASON: &str = "blackfriday-reason";

const RETRY: Duration = Duration::from_millis(200);

/// The dead-letter topic of a topic.
pub fn topic_of(topic: &str) -> String {
    format!("{topic}.dlq")
}

/// Publishes what cannot be counted and waits, for as long as it takes, until the broker has acknowledged all of it. A
/// crash in between publishes it again: the origin in the headers tells the two apart from two records.
pub(crate) async fn publish(producer: &Producer, partition: &TopicPartition, rejected: Vec<Rejected>) {
    let mut left: Vec<_> = rejected.into_iter().map(|rejected| outgoing(partition, rejected)).collect();
    while !left.is_empty() {
        let outcomes = producer.publish_batch(left.clone()).outcomes().await;
        let mut refused = outcomes.iter();
        left.retain(|_| refused.next().is_none_or(Result::is_err));
        if !left.is_empty() {
            tracing::warn!(%partition, records = left.len(), "dead letters are not acknowledged yet");
            tokio::time::sleep(RETRY).await;
        }
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
