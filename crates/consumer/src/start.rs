//! Where to go on in partitions that are new to us: the store's position, if the log still holds it.

use std::time::Duration;

use blackfriday_broker::kafka::Admin;
use blackfriday_broker::{BrokerError, TopicPartition, Watermarks};
use blackfriday_store::{Outcome, Store};

use crate::count::retrying;
use crate::progress::Progress;
use crate::{Error, OnGap};

const RETRY: Duration = Duration::from_millis(500);

/// Reads the positions and checks them against the log. Waits for as long as store or broker are away.
pub(crate) async fn positions(
    store: &Store,
    admin: &Admin,
    partitions: Vec<TopicPartition>,
    on_gap: OnGap,
    progress: &Progress,
) -> Result<Vec<(TopicPartition, i64)>, Error> {
    let mut found = Vec::with_capacity(partitions.len());
    for partition in partitions {
        loop {
            let mut stored = retrying(progress, || store.partitions(&partition.topic)).await?;
            let stored = stored.remove(&partition.partition).unwrap_or_default();
            if let Some(reason) = stored.stopped {
                return Err(Error::Stopped { partition: partition.to_string(), reason });
            }
            let position = stored.next;
            let log = watermarks(admin, &partition).await;
            match log.check(&partition, position) {
                Ok(()) => {
                    found.push((partition, position));
                    break;
                }
                Err(gap) => bridge(store, &partition, position, log, gap, on_gap, progress).await?,
            }
        }
    }
    Ok(found)
}

/// Moves the stored position over a gap, where that was asked for.
async fn bridge(
    store: &Store,
    partition: &TopicPartition,
    position: i64,
    log: Watermarks,
    gap: BrokerError,
    on_gap: OnGap,
    progress: &Progress,
) -> Result<(), Error> {
    let allowed = match on_gap {
        OnGap::Stop => false,
        OnGap::Skip => position < log.low,
        OnGap::StartOver => true,
    };
    if !allowed {
        return Err(Error::Gap(gap));
    }
    tracing::error!(%partition, position, low = log.low, high = log.high, "records are skipped, as --on-gap says");
    let resume = || store.resume(&partition.topic, partition.partition, position, log.low);
    if let Outcome::Refused { stored } = retrying(progress, resume).await? {
        tracing::info!(%partition, stored, "another consumer has moved the position");
    }
    Ok(())
}

async fn watermarks(admin: &Admin, partition: &TopicPartition) -> Watermarks {
    loop {
        match admin.watermarks(partition).await {
            Ok(log) => return log,
            Err(error) => {
                tracing::warn!(%partition, %error, "the log's range is not known yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
