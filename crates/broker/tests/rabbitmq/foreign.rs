//! What others publish, in their way.

use anyhow::{Context, Result, ensure};
use blackfriday_broker::BatchLimits;
use blackfriday_broker::rabbitmq::Subscription;
use blackfriday_stack::RabbitMq;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::log::next_batch;
use crate::{LIMIT, create_topic, producer, publish, ventas};

#[tokio::test]
async fn what_is_no_message_is_a_record_and_ends_nothing() -> Result<()> {
    let rabbitmq = RabbitMq::start().await?;
    create_topic(&rabbitmq, "ventas", 1).await?;
    let producer = producer(&rabbitmq, "ventas").await?;
    let mut subscription = Subscription::open(&crate::config(&rabbitmq), BatchLimits::default(), false)?;
    subscription.start(ventas(0), 0, 1);
    publish(&producer, "ventas", 0, 0..1).await?;
    // JSON as it is, nothing at all, a batch of two, and a batch whose compression nobody knows.
    let two = [&[0x80, 0, 2][..], &[0, 0, 0, 12, 0, 0, 0, 12], b"\0\0\0\x02\x7b\x7d\0\0\0\x02[]"].concat();
    let packed = [&[0xd0, 0, 2][..], &[0, 0, 0, 9, 0, 0, 0, 3], b"abc"].concat();
    let entries = [[&[0, 0, 0, 4][..], b"JSON"].concat(), vec![0; 4], two, packed];
    for entry in entries {
        publish_raw(&rabbitmq, "ventas-0", std::slice::from_ref(&entry))
            .await
            .with_context(|| format!("{entry:?}"))?;
    }
    publish(&producer, "ventas", 0, 1..2).await?;

    let (mut payloads, mut at) = (Vec::new(), 0);
    while at < 8 {
        let batch = next_batch(&mut subscription).await.with_context(|| format!("{payloads:?}"))?;
        assert_eq!(batch.from, at, "without a hole");
        at = batch.to;
        payloads.extend(batch.records.into_iter().map(|record| record.payload));
    }
    let expected: [&[u8]; 8] = [b"0", b"JSON", b"", b"{}", b"[]", b"abc", b"", b"1"];
    assert_eq!(payloads, expected);
    Ok(())
}

/// Publishes entries as they are, as a client does that shares nothing with ours.
async fn publish_raw(rabbitmq: &RabbitMq, stream: &str, entries: &[Vec<u8>]) -> Result<()> {
    let mut socket = TcpStream::connect(rabbitmq.address()).await?;
    let text = |text: &str| {
        [&u16::try_from(text.len()).unwrap_or_default().to_be_bytes()[..], text.as_bytes()].concat()
    };
    ask(&mut socket, 17, &[0; 4]).await?;
    ask(&mut socket, 18, &[]).await?;
    ask(&mut socket, 19, &[text("PLAIN"), vec![0, 0, 0, 12], b"\0guest\0guest".to_vec()].concat()).await?;
    receive(&mut socket, 20).await?;
    send(&mut socket, 20, &[0, 16, 0, 0, 0, 0, 0, 60]).await?;
    ask(&mut socket, 21, &text("/")).await?;
    ask(&mut socket, 1, &[vec![0], text(""), text(stream)].concat()).await?;
    let count = u32::try_from(entries.len())?.to_be_bytes();
    let numbered = (0_u64..).zip(entries).flat_map(|(id, entry)| [id.to_be_bytes().to_vec(), entry.clone()]);
    send(&mut socket, 2, &[vec![0], count.to_vec(), numbered.collect::<Vec<_>>().concat()].concat()).await?;
    timeout(LIMIT, receive(&mut socket, 3)).await.context("it is confirmed")??;
    Ok(())
}

async fn ask(socket: &mut TcpStream, key: u16, body: &[u8]) -> Result<()> {
    send(socket, key, &[&[0, 0, 0, 1][..], body].concat()).await?;
    let answer = receive(socket, key | 0x8000).await.with_context(|| format!("the answer to {key}"))?;
    ensure!(answer.get(4..6) == Some(&[0, 1]), "{key} is refused: {answer:?}");
    Ok(())
}

async fn send(socket: &mut TcpStream, key: u16, body: &[u8]) -> Result<()> {
    let frame = [&key.to_be_bytes()[..], &[0, 1], body].concat();
    // At once: during the login RabbitMQ 3.10 takes a frame that comes in pieces for a wrong one.
    Ok(socket.write_all(&[&u32::try_from(frame.len())?.to_be_bytes()[..], &frame].concat()).await?)
}

/// The next frame, from behind its version on.
async fn receive(socket: &mut TcpStream, key: u16) -> Result<Vec<u8>> {
    let length = socket.read_u32().await?;
    let found = socket.read_u16().await?;
    socket.read_u16().await?;
    let mut body = vec![0; usize::try_from(length)? - 4];
    socket.read_exact(&mut body).await?;
    ensure!(found == key, "{found:#x} instead of {key:#x}");
    Ok(body)
}
