//! Positions that the log does not hold, and a broker that goes away while it is read.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use blackfriday_broker::kafka::{Admin, Producer, ProducerConfig, Subscription};
use blackfriday_broker::{BatchLimits, SubscriptionEvent};
use blackfriday_broker::{BrokerError, OutgoingRecord, TopicPartition};
use blackfriday_stack::Kafka;
use tokio::time::timeout;

use crate::log::{delete_before, next_batch};
use crate::{LIMIT, config, create_topic, id, noise, producer, publish, record, until_available};

#[tokio::test]
async fn a_position_that_the_log_does_not_hold_is_told_and_never_jumped_over() -> Result<()> {
    let kafka = Kafka::start().await?;
    let admin = create_topic(&kafka, "ventas", 2).await?;
    let producer = producer(&kafka, &ProducerConfig::default(), "ventas").await?;
    publish(&producer, "ventas", 0, 0..100).await?;
    publish(&producer, "ventas", 1, 0..10).await?;
    let mut subscription = Subscription::open(&config(&kafka), BatchLimits::default(), false)?;

    delete_before(&kafka, &ventas(0), 50).await?;
    subscription.start(ventas(0), 20, 1);
    until_out_of_range(&mut subscription).await?;
    let gap = admin.watermarks(&ventas(0)).await?.check(&ventas(0), 20);
    assert!(matches!(gap, Err(BrokerError::Gap { position: 20, low: 50, high: 100, .. })), "{gap:?}");
    subscription.start(ventas(0), 50, 2);
    let batch = next_batch(&mut subscription).await?;
    assert_eq!((batch.epoch, batch.from, batch.records[0].offset), (2, 50, 50));

    subscription.start(ventas(0), 101, 3);
    until_out_of_range(&mut subscription).await?;
    let past = admin.watermarks(&ventas(0)).await?.check(&ventas(0), 101);
    assert!(matches!(past, Err(BrokerError::PastEnd { position: 101, low: 50, high: 100, .. })), "{past:?}");
    subscription.start(ventas(1), 0, 4);
    let other = next_batch(&mut subscription).await.context("the other partition does not suffer from it")?;
    assert_eq!((other.partition, other.from, other.to), (ventas(1), 0, 10));
    subscription.start(ventas(0), 100, 5);
    publish(&producer, "ventas", 0, 100..101).await?;
    let batch = next_batch(&mut subscription).await?;
    assert_eq!((batch.epoch, batch.from, batch.to), (5, 100, 101));

    retention_overtakes_a_slow_reader(&kafka, &admin, &producer).await?;
    a_topic_that_was_made_anew(&kafka, &producer, subscription).await
}

/// The reader is held up after what the client fetched ahead; meanwhile nearly all is deleted.
async fn retention_overtakes_a_slow_reader(kafka: &Kafka, admin: &Admin, producer: &Producer) -> Result<()> {
    create_topic(kafka, "slow", 1).await?;
    let slow = TopicPartition::new("slow", 0);
    let large = |id| OutgoingRecord { payload: noise(id, 10_000), ..record("slow", 0, 0) };
    for at in 0..10 {
        let records = (at * 500..(at + 1) * 500).map(large).collect();
        for outcome in producer.publish_batch(records).outcomes().await {
            outcome?;
        }
    }
    let limits = BatchLimits { max_records: 10, ..BatchLimits::default() };
    let mut subscription = Subscription::open(&config(kafka), limits, false)?;
    subscription.start(slow.clone(), 0, 1);
    let mut at = next_batch(&mut subscription).await?.to;
    delete_before(kafka, &slow, 4_990).await?;
    loop {
        let event = timeout(LIMIT, subscription.next()).await.with_context(|| format!("at {at}"))?;
        match event.context("the thread lives")? {
            SubscriptionEvent::OutOfRange { .. } => break,
            SubscriptionEvent::Batch(batch) => {
                assert_eq!((batch.from, batch.records[0].offset), (at, at), "nothing is jumped over");
                at = batch.to;
            }
            other => bail!("{other:?} instead of records"),
        }
    }
    let gap = admin.watermarks(&slow).await?.check(&slow, at);
    assert!(matches!(gap, Err(BrokerError::Gap { position, low: 4_990, .. }) if position == at), "{gap:?}");
    Ok(())
}

async fn a_topic_that_was_made_anew(
    kafka: &Kafka,
    producer: &Producer,
    mut subscription: Subscription,
) -> Result<()> {
    kafka.wipe()?;
    until_available(producer, false).await?;
    kafka.restart().await?;
    let admin = create_topic(kafka, "ventas", 2).await?;
    until_available(producer, true).await?;
    publish(producer, "ventas", 0, 0..7).await?;
    until_out_of_range(&mut subscription).await.context("position 101 of a log of 7")?;
    let past = admin.watermarks(&ventas(0)).await?.check(&ventas(0), 101);
    assert!(matches!(past, Err(BrokerError::PastEnd { position: 101, low: 0, high: 7, .. })), "{past:?}");
    subscription.start(ventas(0), 0, 6);
    loop {
        // Of the other partition, whose position is past its end, too, it may be reported meanwhile.
        let event = timeout(LIMIT, subscription.next()).await.context("the records of the new topic")?;
        if let Some(SubscriptionEvent::Batch(batch)) = event {
            assert_eq!((batch.epoch, batch.from, batch.to), (6, 0, 7));
            return Ok(());
        }
    }
}

#[tokio::test]
async fn reading_goes_on_where_it_was_when_the_broker_is_back() -> Result<()> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "ventas", 1).await?;
    let settings = ProducerConfig { message_timeout_ms: 60_000, ..ProducerConfig::default() };
    let producer = producer(&kafka, &settings, "ventas").await?;
    let mut subscription = Subscription::open(&config(&kafka), BatchLimits::default(), false)?;
    subscription.start(ventas(0), 0, 1);
    publish(&producer, "ventas", 0, 0..100).await?;
    read_on(&mut subscription, 0..100).await?;

    kafka.kill()?;
    until_available(&producer, false).await?;
    kafka.restart().await?;
    until_available(&producer, true).await?;
    publish(&producer, "ventas", 0, 100..200).await?;
    read_on(&mut subscription, 100..200).await?;

    kafka.pause()?;
    until_available(&producer, false).await?;
    kafka.resume()?;
    until_available(&producer, true).await?;
    publish(&producer, "ventas", 0, 200..300).await?;
    read_on(&mut subscription, 200..300).await
}

/// Takes batches until the range was read: each id once, in order.
async fn read_on(subscription: &mut Subscription, expected: Range<usize>) -> Result<()> {
    let mut at = expected.start;
    while at < expected.end {
        let batch = next_batch(subscription).await.with_context(|| format!("at {at}"))?;
        assert_eq!(usize::try_from(batch.from)?, at);
        for record in batch.records {
            assert_eq!((id(&record.payload)?, usize::try_from(record.offset)?), (at, at));
            at += 1;
        }
    }
    assert_eq!(at, expected.end);
    Ok(())
}

async fn until_out_of_range(subscription: &mut Subscription) -> Result<()> {
    match timeout(LIMIT, subscription.next()).await.context("the position is not in the log")? {
        Some(SubscriptionEvent::OutOfRange { .. }) => Ok(()),
        other => bail!("{other:?} instead of a position out of range"),
    }
}

fn ventas(partition: i32) -> TopicPartition {
    TopicPartition::new("ventas", partition)
}
