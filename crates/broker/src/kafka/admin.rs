//! Questions to Kafka about topics, and making them.
//!
//! librdkafka's calls block, so each runs on a thread for blocking calls, under a limit. Its reports are taken after every
//! answer: they say why there is none, and would pile up otherwise.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::types::RDKafkaErrorCode;

use super::config::KafkaConfig;
use super::lifeline::Lifeline;
use super::reports::Reports;
use crate::admin::{TopicDifference, TopicSpec};
use crate::complaints::Complaints;
use crate::error::{BrokerError, Cause};
use crate::partition::TopicPartition;
use crate::record::Watermarks;

const TIMEOUT: Duration = Duration::from_secs(10);
/// From this many copies on, an acknowledgement means two of them at the least: with Kafka's default it may mean one.
const COPIES_FOR_TWO_IN_SYNC: i32 = 3;
/// Reports of the client that are heard after a question.
const REPORTS: usize = 100;

/// Asks Kafka about topics, and makes them.
pub struct Admin {
    client: Arc<AdminClient<DefaultClientContext>>,
    asked: Arc<Asked>,
}

/// The client that questions go through; its reports say why there is no answer.
struct Asked {
    consumer: BaseConsumer<Reports>,
    complaints: Complaints,
    lifeline: Lifeline,
}

impl Admin {
    /// Makes a client; it connects when it is used.
    ///
    /// # Errors
    /// A setting is refused.
    pub fn new(kafka: &KafkaConfig) -> Result<Self, BrokerError> {
        let client = kafka.client().create::<AdminClient<_>>();
        let client = Arc::new(client.map_err(|error| BrokerError::Client(error.into()))?);
        let complaints = Complaints::default();
        let mut settings = kafka.client();
        // The end of the log is where a reader of committed records gets to.
        settings.set("isolation.level", "read_committed");
        let consumer = BaseConsumer::from_config_and_context(&settings, Reports(complaints.clone()));
        let consumer = consumer.map_err(|error| BrokerError::Client(error.into()))?;
        let asked = Arc::new(Asked { consumer, complaints, lifeline: Lifeline::new(kafka) });
        Ok(Self { client, asked })
    }

