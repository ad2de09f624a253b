//! Whether the log that is read on is the one that was read, and positions that it does not hold.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use blackfriday_broker::rabbitmq::{Admin, Subscription};
use blackfriday_broker::{
    BatchLimits, BrokerError, LastRead, OutgoingRecord, RecordBatch, SubscriptionEvent, TopicSpec, Watermarks,
};
use blackfriday_stack::{RabbitMq, eventually};
use tokio::time::timeout;

use crate::log::next_batch;
use crate::{
    LIMIT, config, create_topic, id, on_disk, pause, producer, publish, record, topic, until_available,
    ventas,
};

#[tokio::test]
async fn reading_goes_on_only_after_the_record_that_was_read_last() -> Result<()> {
    let rabbitmq = RabbitMq::start().await?;
    let admin = create_topic(&rabbitmq, "ventas", 2).await?;
    let producer = producer(&rabbitmq, "ventas").await?;
    publish(&producer, "ventas", 0, 0..100).await?;
    publish(&producer, "ventas", 1, 0..10).await?;
    let mut subscription = Subscription::open(&config(&rabbitmq), BatchLimits::default(), false)?;
    subscription.start(ventas(0), 0, 1);
    let last = last_of(&read_until(&mut subscription, 100).await?)?;

    subscription.start_after(ventas(0), last, 100, 2);
    publish(&producer, "ventas", 0, 100..110).await?;
    let batch = next_batch(&mut subscription).await?;
    assert_eq!((batch.epoch, batch.from, batch.records[0].offset), (2, 100, 100));
    let other = LastRead { digest: [0; 8], ..last };
    subscription.start_after(ventas(0), other, 100, 3);
    assert!(is_replaced(&mut subscription, 3).await?, "no record was handed over");

    // An end before the record proves nothing yet: it is to be looked at again.
    subscription.start_after(ventas(0), LastRead { offset: 110, digest: [0; 8] }, 111, 4);
    until_out_of_range(&mut subscription).await?;
    publish(&producer, "ventas", 0, 110..111).await?;
    assert!(is_replaced(&mut subscription, 4).await?, "it came, and is another one");

    subscription.start(ventas(0), 112, 5);
    until_out_of_range(&mut subscription).await.context("past the end")?;
    let past = admin.watermarks(&ventas(0)).await?.check(&ventas(0), 112);
    assert!(matches!(past, Err(BrokerError::PastEnd { position: 112, high: 111, .. })), "{past:?}");
    subscription.start(ventas(1), 0, 6);
    let other = next_batch(&mut subscription).await.context("the other partition does not suffer from it")?;
    assert_eq!((other.partition, other.from, other.to), (ventas(1), 0, 10));
    subscription.start(ventas(0), 111, 7);
    publish(&producer, "ventas", 0, 111..112).await?;
    let batch = next_batch(&mut subscription).await?;
    assert_eq!((batch.epoch, batch.from, batch.to), (7, 111, 112), "the end is a position");
    Ok(())
}

#[tokio::test]
async fn a_stream_that_is_made_again_while_it_is_read_is_never_taken_for_the_one_before() -> Result<()> {
    let rabbitmq = RabbitMq::start().await?;
    let admin = create_topic(&rabbitmq, "ventas", 1).await?;
    let writing = producer(&rabbitmq, "ventas").await?;
    publish(&writing, "ventas", 0, 0..200).await?;
    let mut subscription = Subscription::open(&config(&rabbitmq), BatchLimits::default(), false)?;
    subscription.start(ventas(0), 0, 1);
    let last = last_of(&read_until(&mut subscription, 200).await?)?;

    // Shorter than what was read, and longer.
    for (round, records) in [50, 600].into_iter().enumerate() {
        let epoch = 2 + 10 * round as u64;
        admin.delete_topic("ventas").await?;
        admin.create_topics(&[topic("ventas", 1)]).await?;
        publish(&producer(&rabbitmq, "ventas").await?, "ventas", 0, 1_000..1_000 + records).await?;
        until_away(&mut subscription).await.with_context(|| format!("{records}: the change is told"))?;
        subscription.start_after(ventas(0), last, 200, epoch);
        if records > 200 {
            assert!(is_replaced(&mut subscription, epoch).await?);
        } else {
            until_out_of_range(&mut subscription).await?;
        }
        // It is still read when the stream is deleted once more.
        subscription.start_after(ventas(0), last, 200, epoch + 1);
        until_away(&mut subscription).await?;
    }
    subscription.start(ventas(0), 0, 30);
    let batch = next_batch_of(&mut subscription, 30).await?;
    assert_eq!((batch.from, id(&batch.records[0].payload)?), (0, 1_000));
    Ok(())
}

