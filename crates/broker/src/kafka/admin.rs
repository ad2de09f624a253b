use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use super::KafkaConfig;
use super::lifeline::Lifeline;
use crate::{BrokerError, TopicPartition, Watermarks};

const TIMEOUT: Duration = Duration::from_secs(10);

/// A topic to be made.
#[derive(Debug, Clone)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication: i32,
}

/// Asks and tells Kafka about topics.
pub struct Admin {
    client: Arc<AdminClient<DefaultClientContext>>,
    lifeline: Arc<Lifeline>,
}

impl Admin {
    /// Makes a client; it connects when it is used.
    ///
    /// # Errors
    /// A setting is refused.
    pub fn new(kafka: &KafkaConfig) -> Result<Self, BrokerError> {
        let client = kafka.client().create::<AdminClient<_>>();
        let client = Arc::new(client.map_err(|error| BrokerError::Client(error.into()))?);
        Ok(Self { client, lifeline: Arc::new(Lifeline::new(kafka)) })
    }

    /// Makes the topics that do not exist yet.
    ///
    /// # Errors
    /// The broker does not answer within 10 s, or refuses one.
    pub async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), BrokerError> {
        let new = topics.iter().map(|topic| {
            NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(topic.replication))
        });
        let new: Vec<_> = new.collect();
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        let asked = self.client.create_topics(&new, &options).await;
        let results = asked.map_err(|error| BrokerError::Ask { what: "new topics", source: error.into() })?;
        for result in results {
            if let Err((topic, code)) = result
                && code != RDKafkaErrorCode::TopicAlreadyExists
            {
                return Err(BrokerError::CreateTopic { topic, reason: code.to_string() });
            }
        }
        Ok(())
    }

    /// The partitions of a topic.
    ///
    /// # Errors
    /// The broker does not answer, or there is no such topic.
    pub async fn partitions(&self, topic: &str) -> Result<Vec<TopicPartition>, BrokerError> {
        let name = topic.to_owned();
        let metadata = self
            .blocking("a topic's partitions", topic, move |client| {
                client.inner().fetch_metadata(Some(&name), TIMEOUT)
            })
            .await?;
        let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
        let found = found.filter(|found| !found.partitions().is_empty());
        let found = found.ok_or_else(|| BrokerError::NoTopic(topic.to_owned()))?;
        let mut ids: Vec<_> = found.partitions().iter().map(|partition| partition.id()).collect();
        ids.sort_unstable();
        Ok(ids.into_iter().map(|id| TopicPartition::new(topic, id)).collect())
    }

    /// The offsets that a partition holds.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn watermarks(&self, partition: &TopicPartition) -> Result<Watermarks, BrokerError> {
        let asked = partition.clone();
        let fetch = move |client: &AdminClient<_>| {
            client.inner().fetch_watermarks(&asked.topic, asked.partition, TIMEOUT)
        };
        let (low, high) = self.blocking("a partition's offsets", &partition.topic, fetch).await?;
        Ok(Watermarks { low, high })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        what: &'static str,
        topic: &str,
        ask: impl FnOnce(&AdminClient<DefaultClientContext>) -> rdkafka::error::KafkaResult<T> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let (client, lifeline, topic) =
            (Arc::clone(&self.client), Arc::clone(&self.lifeline), topic.to_owned());
        let asked = tokio::task::spawn_blocking(move || {
            let answer = ask(&client);
            if answer.is_err() {
                lifeline.look(client.inner(), &topic);
            }
            answer
        })
        .await;
        match asked {
            Ok(asked) => asked.map_err(|error| BrokerError::Ask { what, source: error.into() }),
            Err(error) => Err(BrokerError::Ask { what, source: error.into() }),
        }
    }
}
