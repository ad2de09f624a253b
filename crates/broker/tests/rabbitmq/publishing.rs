//! Records that are acknowledged, and records that are refused, while the broker is well.

use std::collections::HashSet;

use anyhow::{Context, Result};
use blackfriday_broker::rabbitmq::{Producer, ProducerConfig};
use blackfriday_broker::{OutgoingRecord, PublishError};
use blackfriday_stack::{RabbitMq, RabbitMqOptions};

use crate::{LIMIT, config, create_topic, log, producer, publish, record, to, until_available};

/// Hashes of keys as `UtilsTest` in Kafka's sources has them, without their sign: a key has the partition that it has there.
const KEYS: [(&str, i32); 3] = [("21", -973_932_308), ("foobar", -790_332_482), ("abc", 479_470_107)];
const PARTITIONS: i32 = 3;

#[tokio::test]
async fn an_acknowledged_record_lies_where_it_is_said_to_and_as_it_was_given() -> Result<()> {
    let config = [("stream.frame_max".to_owned(), "100000".to_owned())].into();
    let rabbitmq = RabbitMq::start_with(RabbitMqOptions { config, ..RabbitMqOptions::default() }).await?;
    create_topic(&rabbitmq, "ventas", PARTITIONS).await?;
    let producer = producer(&rabbitmq, "ventas").await?;

    lies_where_it_is_said_to(&rabbitmq, &producer).await?;
    a_key_has_its_partition(&rabbitmq, &producer).await?;
    what_is_too_large_is_told_and_holds_up_nothing(&rabbitmq).await?;
    what_has_no_place_is_told(&producer).await?;
    a_topic_that_is_made_later_is_found(&rabbitmq).await?;
    a_topic_that_is_not_there_stops_itself_and_no_other(&rabbitmq).await?;
    a_flush_waits_for_what_is_on_its_way(&rabbitmq).await
}

async fn lies_where_it_is_said_to(rabbitmq: &RabbitMq, producer: &Producer) -> Result<()> {
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let records = (0..100).map(|id| OutgoingRecord {
        key: Some(format!("K-{id}").into_bytes()),
        traceparent: (id % 2 == 0).then(|| traceparent.to_owned()),
        headers: vec![("origin", format!("O-{id}").into_bytes())],
        partition: None,
        ..record("ventas", 0, id)
    });
    let outcomes = producer.publish_batch(records.collect()).outcomes().await;
    let log = log::read(rabbitmq, "ventas").await?;
    let mut partitions = HashSet::new();
    for (id, outcome) in outcomes.into_iter().enumerate() {
        let position = outcome?;
        partitions.insert(position.partition);
        let found = log.get(&position.partition).context("the partition holds records")?;
        let found: Vec<_> =
            found.iter().filter(|found| found.payload == id.to_string().into_bytes()).collect();
        let [found] = found[..] else { panic!("{id} is there once: {found:?}") };
        assert_eq!(found.key, Some(format!("K-{id}").into_bytes()));
        assert!(found.appended && found.timestamp_ms > 1_700_000_000_000, "the log's time: {found:?}");
        assert_eq!(found.traceparent.as_deref(), (id % 2 == 0).then_some(traceparent));
        let header =
            |name: &str| found.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value);
        assert_eq!(header("origin"), Some(&format!("O-{id}").into_bytes()));
        assert_eq!(header("content-type"), Some(&blackfriday_proto::CONTENT_TYPE.as_bytes().to_vec()));
    }
    assert_eq!(partitions.len(), 3, "keys are spread");
    assert_eq!(log.values().map(Vec::len).sum::<usize>(), 100, "nothing was written twice");
    Ok(())
}

async fn a_key_has_its_partition(rabbitmq: &RabbitMq, producer: &Producer) -> Result<()> {
    let keyed = |key: &str| OutgoingRecord {
        key: Some(key.as_bytes().to_vec()),
        partition: None,
        ..record("ventas", 0, 1)
    };
    for (key, hash) in KEYS {
        let position = producer.publish(keyed(key)).await?;
        assert_eq!(position.partition, (hash & i32::MAX) % PARTITIONS, "{key}");
    }
    let fixed = OutgoingRecord { partition: Some(2), ..keyed("21") };
    assert_eq!(producer.publish(fixed).await?.partition, 2, "a partition goes before the key");
    let last = log::read(rabbitmq, "ventas").await?.remove(&2).and_then(|mut records| records.pop());
    assert_eq!(last.context("it is there")?.key.as_deref(), Some(b"21".as_slice()));
    Ok(())
}

