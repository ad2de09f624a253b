use blackfriday_stack::eventually;
use rdkafka::bindings::rd_kafka_test_fatal_error;
use rdkafka::mocking::MockCluster;
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
