//! What happens to the time of day of the log's server, which is the time of acceptance of whatever it takes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use blackfriday_broker::{
    Admin, BatchLimits, LogConfig, SALES, Subscription, SubscriptionEvent, TopicPartition,
};
use blackfriday_stack::Clock;
use tokio::time::timeout;

use crate::chaos::field::Field;
use crate::chaos::kind::Clocked;
use crate::chaos::schedule::Planned;

/// No more: after a day a key is forgotten, and its sale counts again.
const HOUR_S: i64 = 3_600;
const TOLD_LIMIT: Duration = Duration::from_secs(60);
/// Between a sale's acceptance and when it is looked at.
const SLACK_S: i64 = 120;
const PAUSE: Duration = Duration::from_millis(100);

/// A server that runs need not follow a jump, as an Erlang does not.
pub(super) async fn begin(field: &mut Field, fault: &Planned) -> Result<()> {
    let off_s = if fault.pick.is_multiple_of(2) { HOUR_S } else { -HOUR_S };
    restart(field, fault.pick, off_s).await?;
    let told =
        timeout(TOLD_LIMIT, told_ahead_s(&field.main.log.config())).await.context("no sale is told")??;
    if (told - off_s).abs() > SLACK_S {
        field.complain(format!("the log's clock is {off_s} s off, and its records {told} s"));
    }
    Ok(())
}

pub(super) async fn heal(field: &Field, fault: &Planned) -> Result<()> {
    restart(field, fault.pick, 0).await
}

async fn restart(field: &Field, pick: u32, off_s: i64) -> Result<()> {
    let clock: &Clock = field.clocks.as_ref().context("clocks of its own")?.of(Clocked::Log);
    field.main.log.kill(pick)?;
    clock.shift(off_s)?;
    Ok(field.main.log.restart(pick).await?)
}

/// By how much the time of acceptance of the next sale is ahead of this machine's time.
async fn told_ahead_s(log: &LogConfig) -> Result<i64> {
    let partition = TopicPartition::new(SALES, 0);
    let end = end_of(log, &partition).await?;
    let mut subscription = Subscription::open(log, BatchLimits::default(), false)?;
    subscription.start(partition, end, 0);
    loop {
        let Some(event) = subscription.next().await else { bail!("the reader died") };
        let SubscriptionEvent::Batch(batch) = event else { continue };
        if let Some(record) = batch.records.first() {
            ensure!(record.appended, "the time of a record is not the log's");
            let now = SystemTime::now().duration_since(UNIX_EPOCH).context("after 1970")?;
            return Ok(record.timestamp_ms / 1_000 - i64::try_from(now.as_secs())?);
        }
    }
}

/// As soon as the partition is led again.
async fn end_of(log: &LogConfig, partition: &TopicPartition) -> Result<i64> {
    let admin = Admin::new(log)?;
    loop {
        match admin.watermarks(partition).await {
            Ok(watermarks) => return Ok(watermarks.high),
            Err(error) => tracing::debug!(%error, "not led yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
