//! Membership of a consumer group, for assignment only: who reads which partition.
//!
//! The member never reads. Its partitions are paused as soon as they are assigned; records come through a
//! [`super::Subscription`], from the offset that the store names.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::config::KafkaConfig;
use super::lifeline::Lifeline;
use super::reports::hear;
use crate::complaints::Complaints;
use crate::error::BrokerError;
use crate::membership::{MembershipEvent, Release};
use crate::partition::TopicPartition;

/// How long the owner of revoked partitions may take to finish with them.
const REVOKE_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);
/// How long a stop may wait for the broker.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);
/// What to look at after a fatal error.
const FATAL: &str = "whether another consumer has its --group-instance-id; then start it again";

/// A member of a consumer group. Dropping it leaves the group in the background.
pub struct Membership {
    consumer: Arc<BaseConsumer<Rebalances>>,
    events: UnboundedReceiver<MembershipEvent>,
    stop: Stop,
    thread: JoinHandle<()>,
    complaints: Complaints,
}

/// Ends the polling thread when it is dropped.
struct Stop(Arc<AtomicBool>);

struct Rebalances {
    events: UnboundedSender<MembershipEvent>,
    complaints: Complaints,
}

impl Membership {
    /// Joins the group and follows the assignment of these topics. A member with an `instance` of its own is known by it
    /// after a restart, and gets its partitions back at once (KIP-345).
    ///
    /// # Errors
    /// A setting is refused. An unreachable broker is not an error here: the client goes on trying.
    pub fn join(
        kafka: &KafkaConfig,
        group: &str,
        instance: Option<&str>,
        topics: &[&str],
    ) -> Result<Self, BrokerError> {
        let (sender, events) = unbounded_channel();
        let complaints = Complaints::default();
        let mut config = settings(kafka, group);
        instance.iter().for_each(|instance| {
            config.set("group.instance.id", *instance);
        });
        let rebalances = Rebalances { events: sender, complaints: complaints.clone() };
        let made = BaseConsumer::from_config_and_context(&config, rebalances);
        let consumer: Arc<BaseConsumer<Rebalances>> =
            Arc::new(made.map_err(|error| BrokerError::Client(error.into()))?);
        consumer.subscribe(topics).map_err(|error| BrokerError::Client(error.into()))?;
        let stop = Stop(Arc::new(AtomicBool::new(false)));
        let (polled, stopped) = (Arc::clone(&consumer), Arc::clone(&stop.0));
        let lifeline = Lifeline::new(kafka);
        let topic = topics.first().map(|topic| (*topic).to_owned()).unwrap_or_default();
        let heard = complaints.clone();
        let poll = move || {
            while !stopped.load(Ordering::Relaxed) {
                // Serves the group; a record that came before the pause took effect is not ours to use.
                if let Some(Err(error)) = polled.poll(POLL) {
                    hear(&heard, error.rdkafka_error_code(), &error.to_string());
                }
                // It stays out of the group until it is started again.
                if let Some((code, reason)) = polled.client().fatal_error() {
                    heard.tell(&format!("the group's client ended: {code}: {reason}"), FATAL);
                }
                lifeline.look(polled.client(), &topic);
            }
        };
        let thread = thread::Builder::new().name("kafka-group".to_owned()).spawn(poll);
        Ok(Self { consumer, events, stop, thread: thread.map_err(BrokerError::Thread)?, complaints })
    }

    /// The next change of assignment.
    pub async fn next(&mut self) -> Option<MembershipEvent> {
        self.events.recv().await
    }

    /// What somebody has to mend, if the client complained in the last seconds: a group that we may not join, for instance.
    pub fn complaint(&self) -> Option<String> {
        self.complaints.recent()
    }

    /// Commits how far we are, for tools that show lag. Nothing is read from it again.
    pub fn commit(&self, positions: &[(TopicPartition, i64)]) {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (partition, offset) in positions {
            if let Err(error) =
                list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(*offset))
            {
                tracing::debug!(%error, %partition, "a position is not one that Kafka can hold");
            }
        }
        if let Err(error) = self.consumer.commit(&list, CommitMode::Async) {
            tracing::debug!(%error, "the positions were not committed to the broker");
        }
    }

    /// Leaves the group, so that others take over at once; within 5 s, after which the broker finds out by itself.
    pub async fn leave(self) {
        let Self { consumer, events, stop, thread, .. } = self;
        drop((events, stop));
        let (tell, told) = oneshot::channel();
        // Not one of the runtime's threads, which it waits for when the process ends: a client whose broker is silent may take
        // a minute to close.
        let leaving = thread::Builder::new().name("kafka-leave".to_owned()).spawn(move || {
            let ended = thread.join();
            // The last reference closes the client, which leaves the group.
            drop(consumer);
            tell.send(ended.is_ok()).ok();
        });
        if let Err(error) = leaving {
            tracing::warn!(%error, "no thread to leave the group in");
            return;
        }
        match timeout(LEAVE_LIMIT, told).await {
            Ok(Ok(true)) => {}
            Ok(_) => tracing::warn!("the group's thread ended with a panic"),
            Err(_) => tracing::warn!(
                "the broker did not let go in time: it gives our partitions away after the session"
            ),
        }
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl ClientContext for Rebalances {
    fn error(&self, error: KafkaError, reason: &str) {
        hear(&self.complaints, error.rdkafka_error_code(), reason);
    }
}

impl ConsumerContext for Rebalances {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let (release, released) = channel::<()>();
            let (partitions, lost) = (partitions(list), consumer.assignment_lost());
            let event = MembershipEvent::Revoked { partitions, lost, release: Release::new(release) };
            // While we leave the receiver is gone: then the event, and with it the release, is dropped here.
            drop(self.events.send(event));
            released.recv_timeout(REVOKE_LIMIT).ok();
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                if let Err(error) = consumer.pause(list) {
                    tracing::warn!(%error, "assigned partitions were not paused");
                }
                self.complaints.passed();
                drop(self.events.send(MembershipEvent::Assigned(partitions(list))));
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::warn!(%error, "a rebalance failed"),
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|element| TopicPartition::new(element.topic(), element.partition())).collect()
}

fn settings(kafka: &KafkaConfig, group: &str) -> rdkafka::ClientConfig {
    let mut config = kafka.client();
    config
        .set("group.id", group)
        // Partitions move one by one, the others go on (KIP-429). Not KIP-848's protocol: there the broker alone says
        // after how long a dead member is given up, 45 s by default.
        .set("partition.assignment.strategy", "cooperative-sticky")
        // A dead member is noticed in 6 s, the least that a broker allows by default.
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "1500")
        // A topic that is made after the member came, or gets more partitions, is seen at the next look, by default every
        // five minutes: sales of a new deployment would not be counted until then.
        .set("topic.metadata.refresh.interval.ms", "5000")
        // Positions are kept in the store.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // The member does not read: what it might fetch before the pause is kept small.
        .set("auto.offset.reset", "latest")
        .set("queued.min.messages", "1")
        .set("queued.max.messages.kbytes", "1024")
        .set("fetch.message.max.bytes", "65536");
    config
}