async fn what_is_too_large_is_told_and_holds_up_nothing(rabbitmq: &RabbitMq) -> Result<()> {
    create_topic(rabbitmq, "large", 1).await?;
    let producer = producer(rabbitmq, "large").await?;
    // More than the client takes at all, and more than this server takes in a frame.
    for size in [1_100_000, 100_000] {
        let large = OutgoingRecord { payload: vec![7; size], ..record("large", 0, 0) };
        let records = vec![record("large", 0, 1), large, record("large", 0, 2)];
        let outcomes = producer.publish_batch(records).outcomes().await;
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
        assert_eq!(outcomes[1], Err(PublishError::TooLarge), "{size}");
    }
    // Just not, and many more than fit into one frame.
    let records = (0..20).map(|_| OutgoingRecord { payload: vec![7; 99_000], ..record("large", 0, 0) });
    for outcome in producer.publish_batch(records.collect()).outcomes().await {
        outcome?;
    }
    assert_eq!(log::read(rabbitmq, "large").await?.remove(&0).context("it has records")?.len(), 24);
    Ok(())
}

async fn what_has_no_place_is_told(producer: &Producer) -> Result<()> {
    let outcomes = producer.publish_batch(vec![
        record("ventas", PARTITIONS, 0),
        record("nowhere", 0, 0),
        record("ventas", 0, 1),
    ]);
    let outcomes = outcomes.outcomes().await;
    assert_eq!(outcomes[..2], [Err(PublishError::Unavailable), Err(PublishError::Unavailable)]);
    assert!(outcomes[2].is_ok(), "{:?}", outcomes[2]);
    assert!(producer.availability().is_available(), "the broker is there");
    Ok(())
}

async fn a_topic_that_is_made_later_is_found(rabbitmq: &RabbitMq) -> Result<()> {
    let early = Producer::to(&config(rabbitmq), &ProducerConfig::default(), vec![to("later")])?;
    assert_eq!(early.publish(record("later", 0, 1)).await, Err(PublishError::Unavailable));
    create_topic(rabbitmq, "later", 1).await?;
    until_available(&early, true).await?;
    publish(&early, "later", 0, 2..4).await.context("as soon as it is said to be available")?;
    assert_eq!(log::ids(rabbitmq, "later", 0).await?, [2, 3]);
    Ok(())
}

async fn a_topic_that_is_not_there_stops_itself_and_no_other(rabbitmq: &RabbitMq) -> Result<()> {
    create_topic(rabbitmq, "clima", 1).await?;
    let topics = vec![to("nowhere"), to("clima")];
    let producer = Producer::to(&config(rabbitmq), &ProducerConfig::default(), topics)?;
    until_available(&producer, true).await?;
    producer.publish(record("clima", 0, 1)).await?;
    assert_eq!(producer.publish(record("nowhere", 0, 1)).await, Err(PublishError::Unavailable));
    assert!(producer.refuses("nowhere").is_some() && producer.refuses("clima").is_none());
    Ok(())
}

async fn a_flush_waits_for_what_is_on_its_way(rabbitmq: &RabbitMq) -> Result<()> {
    create_topic(rabbitmq, "flushed", 1).await?;
    let producer = producer(rabbitmq, "flushed").await?;
    let delivery = producer.publish_batch((0..5_000).map(|id| record("flushed", 0, id)).collect());
    producer.flush(LIMIT).await?;
    let told = delivery.outcomes_until(tokio::time::Instant::now()).await;
    assert_eq!(told.iter().filter(|outcome| outcome.is_ok()).count(), 5_000, "each is told by then");
    assert_eq!(log::ids(rabbitmq, "flushed", 0).await?, (0..5_000).collect::<Vec<_>>());
    Ok(())
}
