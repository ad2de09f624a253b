use sha2::{Digest, Sha256};

use crate::error::BrokerError;
use crate::partition::TopicPartition;

/// A record on its way to the log.
#[derive(Debug, Clone, Default)]
pub struct OutgoingRecord {
    /// Where to.
    pub topic: String,
    /// Records with the same key go to the same partition; without one they are spread.
    pub key: Option<Vec<u8>>,
    /// A fixed partition, which goes before the key.
    pub partition: Option<i32>,
    /// The bytes.
    pub payload: Vec<u8>,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// W3C trace context, when the event is sampled.
    pub traceparent: Option<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, Vec<u8>)>,
}

impl OutgoingRecord {
    /// What it takes of a producer's queue.
    pub(crate) fn bytes(&self) -> usize {
        self.payload.len() + self.key.as_ref().map_or(0, Vec::len)
    }
}

/// Where an acknowledged record is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub partition: i32,
    /// The offset in it; RabbitMQ does not tell it.
    pub offset: Option<i64>,
}

/// A record as it is stored in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The offset in its partition.
    pub offset: i64,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Whether that is when the log appended the record; otherwise its producer's clock says so.
    pub appended: bool,
    /// The partitioning key.
    pub key: Option<Vec<u8>>,
    /// The bytes.
    pub payload: Vec<u8>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// All headers, where the reader asked for them.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// Tells this record from any other that may be at its offset, in a topic that was made again for instance: the first
    /// bytes of SHA-256 over timestamp, key and payload. The same each time that the record is read.
    pub fn digest(&self) -> [u8; 8] {
        let mut hash = Sha256::new();
        hash.update(self.timestamp_ms.to_be_bytes());
        // No key is not the same as an empty one.
        hash.update(self.key.as_ref().map_or(u64::MAX, |key| key.len() as u64).to_be_bytes());
        hash.update(self.key.as_deref().unwrap_or_default());
        hash.update(&self.payload);
        let whole: [u8; 32] = hash.finalize().into();
        *whole.first_chunk().expect("SHA-256 has 32 bytes")
    }
}

/// The record before a position, by which reading on from there is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastRead {
    /// Its offset.
    pub offset: i64,
    /// Its [`Record::digest`].
    pub digest: [u8; 8],
}

/// Consecutive records of one partition: everything that the log holds from `from` up to, not including, `to`.
///
/// There may be fewer records than offsets, or none: the log's own control records take offsets, too, as do records of
/// aborted transactions. The first batch after a start may cover no offset at all: it says that the position is the end.
#[derive(Debug)]
pub struct RecordBatch {
    /// Where.
    pub partition: TopicPartition,
    /// Which start of the subscription it belongs to; an older one is void.
    pub epoch: u64,
    /// First offset covered.
    pub from: i64,
    /// One past the last offset covered.
    pub to: i64,
    /// The records, in the order of their offsets.
    pub records: Vec<Record>,
}

/// The offsets that a partition holds: `low` up to, not including, `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// First offset.
    pub low: i64,
    /// One past the last offset.
    pub high: i64,
}

impl Watermarks {
    /// Whether reading may go on at `position`: the log still holds it, or it is the log's end.
    ///
    /// # Errors
    /// [`BrokerError::Gap`] or [`BrokerError::PastEnd`], which name the range.
    pub fn check(self, partition: &TopicPartition, position: i64) -> Result<(), BrokerError> {
        let Self { low, high } = self;
        let partition = || partition.clone();
        if position < low {
            Err(BrokerError::Gap { partition: partition(), position, low, high })
        } else if position > high {
            Err(BrokerError::PastEnd { partition: partition(), position, low, high })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_record_that_is_counted_shows_in_its_digest() {
        let record = Record {
            offset: 7,
            timestamp_ms: 1_700_000_000_000,
            appended: true,
            key: None,
            payload: b"ab".to_vec(),
            traceparent: None,
            headers: Vec::new(),
        };
        let other = Record { traceparent: Some("00-".into()), offset: 8, ..record.clone() };
        assert_eq!(record.digest(), other.digest());
        for other in [
            Record { timestamp_ms: 1_700_000_000_001, ..record.clone() },
            Record { key: Some(Vec::new()), ..record.clone() },
            Record { key: Some(b"a".to_vec()), payload: b"b".to_vec(), ..record.clone() },
            Record { payload: b"ac".to_vec(), ..record.clone() },
        ] {
            assert_ne!(record.digest(), other.digest(), "{other:?}");
        }
    }

    #[test]
    fn a_position_outside_of_the_log_is_named() {
        let log = Watermarks { low: 10, high: 20 };
        let ventas = TopicPartition::new("ventas", 3);
        assert!(log.check(&ventas, 10).is_ok() && log.check(&ventas, 20).is_ok());
        let gap = log.check(&ventas, 9).expect_err("records are gone").to_string();
        assert!(gap.contains("ventas/3") && gap.contains("9 to 10 are lost"), "{gap}");
        let past = log.check(&ventas, 21).expect_err("the topic was made again").to_string();
        assert!(past.contains("past the end") && past.contains("10 to 20"), "{past}");
    }
}
