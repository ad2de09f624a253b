//! A broker that hangs, dies, blocks and comes back: what is unknown, and what was surely not written.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_broker::PublishError::{OutcomeUnknown, QueueFull, Unavailable};
use blackfriday_broker::rabbitmq::{Producer, ProducerConfig};
use blackfriday_stack::{Alarm, RabbitMq, RabbitMqOptions, eventually};

use crate::{
    LIMIT, config, create_topic, log, on_disk, pause, producer, publish, record, to, until_available,
};

/// A pause of the broker is noticed within this time, on a busy machine.
const NOTICED: Duration = Duration::from_secs(6);
const QUEUE: u32 = 100;
const BETWEEN_BATCHES: Duration = Duration::from_millis(1);

#[tokio::test]
async fn what_is_refused_while_the_broker_hangs_was_not_written() -> Result<()> {
    let rabbitmq = RabbitMq::start().await?;
    create_topic(&rabbitmq, "ventas", 1).await?;
    let settings = ProducerConfig { queue_max_records: QUEUE, ..ProducerConfig::default() };
    let producer = Producer::to(&config(&rabbitmq), &settings, vec![to("ventas")])?;
    until_available(&producer, true).await?;
    publish(&producer, "ventas", 0, 0..10).await?;

    pause(&rabbitmq).await?;
    let began = Instant::now();
    let sent = producer.publish_batch((10..10 + QUEUE as usize).map(|id| record("ventas", 0, id)).collect());
    let over = producer.publish_batch((1_000..1_050).map(|id| record("ventas", 0, id)).collect());
    assert_eq!(over.outcomes().await, vec![Err(QueueFull); 50], "it has its limit");
    until_available(&producer, false).await?;
    assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
    let refused = producer.publish_batch((2_000..2_050).map(|id| record("ventas", 0, id)).collect());
    assert_eq!(refused.outcomes().await, vec![Err(Unavailable); 50], "at once");
    let unknown = sent.outcomes_until(tokio::time::Instant::now()).await;
    assert_eq!(unknown, vec![Err(OutcomeUnknown); QUEUE as usize], "the broker may read it yet");

    rabbitmq.resume()?;
    until_available(&producer, true).await?;
    producer.flush(LIMIT).await?;
    eventually(LIMIT, async || producer.publish(record("ventas", 0, 3_000)).await.is_ok()).await?;
    let found = log::ids(&rabbitmq, "ventas", 0).await?;
    let sure: Vec<_> = found.iter().copied().filter(|id| !(10..1_000).contains(id)).collect();
    assert_eq!(sure, (0..10).chain([3_000]).collect::<Vec<_>>(), "nothing that was refused");
    assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len(), "nothing twice: {found:?}");
    Ok(())
}

