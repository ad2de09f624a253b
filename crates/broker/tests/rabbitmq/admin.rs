//! What is asked and told about topics.

use std::time::{Duration, Instant};

use anyhow::Result;
use blackfriday_broker::rabbitmq::Admin;
use blackfriday_broker::{BrokerError, TopicPartition, Watermarks};
use blackfriday_stack::RabbitMq;

use crate::{config, create_topic, producer, publish, topic, ventas};

#[tokio::test]
async fn topics_are_made_once_and_told_as_they_are() -> Result<()> {
    let rabbitmq = RabbitMq::start().await?;
    let admin = create_topic(&rabbitmq, "ventas", 2).await?;
    assert_eq!(admin.partitions("ventas").await?, [ventas(0), ventas(1)]);
    admin.create_topics(&[topic("ventas", 1), topic("clima", 2)]).await?;
    assert_eq!(admin.partitions("ventas").await?.len(), 2, "what exists stays as it is");
    admin.create_topics(&[topic("ventas", 3)]).await?;
    assert_eq!(admin.partitions("ventas").await?.len(), 3, "and gets what it lacks");
    assert_eq!(admin.partitions("clima").await?.len(), 2, "the new one is made next to it");
    let streams = rabbitmq.rabbitmqctl(&["list_queues", "name"]).await?;
    assert!(streams.lines().any(|line| line == "clima-queue"), "its name is known: {streams}");

    for partitions in [0, 257] {
        let refused = admin.create_topics(&[topic("wrong", partitions)]).await;
        assert!(matches!(refused, Err(BrokerError::CreateTopic { .. })), "{refused:?}");
    }
    let missing = admin.partitions("wrong").await;
    assert!(matches!(&missing, Err(BrokerError::NoTopic(name)) if name == "wrong"), "{missing:?}");

    watermarks_follow_the_log(&rabbitmq, &admin).await?;
    without_a_broker_it_ends_in_time(&rabbitmq, &admin).await
}

async fn watermarks_follow_the_log(rabbitmq: &RabbitMq, admin: &Admin) -> Result<()> {
    let clima = TopicPartition::new("clima", 0);
    assert_eq!(admin.watermarks(&clima).await?, Watermarks { low: 0, high: 0 });
    let producer = producer(rabbitmq, "clima").await?;
    for high in [1, 2, 50, 5_000] {
        let low = usize::try_from(admin.watermarks(&clima).await?.high)?;
        publish(&producer, "clima", 0, low..high).await?;
        let expected = Watermarks { low: 0, high: i64::try_from(high)? };
        assert_eq!(admin.watermarks(&clima).await?, expected);
    }
    let missing = admin.watermarks(&TopicPartition::new("clima", 9)).await;
    assert!(matches!(missing, Err(BrokerError::Ask { .. })), "{missing:?}");
    Ok(())
}

async fn without_a_broker_it_ends_in_time(rabbitmq: &RabbitMq, admin: &Admin) -> Result<()> {
    rabbitmq.kill()?;
    let began = Instant::now();
    let (new, clima) = ([topic("new", 1)], TopicPartition::new("clima", 0));
    let fresh = Admin::new(&config(rabbitmq))?;
    let (watermarks, partitions, created) =
        tokio::join!(admin.watermarks(&clima), fresh.partitions("ventas"), admin.create_topics(&new));
    assert!(matches!(watermarks, Err(BrokerError::Ask { .. })), "{watermarks:?}");
    assert!(matches!(partitions, Err(BrokerError::Ask { .. })), "{partitions:?}");
    assert!(matches!(created, Err(BrokerError::Ask { .. } | BrokerError::CreateTopic { .. })), "{created:?}");
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    Ok(())
}