#[tokio::test]
async fn retention_is_told_and_never_jumped_over() -> Result<()> {
    let rabbitmq = RabbitMq::start().await?;
    let admin = Admin::new(&config(&rabbitmq))?;
    let spec = TopicSpec { retention_bytes: Some(2_000_000), ..topic("ventas", 1) };
    admin.create_topics(&[spec]).await?;
    let producer = producer(&rabbitmq, "ventas").await?;
    let limits = BatchLimits { max_records: 10, ..BatchLimits::default() };
    let mut subscription = Subscription::open(&config(&rabbitmq), limits, false)?;
    subscription.start(ventas(0), 0, 1);
    // Many segments; the reader is held up meanwhile, and all that it was at goes.
    let large = |id| OutgoingRecord { payload: vec![7; 10_000], ..record("ventas", 0, id) };
    let mut low = 0;
    for _ in 0..40 {
        for outcome in producer.publish_batch((0..100).map(large).collect()).outcomes().await {
            outcome?;
        }
        low = admin.watermarks(&ventas(0)).await?.low;
    }
    assert!(low > 1_000, "it lets go of the oldest: {low}");
    let mut at = 0;
    loop {
        let event = timeout(LIMIT, subscription.next()).await.with_context(|| format!("at {at}"))?;
        match event.context("the task lives")? {
            SubscriptionEvent::OutOfRange { .. } => break,
            SubscriptionEvent::Batch(batch) => {
                assert_eq!((batch.from, batch.records[0].offset), (at, at), "nothing is jumped over");
                at = batch.to;
            }
            other => bail!("{other:?} instead of records"),
        }
    }
    let log = admin.watermarks(&ventas(0)).await?;
    let gap = log.check(&ventas(0), at);
    assert!(matches!(gap, Err(BrokerError::Gap { position, .. }) if position == at), "{gap:?}");
    subscription.start(ventas(0), 5, 2);
    until_out_of_range(&mut subscription).await.context("a start there, too")?;
    subscription.start(ventas(0), log.low, 3);
    assert_eq!(next_batch(&mut subscription).await?.from, log.low, "the log's beginning is a position");
    Ok(())
}

#[tokio::test]
async fn reading_goes_on_where_it_was_when_the_broker_is_back() -> Result<()> {
    let rabbitmq = RabbitMq::start().await?;
    let admin = create_topic(&rabbitmq, "ventas", 1).await?;
    let producer = producer(&rabbitmq, "ventas").await?;
    let mut subscription = Subscription::open(&config(&rabbitmq), BatchLimits::default(), false)?;
    subscription.start(ventas(0), 0, 1);
    publish(&producer, "ventas", 0, 0..100).await?;
    read_on(&mut subscription, 0..100).await?;

    on_disk(&rabbitmq).await?;
    rabbitmq.kill()?;
    until_available(&producer, false).await?;
    rabbitmq.restart().await?;
    until_available(&producer, true).await?;
    publish(&producer, "ventas", 0, 100..200).await?;
    read_on(&mut subscription, 100..200).await?;

    pause(&rabbitmq).await?;
    until_available(&producer, false).await?;
    rabbitmq.resume()?;
    until_available(&producer, true).await?;
    publish(&producer, "ventas", 0, 200..300).await?;
    read_on(&mut subscription, 200..300).await?;

    // A log that lost its tail, as a copy of an old disk has.
    rabbitmq.stop().await?;
    rabbitmq.checkpoint()?;
    rabbitmq.restart().await?;
    until_available(&producer, true).await?;
    eventually(LIMIT, async || producer.publish(record("ventas", 0, 300)).await.is_ok()).await?;
    read_on(&mut subscription, 300..301).await?;
    rabbitmq.roll_back()?;
    rabbitmq.restart().await?;
    until_out_of_range(&mut subscription).await.context("the last record is not there any more")?;
    let log = admin.watermarks(&ventas(0)).await?;
    assert_eq!(log, Watermarks { low: 0, high: 300 });
    Ok(())
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

/// Reads until this offset, and returns the last batch.
async fn read_until(subscription: &mut Subscription, end: i64) -> Result<RecordBatch> {
    loop {
        let batch = next_batch(subscription).await?;
        if batch.to >= end {
            return Ok(batch);
        }
    }
}

fn last_of(batch: &RecordBatch) -> Result<LastRead> {
    let last = batch.records.last().context("a record")?;
    Ok(LastRead { offset: last.offset, digest: last.digest() })
}

/// Whether the next event of this start says that the log is another one.
async fn is_replaced(subscription: &mut Subscription, expected: u64) -> Result<bool> {
    loop {
        match timeout(LIMIT, subscription.next()).await.context("an event")? {
            Some(SubscriptionEvent::Replaced { epoch, .. }) if epoch == expected => return Ok(true),
            Some(SubscriptionEvent::Batch(batch)) if batch.epoch == expected => return Ok(false),
            // What was on its way before the start.
            Some(_) => {}
            None => bail!("the task died"),
        }
    }
}

/// Passes what the stream's absence may bring, and no record.
async fn until_out_of_range(subscription: &mut Subscription) -> Result<()> {
    loop {
        match timeout(LIMIT, subscription.next()).await.context("the position is not in the log")? {
            Some(SubscriptionEvent::OutOfRange { .. }) => return Ok(()),
            Some(SubscriptionEvent::Failed { .. } | SubscriptionEvent::Recovered(_)) => {}
            other => bail!("{other:?} instead of a position out of range"),
        }
    }
}

/// That the log is another one, in either way, before any record.
async fn until_away(subscription: &mut Subscription) -> Result<()> {
    loop {
        match timeout(LIMIT, subscription.next()).await.context("it is told")? {
            Some(SubscriptionEvent::OutOfRange { .. } | SubscriptionEvent::Replaced { .. }) => return Ok(()),
            Some(SubscriptionEvent::Failed { .. } | SubscriptionEvent::Recovered(_)) => {}
            other => bail!("{other:?} instead of another log"),
        }
    }
}

async fn next_batch_of(subscription: &mut Subscription, epoch: u64) -> Result<RecordBatch> {
    loop {
        match timeout(LIMIT, subscription.next()).await.context("records")? {
            Some(SubscriptionEvent::Batch(batch)) if batch.epoch == epoch => return Ok(batch),
            Some(_) => {}
            None => bail!("the task died"),
        }
    }
}
