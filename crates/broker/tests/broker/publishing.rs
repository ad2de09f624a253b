//! Records that are acknowledged, and records that are refused, while the broker is well.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_broker::Destination;
use blackfriday_broker::kafka::{Producer, ProducerConfig};
use blackfriday_broker::{OutgoingRecord, Position, PublishError};
use blackfriday_stack::{Kafka, KafkaOptions};

use crate::{LIMIT, config, create_topic, log, noise, producer, publish, record, until_available};

/// What the Java client's partitioner makes of these keys: murmur2 as `UtilsTest` in Kafka's sources has it, without
/// its sign, modulo the number of partitions.
const KEYS: [(&str, i32); 6] = [
    ("21", -973_932_308),
    ("foobar", -790_332_482),
    ("a-little-bit-long-string", -985_981_536),
    ("a-little-bit-longer-string", -1_486_304_829),
    ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
    ("abc", 479_470_107),
];
const PARTITIONS: i32 = 7;
/// Largest record batch that the broker takes; the client by itself would send ten times as much.
const BROKER_MAX_BYTES: u32 = 100_000;

#[tokio::test]
async fn an_acknowledged_record_lies_where_it_is_said_to_and_as_it_was_given() -> Result<()> {
    let kafka =
        Kafka::start_with(KafkaOptions { max_message_bytes: BROKER_MAX_BYTES, ..KafkaOptions::default() })
            .await?;
    create_topic(&kafka, "ventas", PARTITIONS).await?;
    // What has no place is given up only then.
    let settings = ProducerConfig { message_timeout_ms: 3_000, ..ProducerConfig::default() };
    let producer = producer(&kafka, &settings, "ventas").await?;

    lies_where_it_is_said_to(&kafka, &producer).await?;
    a_key_has_its_partition(&kafka, &producer).await?;
    what_is_too_large_is_told_and_holds_up_nothing(&kafka, &producer).await?;
    what_has_no_place_is_told(&producer).await?;
    a_topic_that_is_made_later_is_found(&kafka).await?;
    a_flush_delivers_what_waits(&kafka).await
}

async fn lies_where_it_is_said_to(kafka: &Kafka, producer: &Producer) -> Result<()> {
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let records = (0..100).map(|id| OutgoingRecord {
        key: Some(format!("K-{id}").into_bytes()),
        traceparent: (id % 2 == 0).then(|| traceparent.to_owned()),
        headers: vec![("origin", format!("O-{id}").into_bytes())],
        partition: None,
        ..record("ventas", 0, id)
    });
    let outcomes = producer.publish_batch(records.collect()).outcomes().await;
    let mut log = log::read(kafka, "ventas").await?;
    let mut places = HashSet::new();
    for (id, outcome) in outcomes.into_iter().enumerate() {
        let position = outcome?;
        assert!(places.insert((position.partition, position.offset)), "{position:?} is told twice");
        let found = log.get_mut(&position.partition).context("the partition holds records")?;
        let found = found.iter().find(|found| Some(found.offset) == position.offset).context("the offset")?;
        assert_eq!(found.payload, id.to_string().into_bytes());
        assert_eq!(found.key, Some(format!("K-{id}").into_bytes()));
        assert!(found.appended && found.timestamp_ms > 1_700_000_000_000, "the log's time: {found:?}");
        assert_eq!(found.traceparent.as_deref(), (id % 2 == 0).then_some(traceparent));
        let header =
            |name: &str| found.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value);
        assert_eq!(header("origin"), Some(&format!("O-{id}").into_bytes()));
        assert_eq!(header("content-type"), Some(&blackfriday_proto::CONTENT_TYPE.as_bytes().to_vec()));
    }
    assert_eq!(places.len(), 100);
    assert_eq!(log.values().map(Vec::len).sum::<usize>(), 100, "nothing was written twice");
    Ok(())
}

async fn a_key_has_its_partition(kafka: &Kafka, producer: &Producer) -> Result<()> {
    let keyed = |key: &str| OutgoingRecord {
        key: Some(key.as_bytes().to_vec()),
        partition: None,
        ..record("ventas", 0, 1)
    };
    for (key, hash) in KEYS {
        let position = producer.publish(keyed(key)).await?;
        assert_eq!(position.partition, (hash & i32::MAX) % PARTITIONS, "{key}");
    }
    let fixed = OutgoingRecord { partition: Some(6), ..keyed("21") };
    assert_eq!(producer.publish(fixed).await?.partition, 6, "a partition goes before the key");
    let last = log::read(kafka, "ventas").await?.remove(&6).and_then(|mut records| records.pop());
    assert_eq!(last.context("it is there")?.key.as_deref(), Some(b"21".as_slice()));
    Ok(())
}

