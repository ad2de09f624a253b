//! Whether the log that is read on is the one that was read: a lost tail, a topic that was made again, control records.

use anyhow::{Context, Result, bail};
use blackfriday_broker::kafka::{Admin, Producer, ProducerConfig, Subscription};
use blackfriday_broker::{BatchLimits, SubscriptionEvent};
use blackfriday_broker::{LastRead, RecordBatch, TopicPartition};
use blackfriday_stack::{Kafka, eventually};
use tokio::time::timeout;

use crate::log::{delete_topic, next_batch, transact};
use crate::{LIMIT, config, create_topic, producer, publish};

#[tokio::test]
async fn reading_goes_on_only_after_the_record_that_was_read_last() -> Result<()> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "ventas", 1).await?;
    let producer = producer(&kafka, &ProducerConfig::default(), "ventas").await?;
    publish(&producer, "ventas", 0, 0..100).await?;
    let mut subscription = Subscription::open(&config(&kafka), BatchLimits::default(), false)?;
    subscription.start(ventas(), 0, 1);
    let last = last_of(&read_until(&mut subscription, 100).await?)?;

    subscription.start_after(ventas(), last, 100, 2);
    publish(&producer, "ventas", 0, 100..110).await?;
    let batch = next_batch(&mut subscription).await?;
    assert_eq!((batch.epoch, batch.from, batch.records[0].offset), (2, 100, 100));

    let other = LastRead { digest: [0; 8], ..last };
    subscription.start_after(ventas(), other, 100, 3);
    assert!(is_replaced(&mut subscription, 3).await?, "no record was handed over");
    Ok(())
}

/// A leader that has just become one may not hold yet what another gave.
#[tokio::test]
async fn an_end_before_the_record_that_was_read_last_does_not_say_that_it_was_replaced() -> Result<()> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "ventas", 1).await?;
    let producer = producer(&kafka, &ProducerConfig::default(), "ventas").await?;
    publish(&producer, "ventas", 0, 0..10).await?;
    let mut subscription = Subscription::open(&config(&kafka), BatchLimits::default(), false)?;
    subscription.start_after(ventas(), LastRead { offset: 10, digest: [0; 8] }, 11, 1);
    let event = timeout(LIMIT, subscription.next()).await.context("it is told")?;
    let unsure =
        matches!(&event, Some(SubscriptionEvent::OutOfRange { partition: Some(of) }) if *of == ventas());
    assert!(unsure, "{event:?}");
    // It came, and is another one.
    publish(&producer, "ventas", 0, 10..11).await?;
    assert!(is_replaced(&mut subscription, 1).await?);
    Ok(())
}

#[tokio::test]
async fn a_topic_that_is_made_again_and_filled_while_it_is_read_is_never_taken_for_the_one_before()
-> Result<()> {
    let kafka = Kafka::start().await?;
    let admin = create_topic(&kafka, "ventas", 1).await?;
    let writing = producer(&kafka, &ProducerConfig::default(), "ventas").await?;
    publish(&writing, "ventas", 0, 0..200).await?;
    let mut subscription = Subscription::open(&config(&kafka), BatchLimits::default(), false)?;
    subscription.start(ventas(), 0, 1);
    let last = last_of(&read_until(&mut subscription, 200).await?)?;

    for round in 0..3 {
        fill_again(&kafka, &admin).await?;
        let event = timeout(LIMIT, subscription.next()).await.context("the change is told")?;
        let told = matches!(event, Some(SubscriptionEvent::OutOfRange { .. }));
        assert!(told, "round {round}: {event:?} before anything of the new topic");
        subscription.start_after(ventas(), last, 200, 2 + round);
        assert!(is_replaced(&mut subscription, 2 + round).await?, "round {round}");
        subscription.start(ventas(), 600, 10 + round);
        publish(&producer(&kafka, &ProducerConfig::default(), "ventas").await?, "ventas", 0, 0..1).await?;
        assert_eq!(next_batch(&mut subscription).await?.from, 600, "round {round}");
    }
    Ok(())
}

async fn fill_again(kafka: &Kafka, admin: &Admin) -> Result<()> {
    delete_topic(kafka, admin, "ventas").await?;
    create_topic(kafka, "ventas", 1).await?;
    let producer = producer(kafka, &ProducerConfig::default(), "ventas").await?;
    publish(&producer, "ventas", 0, 1_000..1_600).await
}

#[tokio::test]
async fn control_records_and_aborted_transactions_are_passed_and_never_handed_over() -> Result<()> {
    let kafka = Kafka::start().await?;
    let admin = create_topic(&kafka, "ventas", 1).await?;
    let producer: Producer = producer(&kafka, &ProducerConfig::default(), "ventas").await?;
    let mut subscription = Subscription::open(&config(&kafka), BatchLimits::default(), false)?;
    publish(&producer, "ventas", 0, 0..2).await?;
    subscription.start(ventas(), 0, 1);
    let mut at = read_until(&mut subscription, 2).await?.to;
    for (ids, commit) in [(2..4, true), (900..903, false)] {
        let counted = if commit { ids.len() } else { 0 };
        // One control record ends each transaction, some time after its producer is told so.
        let high = at + i64::try_from(ids.len())? + 1;
        transact(&kafka, "ventas", ids, commit).await?;
        let ended = async || admin.watermarks(&ventas()).await.is_ok_and(|log| log.high == high);
        eventually(LIMIT, ended).await.context("the marker")?;
        let mut records = 0;
        while at < high {
            let batch = next_batch(&mut subscription).await.with_context(|| format!("{at} of {high}"))?;
            assert_eq!(batch.from, at, "without a hole");
            records += batch.records.len();
            at = batch.to;
        }
        assert_eq!((at, records), (high, counted));
    }
    // Also for one who begins there.
    let mut fresh = Subscription::open(&config(&kafka), BatchLimits::default(), false)?;
    fresh.start(ventas(), at - 2, 1);
    let batch = next_batch(&mut fresh).await?;
    assert_eq!((batch.from, batch.to, batch.records.len()), (at - 2, at, 0));
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
            None => bail!("the thread died"),
        }
    }
}

fn ventas() -> TopicPartition {
    TopicPartition::new("ventas", 0)
}
