use blackfriday_stack::eventually;
use rdkafka::bindings::rd_kafka_test_fatal_error;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::time::timeout;

use super::*;

const LIMIT: Duration = Duration::from_secs(30);

fn record(payload: &str) -> OutgoingRecord {
    OutgoingRecord { topic: "ventas".to_owned(), payload: payload.into(), ..OutgoingRecord::default() }
}

/// Its records would be refused for as long as their topic is known to take no batch.
#[tokio::test]
async fn the_client_that_sends_records_alone_is_replaced_after_a_fatal_error() {
    let cluster = MockCluster::new(1).expect("a stand-in for a broker");
    cluster.create_topic("ventas", 1, 1).expect("a topic");
    let kafka = KafkaConfig::new(cluster.bootstrap_servers());
    let producer = Producer::new(&kafka, &ProducerConfig::default(), "ventas").expect("a producer");
    let mut available = producer.availability().watch();
    timeout(LIMIT, available.wait_for(|available| *available)).await.expect("in time").expect("it lives");

    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    producer.publish(record("1")).await.expect("it is sent again, alone");
    let alone = Arc::clone(&producer.alone);
    let broken = alone.current().expect("it was needed");
    let reason = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    // SAFETY: the client lives as long as the reference, and the call copies the text.
    unsafe { rd_kafka_test_fatal_error(broken.client().native_ptr(), reason, c"a test".as_ptr()) };
    assert!(broken.client().fatal_error().is_some());

    let is_replaced = async || alone.current().is_some_and(|current| !Arc::ptr_eq(&current, &broken));
    eventually(LIMIT, is_replaced).await.expect("it is replaced");
    assert!(alone.takes("ventas").is_some(), "the next record goes through it");
    producer.publish(record("2")).await.expect("through the new one");
}

/// What the stand-in takes to answer: long enough that everything that a test hands over comes before.
const ROUND_TRIP: Duration = Duration::from_millis(300);

async fn slow(
    partitions: i32,
    queue_max_records: u32,
) -> (MockCluster<'static, DefaultProducerContext>, Producer) {
    let cluster = MockCluster::new(1).expect("a stand-in for a broker");
    cluster.create_topic("ventas", partitions, 1).expect("a topic");
    let kafka = KafkaConfig::new(cluster.bootstrap_servers());
    let config = ProducerConfig { queue_max_records, ..ProducerConfig::default() };
    let producer = Producer::new(&kafka, &config, "ventas").expect("a producer");
    let mut available = producer.availability().watch();
    timeout(LIMIT, available.wait_for(|available| *available)).await.expect("in time").expect("it lives");
    // Connections and the producer's identity are there after the first answer.
    for _ in 0..partitions {
        producer.publish(record("0")).await.expect("taken");
    }
    cluster.broker_round_trip_time(1, ROUND_TRIP).expect("it has this broker");
    (cluster, producer)
}

fn batch(records: usize) -> Vec<OutgoingRecord> {
    (0..records).map(|at| record(&at.to_string())).collect()
}

fn partitions(outcomes: &[Outcome]) -> Vec<i32> {
    let mut partitions: Vec<_> =
        outcomes.iter().map(|outcome| outcome.as_ref().expect("acknowledged").partition).collect();
    partitions.dedup();
    partitions
}

#[tokio::test]
async fn batches_that_may_go_anywhere_go_each_to_a_partition_without_records_on_their_way() {
    let (_cluster, producer) = slow(3, 1_000).await;
    let sent: Vec<_> = (0..3).map(|_| producer.publish_batch(batch(20))).collect();
    let mut taken = Vec::new();
    for delivery in sent {
        let outcomes = timeout(LIMIT, delivery.outcomes()).await.expect("in time");
        taken.extend(partitions(&outcomes));
    }
    taken.sort_unstable();
    assert_eq!(taken, [0, 1, 2], "one each");
}

#[tokio::test]
async fn records_wait_for_those_of_their_partition_and_go_in_their_order_within_the_queues_limit() {
    let (_cluster, producer) = slow(1, 50).await;
    let first = producer.publish_batch(batch(20));
    let others: Vec<_> = (0..3).map(|_| producer.publish_batch(batch(10))).collect();
    assert_eq!(producer.turns.waiting(), 30);
    let over = timeout(LIMIT, producer.publish_batch(batch(2)).outcomes()).await.expect("at once");
    assert_eq!(over, [Err(PublishError::QueueFull), Err(PublishError::QueueFull)]);
    producer.flush(LIMIT).await.expect("also what waits");
    assert!(producer.turns.is_idle());
    let mut offsets = Vec::new();
    for delivery in [first].into_iter().chain(others) {
        let outcomes = timeout(LIMIT, delivery.outcomes()).await.expect("in time");
        offsets
            .extend(outcomes.into_iter().map(|outcome| outcome.expect("acknowledged").offset.expect("told")));
    }
    assert!(offsets.is_sorted() && offsets.len() == 50, "{offsets:?}");
    producer.publish(record("after")).await.expect("there is room again");
}

#[tokio::test]
async fn what_waits_when_the_client_is_replaced_has_an_outcome_and_holds_nothing_up() {
    let (_cluster, producer) = slow(1, 1_000).await;
    let (first, second) = (producer.publish_batch(batch(20)), producer.publish_batch(batch(20)));
    let broken = producer.client.current();
    let reason = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    // SAFETY: the client lives as long as the reference, and the call copies the text.
    unsafe { rd_kafka_test_fatal_error(broken.client().native_ptr(), reason, c"a test".as_ptr()) };
    drop(broken);
    timeout(LIMIT, first.outcomes()).await.expect("in time");
    let outcomes = timeout(LIMIT, second.outcomes()).await.expect("in time");
    // Either the broken client refused it, or the next one took it; none is left without an outcome.
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(PublishError::Unavailable))),
        "{outcomes:?}"
    );
    eventually(LIMIT, async || producer.publish(record("after")).await.is_ok()).await.expect("the next one");
    assert!(producer.turns.is_idle());
}
