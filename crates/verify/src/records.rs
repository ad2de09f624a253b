//! Records of the log: where they are, and how ranges of them are read, each to its end.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_broker::kafka::{BatchLimits, KafkaConfig, Subscription, SubscriptionEvent};
use blackfriday_broker::{Record, SALES, TopicPartition, WEATHER};
use blackfriday_event::Event;
use blackfriday_terminal::failure::Unavailable;
use tokio::time::timeout;

/// A broker that gives nothing for this long, although there is more, is away.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// The topics that the store is made of: of sales, and of weather reports.
pub(crate) const TOPICS: [&str; 2] = [SALES, WEATHER];

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) partition: TopicPartition,
    pub(crate) offset: i64,
}

/// Records of a partition from an offset up to, not including, another.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    pub(crate) partition: TopicPartition,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// Which headers records come with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Headers {
    /// None, which is faster.
    None,
    /// All.
    All,
}

/// What a broker that gives nothing more means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// After 30 s that it is away.
    UntilStalled,
    /// That there is nothing more yet.
    Endless,
}

/// Hands every record of the ranges to `each`, in order within a partition, until it breaks off.
pub(crate) async fn read(
    kafka: &KafkaConfig,
    ranges: impl IntoIterator<Item = Range>,
    headers: Headers,
    patience: Patience,
    mut each: impl FnMut(&TopicPartition, Record) -> ControlFlow<()>,
) -> Result<()> {
    let mut subscription = match headers {
        Headers::None => Subscription::open(kafka, BatchLimits::default(), false)?,
        Headers::All => Subscription::open_with_headers(kafka, BatchLimits::default())?,
    };
    let mut open = HashMap::new();
    for Range { partition, from, to } in ranges.into_iter().filter(|range| range.from < range.to) {
        subscription.start(partition.clone(), from, 0);
        open.insert(partition, to);
    }
    while !open.is_empty() {
        let event = match patience {
            Patience::Endless => subscription.next().await,
            Patience::UntilStalled => timeout(STALL_LIMIT, subscription.next())
                .await
                .with_context(|| Unavailable(stalled(subscription.complaint())))?,
        };
        let batch = match event.context("the reading thread died")? {
            SubscriptionEvent::Batch(batch) => batch,
            SubscriptionEvent::OutOfRange { .. } | SubscriptionEvent::Replaced { .. } => {
                return Err(Unavailable("the log was cut while it was read".to_owned()).into());
            }
            SubscriptionEvent::Failed { reason, .. } => return Err(Unavailable(reason).into()),
            SubscriptionEvent::Recovered(_) => continue,
        };
        let Some(end) = open.get(&batch.partition).copied() else { continue };
        if batch.to >= end {
            open.remove(&batch.partition);
            subscription.stop(batch.partition.clone());
        }
        for record in batch.records.into_iter().filter(|record| record.offset < end) {
            if each(&batch.partition, record).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The client alone knows why, and only sometimes.
fn stalled(complaint: Option<String>) -> String {
    let why = complaint.map(|complaint| format!(": {complaint}")).unwrap_or_default();
    format!("Kafka gave no record for {STALL_LIMIT:?}{why}")
}

/// The consumer's rule: a topic holds events of one kind.
pub(crate) fn belongs(event: &Event, topic: &str) -> bool {
    let [sales, weather] = TOPICS;
    topic
        == match event {
            Event::Sale(_) => sales,
            Event::Weather(_) => weather,
        }
}
