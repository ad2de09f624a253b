//! What is asked about streams, and making them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::codes::{Code, Key};
use super::config::RabbitMqConfig;
use super::dial::Dial;
use super::error::LinkError;
use super::readers::Readers;
use super::streams;
use super::topology::{Locator, Place};
use super::watermarks::watermarks;
use super::wire::Put;
use crate::admin::TopicSpec;
use crate::error::BrokerError;
use crate::partition::TopicPartition;
use crate::record::Watermarks;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Between two tries to make a stream.
const PAUSE: Duration = Duration::from_millis(250);
/// A segment at the least and at the most: retention lets go of whole ones. The most is RabbitMQ's default.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 100_000..=500_000_000;
/// Segments that a limit of bytes is made of.
const SEGMENTS: u64 = 4;

/// Asks RabbitMQ about topics, and makes them.
pub struct Admin {
    locator: Locator,
    readers: Readers,
}

impl Admin {
    /// Makes a client; it connects when it is used.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn new(config: &RabbitMqConfig) -> Result<Self, BrokerError> {
        let dial = Dial::new(config)?;
        Ok(Self { locator: Locator::new(dial.clone()), readers: Readers::new(dial, None) })
    }

    /// Makes the streams of topics that do not exist yet; a topic that has fewer partitions gets the rest.
    ///
    /// # Errors
    /// No server answers within 10 s, or it refuses one.
    pub async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), BrokerError> {
        self.create_topics_with(topics, &[]).await
    }

    /// As [`Admin::create_topics`], with more arguments of streams, under RabbitMQ's own names; they win over ours.
    ///
    /// # Errors
    /// As there.
    pub async fn create_topics_with(
        &self,
        topics: &[TopicSpec],
        settings: &[(&str, &str)],
    ) -> Result<(), BrokerError> {
        for spec in topics {
            let refused = |reason: String| BrokerError::CreateTopic { topic: spec.name.clone(), reason };
            if !(1..=streams::MOST).contains(&spec.partitions) {
                let most = streams::MOST;
                return Err(refused(format!("{} partitions; it may have 1 to {most}", spec.partitions)));
            }
            let arguments = arguments(spec, settings);
            for partition in 0..spec.partitions {
                let stream = streams::name_of(&spec.name, partition);
                match self.create(&stream, &arguments).await {
                    Ok(()) | Err(LinkError::Refused { code: Code::STREAM_EXISTS, .. }) => {}
                    Err(error @ LinkError::Refused { .. }) => return Err(refused(error.to_string())),
                    Err(error) => return Err(asking("new topics", error)),
                }
            }
        }
        Ok(())
    }

    /// Makes a stream. A server that has just started has nobody yet who coordinates its streams, and tells of an internal error
    /// until it has; one that made the stream nevertheless says then that it exists.
    async fn create(&self, stream: &str, arguments: &[(String, String)]) -> Result<(), LinkError> {
        let began = Instant::now();
        loop {
            match self.try_create(stream, arguments).await {
                Err(LinkError::Refused { code: Code::INTERNAL_ERROR, .. }) if began.elapsed() < TIMEOUT => {
                    sleep(PAUSE).await;
                }
                created => return created,
            }
        }
    }

    async fn try_create(&self, stream: &str, arguments: &[(String, String)]) -> Result<(), LinkError> {
        let connection = self.locator.connection().await?;
        let pairs: Vec<_> = arguments.iter().map(|(name, value)| (&**name, &**value)).collect();
        let asked = connection.ask(Key::Create, |body| {
            body.put_string(stream);
            body.put_map(&pairs);
        });
        asked.done(TIMEOUT, || format!("making {stream}")).await
    }

    /// Deletes a topic's streams, with all that they hold.
    ///
    /// # Errors
    /// No server answers within 10 s, or it refuses one.
    pub async fn delete_topic(&self, topic: &str) -> Result<(), BrokerError> {
        let failed = |error| asking("the end of a topic", error);
        for partition in self.partitions(topic).await? {
            let stream = streams::of(&partition);
            let connection = self.locator.connection().await.map_err(failed)?;
            let asked = connection.ask(Key::Delete, |body| body.put_string(&stream));
            asked.done(TIMEOUT, || format!("deleting {stream}")).await.map_err(failed)?;
        }
        Ok(())
    }

    /// The partitions of a topic.
    ///
    /// # Errors
    /// No server answers within 10 s, or there is no such topic.
    pub async fn partitions(&self, topic: &str) -> Result<Vec<TopicPartition>, BrokerError> {
        self.partitions_within(topic, TIMEOUT).await
    }

    /// As [`Admin::partitions`], with another limit.
    ///
    /// # Errors
    /// As there.
    pub async fn partitions_within(
        &self,
        topic: &str,
        limit: Duration,
    ) -> Result<Vec<TopicPartition>, BrokerError> {
        let found = self.locator.partitions(topic, limit).await;
        let found = found.map_err(|error| asking("a topic's partitions", error))?;
        if found.is_empty() {
            return Err(BrokerError::NoTopic(topic.to_owned()));
        }
        Ok(found.into_keys().map(|id| TopicPartition::new(topic, id)).collect())
    }

    /// The offsets that a partition holds, up to what is on as many servers as it must be.
    ///
    /// # Errors
    /// No server answers within 10 s.
    pub async fn watermarks(&self, partition: &TopicPartition) -> Result<Watermarks, BrokerError> {
        self.watermarks_within(partition, TIMEOUT).await
    }

    /// As [`Admin::watermarks`], with another limit.
    ///
    /// # Errors
    /// As there.
    pub async fn watermarks_within(
        &self,
        partition: &TopicPartition,
        limit: Duration,
    ) -> Result<Watermarks, BrokerError> {
        let asked = tokio::time::timeout(limit, self.ask_watermarks(partition, limit)).await;
        let slow = |_| LinkError::NoAnswer { address: self.locator.dial.servers.join(","), after: limit };
        asked.map_err(slow).flatten().map_err(|error| asking("a partition's offsets", error))
    }

    async fn ask_watermarks(
        &self,
        partition: &TopicPartition,
        limit: Duration,
    ) -> Result<Watermarks, LinkError> {
        let stream = streams::of(partition);
        let what = || format!("reading {stream}");
        match self.locator.place(&stream, limit).await? {
            Place::Led(address) => watermarks(&self.readers, &address, &stream, limit).await,
            Place::Leaderless(code) => Err(LinkError::Refused { what: what(), code }),
            Place::Missing => Err(LinkError::Refused { what: what(), code: Code::NO_STREAM }),
        }
    }
}

fn asking(what: &'static str, error: LinkError) -> BrokerError {
    BrokerError::Ask { what, source: error.into() }
}

/// The arguments of each stream of a topic.
fn arguments(spec: &TopicSpec, settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut arguments = vec![
        ("initial-cluster-size", spec.replication.max(1).to_string()),
        // The default puts every leader on the server that is asked.
        ("queue-leader-locator", "least-leaders".to_owned()),
    ];
    // In whole seconds, at the least as long as asked for.
    let age = |age: Duration| ("max-age", format!("{}s", age.as_millis().div_ceil(1_000)));
    arguments.extend(spec.retention.map(age));
    if let Some(bytes) = spec.retention_bytes {
        let segment = (bytes / SEGMENTS).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end());
        arguments.push(("max-length-bytes", bytes.to_string()));
        arguments.push(("stream-max-segment-size-bytes", segment.to_string()));
    }
    arguments.retain(|(ours, _)| settings.iter().all(|(given, _)| given != ours));
    arguments.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
    arguments.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
