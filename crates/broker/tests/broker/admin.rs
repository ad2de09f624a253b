//! What is asked and told about topics.

use std::time::{Duration, Instant};

use anyhow::Result;
use blackfriday_broker::TopicSpec;
use blackfriday_broker::kafka::{Admin, ProducerConfig};
use blackfriday_broker::{BrokerError, TopicPartition, Watermarks};
use blackfriday_stack::Kafka;

use crate::{config, create_topic, log, producer, publish};

#[tokio::test]
async fn topics_are_made_once_and_told_as_they_are() -> Result<()> {
    let kafka = Kafka::start().await?;
    let admin = create_topic(&kafka, "ventas", 12).await?;
    let expected: Vec<_> = (0..12).map(|id| TopicPartition::new("ventas", id)).collect();
    assert_eq!(admin.partitions("ventas").await?, expected);

    admin.create_topics(&[topic("ventas", 3, 1), topic("clima", 2, 1)]).await?;
    assert_eq!(admin.partitions("ventas").await?.len(), 12, "what exists stays as it is");
    create_topic(&kafka, "clima", 2).await?;
    assert_eq!(admin.partitions("clima").await?.len(), 2, "the new one is made next to it");

    refusals_name_the_topic(&admin).await?;
    watermarks_follow_the_log(&kafka, &admin).await?;
    without_a_broker_it_ends_in_time(&kafka, &admin).await
}

async fn refusals_name_the_topic(admin: &Admin) -> Result<()> {
    let wrong = [
        (topic("no blanks", 1, 1), "InvalidTopic"),
        (topic("none", 0, 1), "InvalidPartitions"),
        (topic("copies", 1, 3), "InvalidReplicationFactor"),
    ];
    for (spec, expected) in wrong {
        let refused = admin.create_topics(&[topic("good", 1, 1), spec.clone()]).await;
        let Err(BrokerError::CreateTopic { topic, reason }) = refused else {
            panic!("{refused:?} for {spec:?}")
        };
        assert!(topic == spec.name && reason.contains(expected), "{topic}: {reason}");
        let missing = admin.partitions(&spec.name).await;
        assert!(matches!(&missing, Err(BrokerError::NoTopic(name)) if *name == spec.name), "{missing:?}");
    }
    Ok(())
}

async fn watermarks_follow_the_log(kafka: &Kafka, admin: &Admin) -> Result<()> {
    let clima = TopicPartition::new("clima", 1);
    assert_eq!(admin.watermarks(&clima).await?, Watermarks { low: 0, high: 0 });
    let producer = producer(kafka, &ProducerConfig::default(), "clima").await?;
    publish(&producer, "clima", 1, 0..50).await?;
    assert_eq!(admin.watermarks(&clima).await?, Watermarks { low: 0, high: 50 });
    log::delete_before(kafka, &clima, 20).await?;
    assert_eq!(admin.watermarks(&clima).await?, Watermarks { low: 20, high: 50 });
    log::delete_before(kafka, &clima, 50).await?;
    assert_eq!(admin.watermarks(&clima).await?, Watermarks { low: 50, high: 50 });
    let missing = admin.watermarks(&TopicPartition::new("clima", 2)).await;
    assert!(matches!(missing, Err(BrokerError::Ask { .. })), "{missing:?}");
    Ok(())
}

async fn without_a_broker_it_ends_in_time(kafka: &Kafka, admin: &Admin) -> Result<()> {
    kafka.kill()?;
    let began = Instant::now();
    let ventas = TopicPartition::new("ventas", 0);
    let new = [topic("new", 1, 1)];
    let fresh = Admin::new(&config(kafka))?;
    let (watermarks, partitions, created) =
        tokio::join!(admin.watermarks(&ventas), fresh.partitions("ventas"), admin.create_topics(&new));
    assert!(matches!(watermarks, Err(BrokerError::Ask { .. })), "{watermarks:?}");
    assert!(matches!(partitions, Err(BrokerError::Ask { .. })), "{partitions:?}");
    assert!(matches!(created, Err(BrokerError::Ask { .. } | BrokerError::CreateTopic { .. })), "{created:?}");
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    Ok(())
}

fn topic(name: &str, partitions: i32, replication: i32) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions, replication, ..TopicSpec::default() }
}
