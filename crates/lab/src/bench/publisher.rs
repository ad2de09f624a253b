//! A bare publisher of RabbitMQ: persistent messages over AMQP 0.9.1 into a queue of one kind, as fast as the broker confirms
//! them. All kinds are published to by the same protocol and client, so that the kind is all that differs; the writer itself
//! speaks the stream protocol.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::{
    BasicPublishArguments, Channel, ConfirmSelectArguments, QueueDeclareArguments, QueueDeleteArguments,
};
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::error::Error;
use amqprs::{
    Ack, BasicProperties, Cancel, CloseChannel, FieldTable, FieldValue, LongStr, Nack, Return, ShortStr,
};
use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::part::{ASK_LIMIT, PAYLOADS, payload, tell};

const QUEUE: &str = "bench-queue";
/// Messages on the way at once, so that the broker can confirm many together.
const UNCONFIRMED: u32 = 2_000;
/// Of every broker that is started here.
const GUEST: &str = "guest";

/// A kind of queue, as `x-queue-type` names it.
#[derive(clap::ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Queue {
    /// A log that reading leaves as it is.
    #[default]
    Stream,
    /// On one node.
    Classic,
    /// Replicated by Raft.
    Quorum,
}

impl Queue {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }
}

/// Publishes for so long into a queue that is made for it, and says what was confirmed.
pub(super) async fn publish(broker: SocketAddr, queue: Queue, lasts: Duration, products: u64) -> Result<()> {
    let arguments = OpenConnectionArguments::new(&broker.ip().to_string(), broker.port(), GUEST, GUEST);
    let connection = Connection::open(&arguments).await.with_context(|| format!("connect to {broker}"))?;
    let channel = connection.open_channel(None).await.context("open a channel")?;
    let confirmed = Confirmed::default();
    channel.register_callback(confirmed.clone()).await.context("listen for confirms")?;
    channel.confirm_select(ConfirmSelectArguments::default()).await.context("ask for confirms")?;
    make(&channel, queue).await?;

    let payloads: Vec<_> = (0..PAYLOADS).map(|at| payload(at, products)).collect::<Result<_>>()?;
    let properties = BasicProperties::default().with_persistence(true).finish();
    let began = Instant::now();
    // The broker numbers what is published on a channel from 1 on.
    let mut sent = 0_u64;
    while began.elapsed() < lasts {
        let body = payloads[usize::try_from(sent)? % payloads.len()].clone();
        sent += 1;
        confirmed.wait_for_room(sent).await?;
        let to = BasicPublishArguments::new("", QUEUE);
        channel.basic_publish(properties.clone(), body, to).await.context("publish")?;
    }
    confirmed.wait_for_all().await?;
    let took = began.elapsed();
    let refused = confirmed.0.refused.load(Ordering::Relaxed);
    ensure!(refused == 0, "{refused} of {sent} messages were refused");
    channel.queue_delete(QueueDeleteArguments::new(QUEUE)).await.context("delete the queue")?;
    tell(sent, 0, took)?;
    channel.close().await.context("close the channel")?;
    connection.close().await.context("close the connection")
}

/// An empty queue, in place of one that an earlier run may have left.
async fn make(channel: &Channel, queue: Queue) -> Result<()> {
    channel.queue_delete(QueueDeleteArguments::new(QUEUE)).await.context("delete the queue")?;
    let mut table = FieldTable::new();
    let (name, kind): (ShortStr, LongStr) = ("x-queue-type".try_into()?, queue.name().try_into()?);
    table.insert(name, FieldValue::S(kind));
    let declared = QueueDeclareArguments::durable_client_named(QUEUE).arguments(table).finish();
    channel.queue_declare(declared).await.with_context(|| format!("make a {} queue", queue.name()))?;
    Ok(())
}

/// What the broker has confirmed.
#[derive(Clone)]
struct Confirmed(Arc<Shared>);

struct Shared {
    /// A permit for each message that may still be sent.
    room: Arc<Semaphore>,
    /// Numbers of the messages on the way.
    under_way: Mutex<BTreeSet<u64>>,
    refused: AtomicU64,
}

impl Default for Confirmed {
    fn default() -> Self {
        let room = Arc::new(Semaphore::new(UNCONFIRMED as usize));
        Self(Arc::new(Shared { room, under_way: Mutex::default(), refused: AtomicU64::new(0) }))
    }
}

impl Confirmed {
    /// Waits until one more may be on the way, and takes its number down.
    async fn wait_for_room(&self, number: u64) -> Result<()> {
        self.permits(1).await?.forget();
        self.under_way().insert(number);
        Ok(())
    }

    async fn wait_for_all(&self) -> Result<()> {
        self.permits(UNCONFIRMED).await.map(drop)
    }

    async fn permits(&self, count: u32) -> Result<OwnedSemaphorePermit> {
        let waiting = Arc::clone(&self.0.room).acquire_many_owned(count);
        let permits = timeout(ASK_LIMIT, waiting).await.context("the broker confirms nothing for 10 s")?;
        permits.context("nobody closes it")
    }

    /// Lets as many be sent as these were: one, or all up to it.
    fn settle(&self, number: u64, and_all_before: bool) -> u64 {
        let mut under_way = self.under_way();
        let settled = if and_all_before {
            let later = under_way.split_off(&(number + 1));
            std::mem::replace(&mut *under_way, later).len()
        } else {
            usize::from(under_way.remove(&number))
        };
        self.0.room.add_permits(settled);
        settled as u64
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ChannelCallback for Confirmed {
    async fn close(&mut self, _: &Channel, close: CloseChannel) -> Result<(), Error> {
        tracing::warn!(%close, "the broker closes the channel");
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), Error> {
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, Error> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        self.settle(ack.delivery_tag(), ack.mutiple());
    }

    async fn publish_nack(&mut self, _: &Channel, nack: Nack) {
        let refused = self.settle(nack.delivery_tag(), nack.multiple());
        self.0.refused.fetch_add(refused, Ordering::Relaxed);
    }

    async fn publish_return(&mut self, _: &Channel, _: Return, _: BasicProperties, _: Vec<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn confirms_make_room_one_by_one_all_up_to_one_and_never_twice() {
        let confirmed = Confirmed::default();
        for number in 1..=10 {
            confirmed.wait_for_room(number).await.expect("room");
        }
        let room = || confirmed.0.room.available_permits();
        assert_eq!(room(), UNCONFIRMED as usize - 10);
        assert_eq!(confirmed.settle(3, false), 1);
        assert_eq!(confirmed.settle(3, false), 0, "it was settled before");
        assert_eq!(confirmed.settle(5, true), 4, "1, 2, 4 and 5");
        assert_eq!(room(), UNCONFIRMED as usize - 5);
        assert_eq!(confirmed.settle(10, true), 5);
        confirmed.wait_for_all().await.expect("all are confirmed");
    }
}
