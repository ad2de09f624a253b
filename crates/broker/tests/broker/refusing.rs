//! A broker that answers, and takes no records.

use std::time::{Duration, Instant};

use anyhow::Result;
use blackfriday_broker::PublishError::{OutcomeUnknown, Unavailable};
use blackfriday_broker::kafka::{KafkaConfig, Producer, ProducerConfig};
use blackfriday_stack::eventually;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::task::JoinSet;

use crate::{LIMIT, log, record, until_available};

/// More requests than the client sends meanwhile.
const REFUSED: [RDKafkaRespErr; 1_000] = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 1_000];
const PATIENCE: Duration = Duration::from_millis(1_300);

/// A real one of one node always has replicas enough. So this is librdkafka's own stand-in for a broker.
#[tokio::test]
async fn while_replicas_are_missing_few_are_left_without_an_outcome_and_each_is_written_once() -> Result<()> {
    let cluster = MockCluster::new(1)?;
    cluster.create_topic("ventas", 1, 1)?;
    let kafka = KafkaConfig::new(cluster.bootstrap_servers());
    let producer = Producer::new(&kafka, &ProducerConfig::default(), "ventas")?;
    until_available(&producer, true).await?;
    producer.publish(record("ventas", 0, 0)).await?;

    cluster.request_errors(RDKafkaApiKey::Produce, &REFUSED);
    // Who waits for a moment only learns nothing about the broker.
    assert_eq!(publish_for(&producer, 1, Duration::from_millis(10)).await, Err(OutcomeUnknown));
    assert_eq!(publish_for(&producer, 2, PATIENCE).await, Err(OutcomeUnknown));
    let began = Instant::now();
    let refused = producer.publish_batch(vec![record("ventas", 0, 1_000); 20]);
    assert_eq!(refused.outcomes().await, vec![Err(Unavailable); 20]);
    assert!(producer.availability().is_available(), "it answers");

    let mut written = vec![0, 1, 2];
    for id in 3..200 {
        match publish_for(&producer, id, Duration::from_millis(10)).await {
            Err(Unavailable) => {}
            other => {
                assert_eq!(other, Err(OutcomeUnknown), "{id}");
                written.push(id);
            }
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    let tried = written.len() - 3;
    assert!(tried >= 1 && tried as u64 <= began.elapsed().as_secs() + 1, "one a second: {written:?}");

    cluster.clear_request_errors(RDKafkaApiKey::Produce);
    producer.flush(LIMIT).await?;
    assert_eq!(publish_for(&producer, 200, LIMIT).await, Ok(()));
    written.push(200);
    assert_eq!(log::ids_at(&kafka, "ventas", 0).await?, written);
    Ok(())
}

/// A record that the client gives up by itself says nothing of the broker.
#[tokio::test]
async fn records_that_time_out_do_not_end_the_refusing() -> Result<()> {
    let cluster = MockCluster::new(1)?;
    cluster.create_topic("ventas", 1, 1)?;
    let kafka = KafkaConfig::new(cluster.bootstrap_servers());
    let settings = ProducerConfig { message_timeout_ms: 2_000, ..ProducerConfig::default() };
    let producer = Producer::new(&kafka, &settings, "ventas")?;
    until_available(&producer, true).await?;
    producer.publish(record("ventas", 0, 0)).await?;

    cluster.request_errors(RDKafkaApiKey::Produce, &REFUSED);
    assert_eq!(publish_for(&producer, 1, PATIENCE).await, Err(OutcomeUnknown));
    let began = Instant::now();
    let mut callers = JoinSet::new();
    // Of those that are tried the first have timed out in the middle of it.
    while began.elapsed() < Duration::from_secs(7) {
        let producer = producer.clone();
        callers.spawn(async move { publish_for(&producer, 2, PATIENCE).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let most = began.elapsed().as_secs() + 1;
    let outcomes = callers.join_all().await;
    let tried = outcomes.iter().filter(|outcome| **outcome == Err(OutcomeUnknown)).count() as u64;
    assert!((2..=most).contains(&tried), "one a second: {tried} of {}", outcomes.len());
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(OutcomeUnknown | Unavailable))));

    cluster.clear_request_errors(RDKafkaApiKey::Produce);
    eventually(LIMIT, async || producer.publish(record("ventas", 0, 3)).await.is_ok()).await?;
    Ok(())
}

async fn publish_for(
    producer: &Producer,
    id: usize,
    patience: Duration,
) -> Result<(), blackfriday_broker::PublishError> {
    let delivery = producer.publish_batch(vec![record("ventas", 0, id)]);
    let deadline = tokio::time::Instant::now() + patience;
    delivery.outcomes_until(deadline).await.remove(0).map(drop)
}
