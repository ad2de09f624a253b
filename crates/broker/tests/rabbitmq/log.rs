//! Looks into the broker.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use blackfriday_broker::rabbitmq::{Admin, RabbitMqConfig, Subscription};
use blackfriday_broker::{BatchLimits, Record, RecordBatch, SubscriptionEvent};
use blackfriday_stack::RabbitMq;
use tokio::time::{Instant, timeout_at};

use crate::{LIMIT, config, id};

/// The records of each partition of a topic, as they lie there.
pub(crate) async fn read(rabbitmq: &RabbitMq, topic: &str) -> Result<HashMap<i32, Vec<Record>>> {
    read_at(&config(rabbitmq), topic).await
}

pub(crate) async fn read_at(config: &RabbitMqConfig, topic: &str) -> Result<HashMap<i32, Vec<Record>>> {
    let admin = Admin::new(config)?;
    let mut subscription = Subscription::open_with_headers(config, BatchLimits::default())?;
    let mut missing = HashMap::new();
    for partition in admin.partitions(topic).await? {
        let log = admin.watermarks(&partition).await?;
        if log.low < log.high {
            subscription.start(partition.clone(), log.low, 0);
            missing.insert(partition, log.high);
        }
    }
    let mut found: HashMap<i32, Vec<Record>> = HashMap::new();
    while !missing.is_empty() {
        let batch = next_batch(&mut subscription).await?;
        missing.retain(|partition, end| *partition != batch.partition || batch.to < *end);
        found.entry(batch.partition.partition).or_default().extend(batch.records);
    }
    Ok(found)
}

/// The ids in one partition, in the order of their offsets.
pub(crate) async fn ids(rabbitmq: &RabbitMq, topic: &str, partition: i32) -> Result<Vec<usize>> {
    let records = read(rabbitmq, topic).await?.remove(&partition).unwrap_or_default();
    records.iter().map(|record| id(&record.payload)).collect()
}

/// The next records. A partition may fail before them, while its server comes up, and recover.
pub(crate) async fn next_batch(subscription: &mut Subscription) -> Result<RecordBatch> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match timeout_at(deadline, subscription.next()).await.context("the next records")? {
            Some(SubscriptionEvent::Batch(batch)) => return Ok(batch),
            Some(SubscriptionEvent::Failed { .. } | SubscriptionEvent::Recovered(_)) => {}
            other => bail!("{other:?} instead of records"),
        }
    }
}