    /// Makes the topics that do not exist yet. The log's own clock says when it appended their records, and with three
    /// copies or more two must have a record before it is acknowledged.
    ///
    /// # Errors
    /// The broker does not answer within 10 s, or refuses one.
    pub async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), BrokerError> {
        self.create_topics_with(topics, &[]).await
    }

    /// As [`Admin::create_topics`], with more settings; they win over ours.
    ///
    /// # Errors
    /// As there.
    pub async fn create_topics_with(
        &self,
        topics: &[TopicSpec],
        settings: &[(&str, &str)],
    ) -> Result<(), BrokerError> {
        let ours: Vec<_> = topics.iter().map(settings_of).collect();
        let new: Vec<_> =
            topics.iter().zip(&ours).map(|(topic, ours)| new_topic(topic, ours, settings)).collect();
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        let created = self.client.create_topics(&new, &options).await;
        let results = match created {
            Ok(results) => results,
            Err(error) => return Err(self.failed("new topics", error.into()).await),
        };
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
    /// The broker does not answer within 10 s, or there is no such topic.
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
        let name = topic.to_owned();
        let metadata = self
            .blocking("a topic's partitions", topic, move |client| client.fetch_metadata(Some(&name), limit))
            .await?;
        let mut ids: Vec<_> =
            found(&metadata, topic)?.partitions().iter().map(|partition| partition.id()).collect();
        ids.sort_unstable();
        Ok(ids.into_iter().map(|id| TopicPartition::new(topic, id)).collect())
    }

    /// Where a topic is not what is asked for. Settings that our user may not see are not compared.
    ///
    /// # Errors
    /// The broker does not answer within 10 s, or there is no such topic.
    pub async fn differences(&self, spec: &TopicSpec) -> Result<Vec<TopicDifference>, BrokerError> {
        let name = spec.name.clone();
        let ask = move |client: &Client<_>| client.fetch_metadata(Some(&name), TIMEOUT);
        let metadata = self.blocking("a topic's partitions", &spec.name, ask).await?;
        let partitions = found(&metadata, &spec.name)?.partitions();
        // Partitions may differ in it: the fewest copies are what one can rely on.
        let copies = partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
        let mut differences: Vec<_> = [
            TopicDifference::new("partitions", partitions.len(), spec.partitions),
            TopicDifference::new("copies", copies, spec.replication),
        ]
        .into_iter()
        .flatten()
        .collect();
        let settings = self.settings(&spec.name).await?;
        for (setting, asked) in settings_of(spec) {
            let found = settings.iter().find(|(name, _)| name == setting);
            let found = found.and_then(|(_, value)| TopicDifference::new(setting, for_ever(value), asked));
            differences.extend(found);
        }
        Ok(differences)
    }

    /// The offsets that a partition holds; a transaction that is not ended yet is past its end.
    ///
    /// # Errors
    /// The broker does not answer within 10 s.
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
        let asked = partition.clone();
        let fetch = move |client: &Client<_>| client.fetch_watermarks(&asked.topic, asked.partition, limit);
        let (low, high) = self.blocking("a partition's offsets", &partition.topic, fetch).await?;
        Ok(Watermarks { low, high })
    }

    /// What a topic's setting is; `None` if there is no such setting, or our user may not see it.
    ///
    /// # Errors
    /// The broker does not answer within 10 s.
    pub async fn setting(&self, topic: &str, name: &str) -> Result<Option<String>, BrokerError> {
        let mut settings = self.settings(topic).await?.into_iter();
        Ok(settings.find_map(|(found, value)| (found == name).then_some(value)))
    }

    /// All settings of a topic that our user may see.
    async fn settings(&self, topic: &str) -> Result<Vec<(String, String)>, BrokerError> {
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        let answers = match self.client.describe_configs(&[ResourceSpecifier::Topic(topic)], &options).await {
            Ok(answers) => answers,
            Err(error) => return Err(self.failed("a topic's settings", error.into()).await),
        };
        // A refusal for one topic is an answer: the user may lack the right, and none of ours needs it to work.
        let entries = answers.into_iter().filter_map(Result::ok).flat_map(|resource| resource.entries);
        Ok(entries.filter_map(|entry| Some((entry.name, entry.value?))).collect())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        what: &'static str,
        topic: &str,
        ask: impl FnOnce(&Client<Reports>) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let (asked, topic) = (Arc::clone(&self.asked), topic.to_owned());
        let answered = tokio::task::spawn_blocking(move || {
            let answer = ask(asked.consumer.client());
            if answer.is_err() {
                asked.lifeline.look(asked.consumer.client(), &topic);
            }
            // Nothing else takes the client's reports: they would pile up.
            asked.hear();
            answer
        })
        .await;
        match answered {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(what, error.into()).await),
            Err(error) => Err(BrokerError::Ask { what, source: error.into() }),
        }
    }

    /// The error, with what the client complains about: it alone knows the name that does not resolve.
    async fn failed(&self, what: &'static str, source: Cause) -> BrokerError {
        let asked = Arc::clone(&self.asked);
        let heard = tokio::task::spawn_blocking(move || {
            asked.hear();
            asked.complaints.recent()
        });
        match heard.await {
            Ok(Some(complaint)) => BrokerError::Ask { what, source: format!("{source}: {complaint}").into() },
            _ => BrokerError::Ask { what, source },
        }
    }
}

impl Asked {
    /// Takes the reports that wait.
    fn hear(&self) {
        (0..REPORTS).take_while(|_| self.consumer.poll(Duration::ZERO).is_some()).count();
    }
}

/// The topic in an answer about it.
fn found<'a>(metadata: &'a Metadata, topic: &str) -> Result<&'a MetadataTopic, BrokerError> {
    let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
    let found = found.filter(|found| !found.partitions().is_empty());
    found.ok_or_else(|| BrokerError::NoTopic(topic.to_owned()))
}

/// Kafka has two words for a retention without an end; ours is the other one.
fn for_ever(value: &str) -> &str {
    const LONGEST_MS: &str = "9223372036854775807";
    if value == "-1" { LONGEST_MS } else { value }
}

/// With the log's settings of ours; those that are given win over them.
fn new_topic<'a>(
    spec: &'a TopicSpec,
    ours: &'a [(&'static str, String)],
    given: &[(&'a str, &'a str)],
) -> NewTopic<'a> {
    let new = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(spec.replication));
    let ours = ours.iter().map(|(name, value)| (*name, value.as_str()));
    let ours = ours.filter(|(name, _)| given.iter().all(|(other, _)| other != name));
    ours.chain(given.iter().copied()).fold(new, |new, (name, value)| new.set(name, value))
}

fn settings_of(spec: &TopicSpec) -> Vec<(&'static str, String)> {
    let mut settings = vec![("message.timestamp.type", "LogAppendTime".to_owned())];
    if spec.replication >= COPIES_FOR_TWO_IN_SYNC {
        settings.push(("min.insync.replicas", "2".to_owned()));
    }
    settings.extend(spec.retention.map(|age| ("retention.ms", age.as_millis().to_string())));
    settings.extend(spec.retention_bytes.map(|bytes| ("retention.bytes", bytes.to_string())));
    settings
}
