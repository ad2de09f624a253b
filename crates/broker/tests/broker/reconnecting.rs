//! Acknowledgements that are lost on the way, and a broker that comes back without its data.

use anyhow::{Context, Result};
use blackfriday_broker::kafka::ProducerConfig;
use blackfriday_broker::{OutgoingRecord, PublishError};
use blackfriday_stack::{Kafka, eventually};
use futures_util::future::{join_all, try_join_all};

use crate::{LIMIT, create_topic, log, noise, pause, producer, publish, record, until_available};

#[tokio::test]
async fn a_record_whose_acknowledgement_was_lost_is_not_written_again() -> Result<()> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "ventas", 1).await?;
    let patient = ProducerConfig { message_timeout_ms: 60_000, ..ProducerConfig::default() };
    let producer = producer(&kafka, &patient, "ventas").await?;
    publish(&producer, "ventas", 0, 0..10).await?;

    // The request is with the broker's host, the producer gives the connection up; then the broker reads it after all.
    pause(&kafka).await?;
    let large = |seed| OutgoingRecord { payload: noise(seed, 1_000), ..record("ventas", 0, 0) };
    let delivery = producer.publish_batch((10..30).map(large).collect());
    // One request at least: a record, and not only what the producer asks about the topic.
    eventually(LIMIT, async || abandoned_bytes(&kafka).is_ok_and(|bytes| bytes > 1_000)).await?;
    kafka.resume()?;
    let outcomes = tokio::time::timeout(LIMIT, delivery.outcomes()).await.context("told in the end")?;
    let offsets: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map(|p| p.offset)).collect();
    assert_eq!(
        offsets,
        (10..30).map(|offset| Ok(Some(offset))).collect::<Vec<_>>(),
        "where they were written the first time"
    );

    until_available(&producer, true).await?;
    publish(&producer, "ventas", 0, 30..40).await?;
    let log = log::read(&kafka, "ventas").await?.remove(&0).context("the partition")?;
    assert_eq!(log.len(), 40);
    assert!((10..30).zip(&log[10..30]).all(|(seed, found)| found.payload == noise(seed, 1_000)));
    assert_eq!((&log[9].payload[..], &log[30].payload[..]), (b"9".as_slice(), b"30".as_slice()));
    Ok(())
}

/// The bytes that the broker has not read on a connection whose client is gone.
fn abandoned_bytes(kafka: &Kafka) -> Result<u64> {
    const CLOSE_WAIT: &str = "08";
    let port = kafka.bootstrap().rsplit(':').next().context("a port")?;
    let local = format!(":{:04X}", port.parse::<u16>()?);
    let mut most = 0;
    // Java's sockets are of IPv6, also on 127.0.0.1.
    for line in std::fs::read_to_string("/proc/net/tcp6")?.lines().skip(1) {
        // proc(5): number, local address, remote address, state, sent:received and not yet read, ...
        let fields: Vec<_> = line.split_whitespace().collect();
        if fields[1].ends_with(&local) && fields[3] == CLOSE_WAIT {
            let (_, unread) = fields[4].split_once(':').context("two queues")?;
            most = most.max(u64::from_str_radix(unread, 16)?);
        }
    }
    Ok(most)
}

#[tokio::test]
async fn a_broker_that_lost_everything_is_used_again_once_it_has_the_topic() -> Result<()> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "ventas", 1).await?;
    let producer = producer(&kafka, &ProducerConfig::default(), "ventas").await?;
    publish(&producer, "ventas", 0, 0..100).await?;

    kafka.wipe()?;
    until_available(&producer, false).await?;
    kafka.restart().await?;
    create_topic(&kafka, "ventas", 1).await?;
    until_available(&producer, true).await?;
    publish(&producer, "ventas", 0, 100..200).await.context("as soon as it is said to be available")?;
    assert_eq!(log::ids(&kafka, "ventas", 0).await?, (100..200).collect::<Vec<_>>());
    Ok(())
}

/// A broker that hung lists nobody, not even itself, until the controller has it back. The more clients, the likelier it
/// is that some of them ask just then.
#[tokio::test]
async fn many_producers_find_back_to_a_broker_that_hung() -> Result<()> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "ventas", 1).await?;
    let settings = ProducerConfig { message_timeout_ms: 4_000, ..ProducerConfig::default() };
    let mut producers = Vec::new();
    for _ in 0..20 {
        producers.push(producer(&kafka, &settings, "ventas").await?);
    }
    for producer in &producers {
        publish(producer, "ventas", 0, 0..1).await?;
    }
    pause(&kafka).await?;
    // Longer than the broker's session with its controller lasts, 3 s here.
    let given_up = producers.iter().map(|producer| producer.publish(record("ventas", 0, 0)));
    assert_eq!(join_all(given_up).await, vec![Err(PublishError::OutcomeUnknown); producers.len()]);
    for producer in &producers {
        until_available(producer, false).await?;
    }
    kafka.resume()?;
    let publishing = producers.iter().enumerate().map(async |(at, producer)| {
        let found = eventually(LIMIT, async || producer.publish(record("ventas", 0, at)).await.is_ok()).await;
        found.with_context(|| format!("producer {at}"))
    });
    try_join_all(publishing).await?;
    Ok(())
}