/// The broker tells of no other address than that of the network that fails, so nothing goes around it.
#[tokio::test]
async fn what_was_on_its_way_over_a_network_that_broke_is_unknown() -> Result<()> {
    let options = RabbitMqOptions { behind_proxy: true, ..RabbitMqOptions::default() };
    let rabbitmq = RabbitMq::start_with(options).await?;
    let network = rabbitmq.proxy().context("it is behind one")?;
    create_topic(&rabbitmq, "ventas", 1).await?;
    let producer = producer(&rabbitmq, "ventas").await?;
    publish(&producer, "ventas", 0, 0..10).await?;

    network.stall();
    let sent = producer.publish_batch(vec![record("ventas", 0, 10)]);
    until_available(&producer, false).await?;
    assert_eq!(sent.outcomes().await, vec![Err(OutcomeUnknown)]);
    network.heal().await?;
    until_available(&producer, true).await?;
    eventually(LIMIT, async || producer.publish(record("ventas", 0, 11)).await.is_ok()).await?;
    let mut found = log::ids(&rabbitmq, "ventas", 0).await?;
    found.retain(|id| *id != 10);
    assert_eq!(found, (0..10).chain([11]).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn what_was_on_its_way_when_the_broker_was_killed_is_unknown_and_nothing_else_is() -> Result<()> {
    let rabbitmq = RabbitMq::start().await?;
    create_topic(&rabbitmq, "ventas", 2).await?;
    let producer = producer(&rabbitmq, "ventas").await?;
    on_disk(&rabbitmq).await?;
    let mut seen = producer.availability().watch();
    seen.mark_unchanged();

    let (mut deliveries, mut ids) = (Vec::new(), 0..);
    let mut publish_next = || {
        let records = ids.by_ref().take(200).map(|id| record("ventas", i32::from(id % 2 == 1), id)).collect();
        deliveries.push(producer.publish_batch(records));
    };
    for at in 0..60 {
        publish_next();
        // So that some are confirmed, some on their way and some not yet sent when it ends.
        if at < 30 {
            tokio::task::yield_now().await;
        }
    }
    eventually(LIMIT, async || has_records(&rabbitmq).await).await.context("some are written")?;
    for _ in 0..20 {
        publish_next();
    }
    rabbitmq.kill()?;
    tokio::time::timeout(LIMIT, seen.wait_for(|available| !available)).await.context("not available")??;
    publish_next();

    let (mut acknowledged, mut unknown, mut refused) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (at, delivery) in deliveries.into_iter().enumerate() {
        for (id, outcome) in (at * 200..).zip(delivery.outcomes().await) {
            let of = match outcome {
                Ok(_) => &mut acknowledged,
                Err(OutcomeUnknown) => &mut unknown,
                Err(error) => {
                    assert_eq!(error, Unavailable, "{id}");
                    &mut refused
                }
            };
            of.insert(id);
        }
    }
    assert!(refused.contains(&(80 * 200)), "what came when it was away");
    rabbitmq.restart().await?;
    until_available(&producer, true).await?;
    let mut log = HashSet::new();
    for partition in 0..2 {
        for id in log::ids(&rabbitmq, "ventas", partition).await? {
            assert!(log.insert(id), "{id} is there twice");
        }
    }
    assert!(acknowledged.is_subset(&log), "what was confirmed survives");
    assert!(refused.is_disjoint(&log), "what was refused was not written");
    let others: Vec<_> = log.difference(&acknowledged).filter(|id| !unknown.contains(id)).collect();
    assert!(others.is_empty(), "{others:?}");
    publish(&producer, "ventas", 0, 100_000..100_010).await.context("as soon as it is said to be available")
}

async fn has_records(rabbitmq: &RabbitMq) -> bool {
    log::ids(rabbitmq, "ventas", 0).await.is_ok_and(|ids| !ids.is_empty())
}

#[tokio::test]
async fn a_blocked_broker_is_told_and_nothing_more_is_handed_over_until_it_is_unblocked() -> Result<()> {
    let rabbitmq = RabbitMq::start().await?;
    create_topic(&rabbitmq, "ventas", 1).await?;
    let producer = producer(&rabbitmq, "ventas").await?;
    publish(&producer, "ventas", 0, 0..10).await?;

    rabbitmq.raise(Alarm::Disk).await?;
    // The first that it does not read leave their callers without an outcome.
    let (mut unknown, mut id) = (Vec::new(), 10);
    let told = || producer.refuses("ventas").is_some_and(|reason| reason.contains("over its limit"));
    eventually(LIMIT, async || {
        let delivery = producer.publish_batch(vec![record("ventas", 0, id)]);
        match delivery.outcomes_until(tokio::time::Instant::now() + Duration::from_millis(200)).await[..] {
            [Err(Unavailable)] => {}
            _ => unknown.push(id),
        }
        id += 1;
        told()
    })
    .await?;
    assert!(producer.availability().is_available(), "it answers");
    let refused = producer.publish_batch((1_000..1_020).map(|id| record("ventas", 0, id)).collect());
    assert_eq!(refused.outcomes().await, vec![Err(Unavailable); 20]);
    // Who comes now learns the same.
    let fresh = Producer::to(&config(&rabbitmq), &ProducerConfig::default(), vec![to("ventas")])?;
    eventually(LIMIT, async || fresh.refuses("ventas").is_some()).await?;
    assert_eq!(fresh.publish(record("ventas", 0, 2_000)).await, Err(Unavailable));

    rabbitmq.clear(Alarm::Disk).await?;
    eventually(LIMIT, async || !told()).await?;
    producer.flush(LIMIT).await.context("it reads what waited")?;
    publish(&producer, "ventas", 0, 3_000..3_010).await?;
    eventually(LIMIT, async || fresh.publish(record("ventas", 0, 4_000)).await.is_ok()).await?;
    let found = log::ids(&rabbitmq, "ventas", 0).await?;
    let sure: Vec<_> = found.iter().copied().filter(|id| !unknown.contains(id)).collect();
    assert_eq!(sure, (0..10).chain(3_000..3_010).chain([4_000]).collect::<Vec<_>>());
    assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len(), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn a_stream_that_is_deleted_while_it_is_written_to_leaves_no_record_without_an_outcome() -> Result<()> {
    let rabbitmq = RabbitMq::start().await?;
    let admin = create_topic(&rabbitmq, "ventas", 1).await?;
    create_topic(&rabbitmq, "clima", 1).await?;
    let topics = vec![to("ventas"), to("clima")];
    let producer = Producer::to(&config(&rabbitmq), &ProducerConfig::default(), topics)?;
    until_available(&producer, true).await?;
    publish(&producer, "ventas", 0, 0..10).await?;

    let mut deliveries = Vec::new();
    let writing = async {
        loop {
            deliveries.push(producer.publish_batch(vec![record("ventas", 0, 1); 50]));
            // As fast as a processor can would be a test of how long a flooded broker needs to delete anything.
            tokio::time::sleep(BETWEEN_BATCHES).await;
        }
    };
    tokio::select! {
        deleted = admin.delete_topic("ventas") => deleted?,
        () = writing => {}
    }
    eventually(LIMIT, async || producer.refuses("ventas").is_some()).await.context("it is told")?;
    assert_eq!(producer.publish(record("ventas", 0, 2)).await, Err(Unavailable));
    publish(&producer, "clima", 0, 0..10).await.context("the other does not suffer from it")?;
    for delivery in deliveries {
        let outcomes =
            tokio::time::timeout(LIMIT, delivery.outcomes()).await.context("each has its outcome")?;
        let known = |outcome: &Result<_, _>| matches!(outcome, Ok(_) | Err(Unavailable | OutcomeUnknown));
        assert!(outcomes.iter().all(known), "{outcomes:?}");
    }
    admin.create_topics(&[crate::topic("ventas", 1)]).await?;
    eventually(LIMIT, async || producer.publish(record("ventas", 0, 77)).await.is_ok()).await?;
    assert_eq!(log::ids(&rabbitmq, "ventas", 0).await?, [77], "nothing of the one before");
    Ok(())
}
