//! Cutting batches at their limits.

use std::time::Duration;

use tokio::time::Instant;

use crate::partition::TopicPartition;
use crate::record::{Record, RecordBatch};
use crate::subscription::BatchLimits;

/// A batch that is being filled.
#[derive(Debug)]
pub(super) struct Cut {
    batch: RecordBatch,
    bytes: usize,
    since: Option<Instant>,
}

impl Cut {
    pub(super) fn new(partition: TopicPartition, epoch: u64, from: i64) -> Self {
        let batch = RecordBatch { partition, epoch, from, to: from, records: Vec::new() };
        Self { batch, bytes: 0, since: None }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.batch.epoch
    }

    /// One past what it covers: the next offset.
    pub(super) fn to(&self) -> i64 {
        self.batch.to
    }

    pub(super) fn add(&mut self, record: Record) {
        self.bytes += record.payload.len();
        self.batch.to = record.offset + 1;
        self.batch.records.push(record);
        self.since.get_or_insert_with(Instant::now);
    }

    /// The batch, if it is full.
    pub(super) fn full(&mut self, limits: &BatchLimits) -> Option<RecordBatch> {
        let full = self.batch.records.len() >= limits.max_records || self.bytes >= limits.max_bytes;
        full.then(|| self.take())
    }

    /// The batch, if it covers anything.
    pub(super) fn begun(&mut self) -> Option<RecordBatch> {
        self.since.is_some().then(|| self.take())
    }

    /// Whether it waited for long enough.
    pub(super) fn is_ripe(&self, limits: &BatchLimits) -> bool {
        self.due(limits.max_wait).is_some_and(|due| due <= Instant::now())
    }

    /// When it is to be handed on; never while it covers nothing.
    pub(super) fn due(&self, max_wait: Duration) -> Option<Instant> {
        self.since.map(|since| since + max_wait)
    }

    fn take(&mut self) -> RecordBatch {
        let RecordBatch { partition, epoch, to, .. } = &self.batch;
        let next = Self::new(partition.clone(), *epoch, *to);
        std::mem::replace(self, next).batch
    }
}
