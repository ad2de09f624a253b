//! What is asked and told about topics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use blackfriday_broker::rabbitmq::{Admin, RabbitMqConfig};
use blackfriday_broker::{BrokerError, TopicPartition, Watermarks};
use blackfriday_stack::RabbitMq;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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

/// As a server answers whose coordinator of streams has not begun.
#[tokio::test]
async fn a_stream_is_made_although_the_server_meets_an_internal_error_at_first() -> Result<()> {
    let rabbitmq = RabbitMq::start().await?;
    let (address, errors) = answering_with_errors(rabbitmq.address(), 2).await?;
    let admin = Admin::new(&RabbitMqConfig::new(address.to_string()))?;
    admin.create_topics(&[topic("ventas", 2)]).await?;
    assert_eq!(errors.load(Ordering::Relaxed), 0, "the server was asked again");
    assert_eq!(admin.partitions("ventas").await?, [ventas(0), ventas(1)]);
    Ok(())
}

/// A way to the server on which the first answers to `Create` say that it met an internal error; how many are left of them.
async fn answering_with_errors(server: String, errors: usize) -> Result<(SocketAddr, Arc<AtomicUsize>)> {
    let (listener, left) = (TcpListener::bind("127.0.0.1:0").await?, Arc::new(AtomicUsize::new(errors)));
    let (address, shared) = (listener.local_addr()?, Arc::clone(&left));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (from_client, to_client) = client.into_split();
            let Ok(server) = TcpStream::connect(&server).await else { return };
            let (from_server, to_server) = server.into_split();
            tokio::spawn(pass(from_client, to_server, None));
            tokio::spawn(pass(from_server, to_client, Some(Arc::clone(&shared))));
        }
    });
    Ok((address, left))
}

/// Passes frames on: the length, the key, the version, and in an answer the number of the question and the code.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    errors: Option<Arc<AtomicUsize>>,
) -> std::io::Result<()> {
    const CREATED: [u8; 2] = 0x800d_u16.to_be_bytes();
    const INTERNAL_ERROR: [u8; 2] = 15_u16.to_be_bytes();
    loop {
        let length = from.read_u32().await?;
        let mut frame = length.to_be_bytes().to_vec();
        frame.resize(4 + length as usize, 0);
        from.read_exact(&mut frame[4..]).await?;
        if let Some(errors) = errors.as_ref().filter(|_| frame[4..].starts_with(&CREATED)) {
            let take = |left: usize| left.checked_sub(1);
            if errors.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                frame[12..14].copy_from_slice(&INTERNAL_ERROR);
            }
        }
        // In one piece: RabbitMQ 3.10 ends a connection whose login comes in two.
        to.write_all(&frame).await?;
    }
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
