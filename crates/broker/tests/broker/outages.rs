//! A producer whose broker hangs, dies and comes back: what may be sent again is not in the log.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_broker::PublishError::{OutcomeUnknown, QueueFull, Unavailable};
use blackfriday_broker::kafka::{Producer, ProducerConfig};
use blackfriday_stack::{Kafka, Scarce, eventually};

use crate::{LIMIT, create_topic, log, pause, producer, publish, record, until_available};

const QUEUE: u32 = 100;
const GIVEN_UP: Duration = Duration::from_millis(2_000);
/// The client looks for what is overdue once a second.
const SLACK: Duration = Duration::from_millis(3_000);

#[tokio::test]
async fn while_the_broker_hangs_only_what_was_not_sent_is_safe_to_send_again() -> Result<()> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "ventas", 1).await?;
    let settings =
        ProducerConfig { message_timeout_ms: 2_000, queue_max_records: QUEUE, ..ProducerConfig::default() };
    let producer = producer(&kafka, &settings, "ventas").await?;
    publish(&producer, "ventas", 0, 0..10).await?;

    pause(&kafka).await?;
    let began = Instant::now();
    let sent = producer.publish_batch((10..10 + QUEUE as usize).map(|id| record("ventas", 0, id)).collect());
    let over = producer.publish_batch((1_000..1_050).map(|id| record("ventas", 0, id)).collect());
    assert_eq!(over.outcomes().await, vec![Err(QueueFull); 50]);
    assert!(began.elapsed() < GIVEN_UP, "at once: {:?}", began.elapsed());
    let mut unknown = Vec::new();
    for (id, outcome) in (10..).zip(sent.outcomes().await) {
        match outcome {
            Err(OutcomeUnknown) => unknown.push(id),
            // As many requests are on their way as may be; the others stay here.
            other => assert_eq!(other, Err(Unavailable), "{id}"),
        }
    }
    assert_eq!(unknown.first(), Some(&10), "it was sent at once");
    assert!(began.elapsed() < GIVEN_UP + SLACK, "{:?}", began.elapsed());

    // The connection on which nothing was answered is closed; what follows stays here, as soon as there is room.
    producer.flush(LIMIT).await?;
    let kept = producer.publish_batch((2_000..2_050).map(|id| record("ventas", 0, id)).collect());
    assert_eq!(kept.outcomes().await, vec![Err(Unavailable); 50]);
    until_available(&producer, false).await?;
    refuses_at_once(&producer).await;

    kafka.resume()?;
    until_available(&producer, true).await?;
    // The topic may be known again before the connection to its leader is there.
    eventually(LIMIT, async || match producer.publish(record("ventas", 0, 3_000)).await {
        Err(Unavailable) => false,
        outcome => {
            assert!(outcome.is_ok(), "{outcome:?}");
            true
        }
    })
    .await?;
    // What had been sent may have been written after all, once; what is safe to send again was not.
    let found = log::ids(&kafka, "ventas", 0).await?;
    let sure: Vec<_> = found.iter().copied().filter(|id| !unknown.contains(id)).collect();
    assert_eq!(sure, (0..10).chain([3_000]).collect::<Vec<_>>());
    assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len(), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn what_was_on_its_way_when_the_broker_was_killed_is_written_once_when_it_is_back() -> Result<()> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "ventas", 2).await?;
    let patient = ProducerConfig { message_timeout_ms: 60_000, ..ProducerConfig::default() };
    let producer = producer(&kafka, &patient, "ventas").await?;
    let mut seen = producer.availability().watch();
    seen.mark_unchanged();

    let mut deliveries = Vec::new();
    let mut ids = 0..;
    let mut publish_next = || {
        let records = ids.by_ref().take(200).map(|id| record("ventas", i32::from(id % 2 == 1), id)).collect();
        deliveries.push(producer.publish_batch(records));
    };
    for _ in 0..100 {
        publish_next();
    }
    kafka.kill()?;
    for _ in 0..10 {
        publish_next();
    }
    tokio::time::timeout(LIMIT, seen.wait_for(|available| !available)).await.context("not available")??;
    refuses_at_once(&producer).await;
    kafka.restart().await?;
    until_available(&producer, true).await?;
    producer.flush(LIMIT).await?;

    let mut acknowledged = HashSet::new();
    let mut refused = HashSet::new();
    let mut id = 0;
    for delivery in deliveries {
        for outcome in delivery.outcomes().await {
            match outcome {
                Ok(position) => assert!(acknowledged.insert((position.partition, position.offset, id))),
                Err(error) => {
                    assert_eq!(error, Unavailable, "the client still had a minute for {id}");
                    refused.insert(id);
                }
            }
            id += 1;
        }
    }
    let mut log = HashSet::new();
    for (partition, records) in log::read(&kafka, "ventas").await? {
        for record in records {
            assert!(log.insert((partition, Some(record.offset), crate::id(&record.payload)?)));
        }
    }
    assert_eq!(log, acknowledged, "each where it is said to be, and nothing else");
    assert_eq!(acknowledged.len() + refused.len(), 110 * 200);
    assert!(acknowledged.len() >= 100 * 200, "{}", acknowledged.len());
    Ok(())
}

