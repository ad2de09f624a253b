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
/// Records that are tried, one a second, while the others are refused: for longer than a client keeps one (2 s).
const TRIED: usize = 5;

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

    let (mut written, mut next) = (vec![0, 1, 2], 3);
    eventually(LIMIT, async || {
        let id = next;
        next += 1;
        match publish_for(&producer, id, Duration::from_millis(10)).await {
            Err(Unavailable) => {}
            other => {
                assert_eq!(other, Err(OutcomeUnknown), "{id}");
                written.push(id);
            }
        }
        written.len() == 3 + TRIED
    })
    .await?;
    assert!(TRIED as u64 <= began.elapsed().as_secs() + 1, "one a second: {written:?} of {next}");

    cluster.clear_request_errors(RDKafkaApiKey::Produce);
    producer.flush(LIMIT).await?;
    assert_eq!(publish_for(&producer, next, LIMIT).await, Ok(()));
    written.push(next);
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
    let (mut callers, mut outcomes) = (JoinSet::new(), Vec::new());
    let tried = |outcomes: &[_]| outcomes.iter().filter(|outcome| **outcome == Err(OutcomeUnknown)).count();
    // By then the client has given up the first of those that are tried.
    eventually(LIMIT, async || {
        let producer = producer.clone();
        callers.spawn(async move { publish_for(&producer, 2, PATIENCE).await });
        while let Some(outcome) = callers.try_join_next() {
            outcomes.push(outcome.expect("no panic"));
        }
        tried(&outcomes) >= TRIED
    })
    .await?;
    let most = began.elapsed().as_secs() + 1;
    outcomes.extend(callers.join_all().await);
    let tried = tried(&outcomes);
    assert!(tried as u64 <= most, "one a second: {tried} of {}", outcomes.len());
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
