//! Compares two logs with each other: an event that is for both must be in both, and be the same there.
//!
//! Both are read from their beginnings. What must be in both is what lay in either when the comparison began; an event that is
//! in one of them only is waited for as long as some hop may still be writing it to the other. What a client was told counts:
//! an acknowledged event is in both; one that only one log has is a fault, unless its client knows that the outcome is unknown.

mod agreement;
mod output;
mod pair;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use blackfriday_broker::{Admin, LogConfig, Record, TopicPartition};
use blackfriday_event::Timestamp;
use blackfriday_receipts::Receipts;
use tokio::time::{Instant, sleep};

pub use self::agreement::Agreement;
use self::pair::{Pair, SIDES};
use crate::records::{self, Headers, Patience, Range};
use crate::topics::Topics;
use crate::wait::{self, Offsets};

const POLL: Duration = Duration::from_millis(500);

/// One of the logs while it is read.
struct Side<'a> {
    config: &'a LogConfig,
    admin: Admin,
    /// Read up to here.
    read: Offsets,
}

/// Reads both logs and compares them, and both with the receipts. Waits up to `limit` for what may be on its way.
///
/// # Errors
/// One of the logs cannot be reached, or has no such topic.
pub async fn agree(
    logs: [&LogConfig; 2],
    topics: Topics,
    mut receipts: Receipts,
    limit: Duration,
) -> Result<Agreement> {
    topics.keep(&mut receipts);
    let mut pair = Pair::default();
    let mut sides = [Side::open(logs[0])?, Side::open(logs[1])?];
    for (number, side) in sides.iter_mut().enumerate() {
        pair.ends[number] = wait::ends(&side.admin, topics).await.with_context(|| side.name())?;
        side.begin(&mut pair, number).await.with_context(|| side.name())?;
    }
    let started = Instant::now();
    loop {
        for (number, side) in sides.iter_mut().enumerate() {
            side.read_on(&mut pair, number, topics).await.with_context(|| side.name())?;
        }
        if !pair.is_on_its_way(Timestamp::from(SystemTime::now())) || started.elapsed() >= limit {
            break;
        }
        sleep(POLL).await;
    }
    let mut agreement = Agreement::new(logs.map(|log| log.log.name()), &pair, receipts);
    for side in &sides {
        for topic in topics.names() {
            if wait::is_compacted(&side.admin, topic).await? {
                agreement.is_compacted(side.config.log.name(), topic);
            }
        }
    }
    Ok(agreement)
}

impl<'a> Side<'a> {
    fn open(config: &'a LogConfig) -> Result<Self> {
        Ok(Self { config, admin: Admin::new(config)?, read: Offsets::new() })
    }

    fn name(&self) -> String {
        format!("read {}", self.config.log.name())
    }

    /// Where each partition begins, and since when, if its beginning is gone.
    async fn begin(&mut self, pair: &mut Pair, number: usize) -> Result<()> {
        for (partition, end) in &pair.ends[number] {
            let log = records::watermarks(&self.admin, partition).await?;
            self.read.insert(partition.clone(), log.low);
            if log.low == 0 {
                continue;
            }
            let mut first = None;
            let range = Range { partition: partition.clone(), from: log.low, to: log.high.max(*end) };
            let note = |_: &TopicPartition, record: Record| {
                first = Timestamp::from_log(record.timestamp_ms);
                ControlFlow::Break(())
            };
            records::read(self.config, [range], Headers::None, Patience::UntilStalled, note).await?;
            // With nothing left, whatever was accepted until now may be gone.
            let first = first.unwrap_or_else(|| Timestamp::from(SystemTime::now()));
            pair.begins_at[number] = pair.begins_at[number].max(Some(first));
        }
        Ok(())
    }

    /// Reads what came since.
    async fn read_on(&mut self, pair: &mut Pair, number: usize, topics: Topics) -> Result<()> {
        let ends = wait::ends(&self.admin, topics).await?;
        let from = |partition: &TopicPartition| self.read.get(partition).copied().unwrap_or(0);
        let ranges: Vec<_> = ends
            .iter()
            .map(|(partition, to)| Range { partition: partition.clone(), from: from(partition), to: *to })
            .collect();
        let add = |partition: &TopicPartition, record: Record| {
            pair.add(number, partition, &record);
            ControlFlow::Continue(())
        };
        records::read(self.config, ranges, Headers::None, Patience::UntilStalled, add).await?;
        self.read.extend(ends);
        Ok(())
    }
}

/// The sides' numbers with something for each.
fn each_side<T>(of: impl FnMut(usize) -> T) -> [T; 2] {
    SIDES.map(of)
}