async fn what_is_too_large_is_told_and_holds_up_nothing(kafka: &Kafka, producer: &Producer) -> Result<()> {
    create_topic(kafka, "large", 1).await?;
    // More than the client takes at all, and more than this broker takes, although compressed.
    for (size, sent) in [(1_100_000, false), (500_000, true)] {
        let large = OutgoingRecord { payload: noise(1, size), ..record("large", 0, 0) };
        let first = producer.publish(record("large", 0, 1)).await?;
        assert_eq!(producer.publish(large).await, Err(PublishError::TooLarge), "{size}, sent: {sent}");
        let next = producer.publish_batch((2..5).map(|id| record("large", 0, id)).collect());
        let next: Vec<_> = next.outcomes().await.into_iter().collect::<Result<_, _>>()?;
        let after = |position: &Position| Some(position.offset? - first.offset?);
        let offsets: Vec<_> = next.iter().map(after).collect();
        assert_eq!(offsets, [Some(1), Some(2), Some(3)], "{size}, sent: {sent}");
    }
    assert_eq!(log::ids(kafka, "large", 0).await?, [1, 2, 3, 4, 1, 2, 3, 4]);
    Ok(())
}

async fn what_has_no_place_is_told(producer: &Producer) -> Result<()> {
    let began = Instant::now();
    let outcomes = producer.publish_batch(vec![
        record("ventas", PARTITIONS, 0),
        record("nowhere", 0, 0),
        record("ventas", 0, 1),
    ]);
    let outcomes = outcomes.outcomes().await;
    assert_eq!(outcomes[..2], [Err(PublishError::Unavailable), Err(PublishError::Unavailable)]);
    assert!(outcomes[2].is_ok(), "{:?}", outcomes[2]);
    assert!(began.elapsed() < Duration::from_secs(5), "within the message timeout: {:?}", began.elapsed());
    assert!(producer.availability().is_available(), "the broker is there");
    Ok(())
}

async fn a_topic_that_is_made_later_is_found(kafka: &Kafka) -> Result<()> {
    let early = Producer::new(&config(kafka), &ProducerConfig::default(), "later")?;
    assert_eq!(early.publish(record("later", 0, 1)).await, Err(PublishError::Unavailable));
    create_topic(kafka, "later", 1).await?;
    until_available(&early, true).await?;
    publish(&early, "later", 0, 2..4).await.context("as soon as it is said to be available")?;
    assert_eq!(log::ids(kafka, "later", 0).await?, [2, 3]);
    Ok(())
}

async fn a_flush_delivers_what_waits(kafka: &Kafka) -> Result<()> {
    create_topic(kafka, "flushed", 1).await?;
    let slow = ProducerConfig { linger_ms: 1_000, ..ProducerConfig::default() };
    let producer = producer(kafka, &slow, "flushed").await?;
    let delivery = producer.publish_batch((0..5_000).map(|id| record("flushed", 0, id)).collect());
    producer.flush(LIMIT).await?;
    let told = delivery.outcomes_until(tokio::time::Instant::now()).await;
    assert_eq!(told.iter().filter(|outcome| outcome.is_ok()).count(), 5_000, "each is told by then");
    assert_eq!(log::ids(kafka, "flushed", 0).await?, (0..5_000).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_topic_that_is_not_there_stops_itself_and_no_other() -> Result<()> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "clima", 1).await?;
    let topics = ["ventas", "clima"].map(|topic| Destination { topic: topic.to_owned(), min_partitions: 1 });
    let producer = Producer::to(&config(&kafka), &ProducerConfig::default(), topics.to_vec())?;
    until_available(&producer, true).await?;
    producer.publish(record("clima", 0, 1)).await?;
    assert_eq!(producer.publish(record("ventas", 0, 1)).await, Err(PublishError::Unavailable));
    assert!(producer.refuses("ventas").is_some() && producer.refuses("clima").is_none());
    Ok(())
}
