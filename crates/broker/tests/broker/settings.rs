//! Topics and brokers whose settings are not ours: what they refuse, and what is told of it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blackfriday_broker::kafka::{Admin, Producer, ProducerConfig};
use blackfriday_broker::{Destination, TopicSpec};
use blackfriday_broker::{OutgoingRecord, PublishError};
use blackfriday_stack::{Kafka, KafkaOptions, eventually};

use crate::{LIMIT, config, log, noise, producer, record, until_available};

#[tokio::test]
async fn topics_with_settings_of_their_own_refuse_only_what_they_must() -> Result<()> {
    let kafka = Kafka::start().await?;
    small_records_are_written_where_no_batch_fits(&kafka).await?;
    a_compacted_topic_is_told_and_recovers(&kafka).await?;
    too_few_partitions_are_told_until_there_are_enough(&kafka).await
}

async fn small_records_are_written_where_no_batch_fits(kafka: &Kafka) -> Result<()> {
    let admin = Admin::new(&config(kafka))?;
    admin.create_topics_with(&[topic("narrow")], &[("max.message.bytes", "600")]).await?;
    let producer = producer(kafka, &ProducerConfig::default(), "narrow").await?;
    let small = (0..200).map(|id| record("narrow", 0, id));
    let large = OutgoingRecord { payload: noise(1, 900), ..record("narrow", 0, 0) };
    let outcomes = producer.publish_batch(small.chain([large]).collect()).outcomes().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 200, "{outcomes:?}");
    assert_eq!(outcomes[200], Err(PublishError::TooLarge));
    assert_eq!(producer.refuses("narrow"), None, "the record alone is to blame");
    let mut written = log::ids(kafka, "narrow", 0).await?;
    written.sort_unstable();
    assert_eq!(written, (0..200).collect::<Vec<_>>(), "each once");
    Ok(())
}

async fn a_compacted_topic_is_told_and_recovers(kafka: &Kafka) -> Result<()> {
    let admin = Admin::new(&config(kafka))?;
    admin.create_topics_with(&[topic("compacted")], &[("cleanup.policy", "compact")]).await?;
    let producer = producer(kafka, &ProducerConfig::default(), "compacted").await?;
    assert_eq!(producer.publish(record("compacted", 0, 1)).await, Err(PublishError::Unavailable));
    let mut topics = producer.watch_topics();
    let reason = topics.borrow_and_update().get("compacted").cloned().context("it is told")?;
    assert!(reason.contains("InvalidRecord"), "{reason}");
    let began = Instant::now();
    assert_eq!(producer.publish(record("compacted", 0, 2)).await, Err(PublishError::Unavailable));
    assert!(began.elapsed() < Duration::from_secs(1), "it is not sent: {:?}", began.elapsed());

    log::alter(kafka, "compacted", "cleanup.policy", "delete").await?;
    eventually(LIMIT, async || producer.publish(record("compacted", 0, 3)).await.is_ok()).await?;
    assert!(producer.watch_topics().borrow().is_empty());
    Ok(())
}

async fn too_few_partitions_are_told_until_there_are_enough(kafka: &Kafka) -> Result<()> {
    let admin = Admin::new(&config(kafka))?;
    admin.create_topics(&[topic("few"), topic("other")]).await?;
    let few = Destination { topic: "few".to_owned(), min_partitions: 2 };
    let other = Destination { topic: "other".to_owned(), min_partitions: 1 };
    let producer = Producer::to(&config(kafka), &ProducerConfig::default(), vec![other, few])?;
    until_available(&producer, true).await?;
    let told = async || producer.refuses("few").is_some_and(|reason| reason.contains("1 partitions"));
    eventually(LIMIT, told).await?;
    assert_eq!(producer.publish(record("few", 0, 1)).await, Err(PublishError::Unavailable));
    producer.publish(record("other", 0, 1)).await.context("the other topic does not suffer from it")?;
    log::add_partitions(kafka, "few", 2).await?;
    eventually(LIMIT, async || producer.publish(record("few", 1, 1)).await.is_ok()).await?;
    Ok(())
}

#[tokio::test]
async fn a_brokers_name_that_does_not_resolve_is_told() -> Result<()> {
    let options = KafkaOptions { advertised_host: "nowhere.invalid".to_owned(), ..KafkaOptions::default() };
    let kafka = Kafka::start_with(options).await?;
    let producer = Producer::new(&config(&kafka), &ProducerConfig::default(), "ventas")?;
    let named = |text: Option<String>| text.is_some_and(|text| text.contains("nowhere.invalid"));
    eventually(LIMIT, async || named(producer.complaint())).await.context("by the producer")?;
    let error = Admin::new(&config(&kafka))?.create_topics(&[topic("ventas")]).await;
    drop(error);
    let admin = Admin::new(&config(&kafka))?;
    let told = async || {
        let error = admin.watermarks(&blackfriday_broker::TopicPartition::new("ventas", 0)).await;
        let error = error.err().and_then(|error| Some(std::error::Error::source(&error)?.to_string()));
        named(error)
    };
    eventually(LIMIT * 2, told).await.context("in an error of the admin")?;
    Ok(())
}

fn topic(name: &str) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions: 1, replication: 1, ..TopicSpec::default() }
}