/// With a timeout of 3 s the first record is given up while those behind it are still to be sent again: under a new epoch, by
/// which the broker does not know that it has them. Most times it then has one twice.
#[tokio::test]
async fn what_was_sent_while_the_broker_hung_is_written_once_however_long_its_callers_waited() -> Result<()> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "ventas", 1).await?;
    let producer = producer(&kafka, &ProducerConfig::default(), "ventas").await?;
    publish(&producer, "ventas", 0, 0..10).await?;

    pause(&kafka).await?;
    let mut deliveries = Vec::new();
    for id in 10..15 {
        deliveries.push(producer.publish_batch(vec![record("ventas", 0, id)]));
        let hung = producer.flush(Duration::from_millis(700)).await;
        assert!(hung.is_err(), "the broker hangs: the first is still on its way");
    }
    kafka.resume()?;
    until_available(&producer, true).await?;
    producer.flush(LIMIT).await?;

    let mut written: Vec<_> = (0..10).collect();
    for (id, delivery) in (10..).zip(deliveries) {
        match delivery.outcomes().await.remove(0) {
            Ok(_) => written.push(id),
            Err(error) => assert_eq!(error, Unavailable, "{id}"),
        }
    }
    assert!(written.len() > 11, "more than one was on its way: {written:?}");
    assert_eq!(log::ids(&kafka, "ventas", 0).await?, written);
    Ok(())
}

async fn refuses_at_once(producer: &Producer) {
    let began = Instant::now();
    let outcomes = producer.publish_batch(vec![record("ventas", 0, 9_999_999); 20]).outcomes().await;
    assert_eq!(outcomes, vec![Err(Unavailable); 20]);
    assert!(began.elapsed() < GIVEN_UP, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_broker_without_room_on_its_disk_keeps_what_it_acknowledged() -> Result<()> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "ventas", 1).await?;
    let settings = ProducerConfig { message_timeout_ms: 2_000, ..ProducerConfig::default() };
    let producer = producer(&kafka, &settings, "ventas").await?;
    publish(&producer, "ventas", 0, 0..10).await?;

    kafka.limit(Scarce::FileBytes, Some(1))?;
    producer.publish(record("ventas", 0, 10)).await.expect_err("there is no room");
    until_available(&producer, false).await.context("it cannot go on")?;
    kafka.restart().await?;
    until_available(&producer, true).await?;
    let published = async || producer.publish(record("ventas", 0, 11)).await.is_ok();
    eventually(LIMIT, published).await.context("it goes on")?;
    let mut ids = log::ids(&kafka, "ventas", 0).await?;
    ids.retain(|id| *id != 10);
    assert_eq!(ids, (0..10).chain([11]).collect::<Vec<_>>());
    Ok(())
}
