//! Records of the log: where they are, and how ranges of them are read, each to its end.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_broker::{
    Admin, BatchLimits, BrokerError, LogConfig, Record, SALES, Subscription, SubscriptionEvent,
    TopicPartition, WEATHER, Watermarks,
};
use blackfriday_event::Event;
use blackfriday_terminal::failure::Unavailable;
use tokio::time::{Instant, sleep, timeout};

/// A broker that gives nothing for this long, although there is more, is away.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// A partition may have no leader for a while: its broker hung, or another one has just taken over.
const LEADER_LIMIT: Duration = Duration::from_secs(20);
const LEADER_PAUSE: Duration = Duration::from_millis(200);
/// Times that what retention cuts meanwhile is read again from where the log begins then.
const CUTS: usize = 3;

const CUT: &str = "retention takes records of the log faster than they can be read: try again when it is idle, or let \
    its topics keep more";

/// Retention has taken records before they were read.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the log begins later than it did")
    }
}

impl Error for Cut {}

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
    log: &LogConfig,
    ranges: impl IntoIterator<Item = Range>,
    headers: Headers,
    patience: Patience,
    mut each: impl FnMut(&TopicPartition, Record) -> ControlFlow<()>,
) -> Result<()> {
    let mut subscription = match headers {
        Headers::None => Subscription::open(log, BatchLimits::default(), false)?,
        Headers::All => Subscription::open_with_headers(log, BatchLimits::default())?,
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
                return Err(Cut).context(Unavailable(CUT.to_owned()));
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

/// Reads again where retention was faster, a few times: `read` has to ask anew where the log begins.
pub(crate) async fn uncut<T>(mut read: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    for _ in 1..CUTS {
        match read().await {
            Err(error) if error.chain().any(|cause| cause.is::<Cut>()) => {}
            result => return result,
        }
    }
    read().await
}

/// The offsets that a partition holds. For one without a leader this waits, 20 s at the most.
///
/// # Errors
/// It has no leader for longer, or the log cannot be reached.
pub(crate) async fn watermarks(admin: &Admin, partition: &TopicPartition) -> Result<Watermarks, BrokerError> {
    answered(LEADER_LIMIT, async || admin.watermarks(partition).await).await
}

async fn answered<T>(
    limit: Duration,
    ask: impl AsyncFn() -> Result<T, BrokerError>,
) -> Result<T, BrokerError> {
    let begin = Instant::now();
    loop {
        match ask().await {
            Err(BrokerError::Ask { .. }) if begin.elapsed() < limit => sleep(LEADER_PAUSE).await,
            answer => return answer,
        }
    }
}

/// The client alone knows why, and only sometimes.
fn stalled(complaint: Option<String>) -> String {
    let why = complaint.map(|complaint| format!(": {complaint}")).unwrap_or_default();
    format!("the event log gave no record for {STALL_LIMIT:?}{why}")
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use anyhow::anyhow;

    use super::*;

    #[tokio::test]
    async fn a_partition_without_a_leader_is_asked_again_until_the_limit() {
        let asked = Cell::new(0);
        let away = || BrokerError::Ask { what: "a partition's offsets", source: "no leader".into() };
        let ask = async || {
            asked.set(asked.get() + 1);
            if asked.get() < 3 { Err(away()) } else { Ok(asked.get()) }
        };
        assert_eq!(answered(LEADER_LIMIT, ask).await.expect("the third answer"), 3);
        answered(LEADER_PAUSE, async || Err::<(), _>(away())).await.expect_err("at the limit");
        let missing = async || {
            asked.set(asked.get() + 1);
            Err::<(), _>(BrokerError::NoTopic("ventas".to_owned()))
        };
        answered(LEADER_LIMIT, missing).await.expect_err("waiting does not make a topic");
        assert_eq!(asked.get(), 4);
    }

    #[tokio::test]
    async fn what_retention_cuts_is_read_again_a_few_times() {
        let mut reads = 0;
        let cut = || Err::<usize, _>(Cut).context(Unavailable(CUT.to_owned()));
        let mut after = async |cuts: usize| {
            reads = 0;
            uncut(async || {
                reads += 1;
                if reads <= cuts { cut() } else { Ok(reads) }
            })
            .await
        };
        assert_eq!(after(2).await.expect("the third"), 3);
        let error = after(CUTS).await.expect_err("always cut");
        assert!(error.to_string().contains("faster than they can be read"), "{error:#}");
        let mut others = 0;
        let other = uncut(async || {
            others += 1;
            Err::<(), _>(anyhow!("another"))
        });
        other.await.expect_err("another");
        assert_eq!(others, 1);
    }
}
