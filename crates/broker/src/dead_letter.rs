//! The format of dead letters: records that cannot be counted are kept, as they are, in a topic of their own, and their
//! headers say where each came from and why it was refused.

/// Header: the topic that the record came from.
pub const ORIGIN_TOPIC: &str = "blackfriday-origin-topic";
/// Header: the partition that it came from.
pub const ORIGIN_PARTITION: &str = "blackfriday-origin-partition";
/// Header: its offset there.
pub const ORIGIN_OFFSET: &str = "blackfriday-origin-offset";
/// Header: why it cannot be counted.
pub const REASON: &str = "blackfriday-reason";
/// How the reason begins for an event whose key counted another one.
pub const CONFLICT: &str = "its idempotency key was counted with another event";
/// Header of a stub: the bytes that the record had. The payload is only its beginning.
pub const ORIGIN_LENGTH: &str = "blackfriday-origin-length";

/// The dead-letter topic of a topic.
pub fn topic_of(topic: &str) -> String {
    format!("{topic}.dlq")
}
