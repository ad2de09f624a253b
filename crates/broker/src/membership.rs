use std::any::Any;

use crate::config::{EventLog, LogConfig};
use crate::error::BrokerError;
use crate::partition::TopicPartition;
use crate::{kafka, rabbitmq};

/// A change of assignment.
#[derive(Debug)]
pub enum MembershipEvent {
    /// These partitions are ours from now on.
    Assigned(Vec<TopicPartition>),
    /// These partitions are there, and the group does not say whose they are: every member gets them.
    Shared(Vec<TopicPartition>),
    /// These partitions go to another member once `release` is dropped, or after 5 s.
    Revoked {
        /// Which.
        partitions: Vec<TopicPartition>,
        /// Whether the group lost sight of us, or we of it: then they may have no reader.
        lost: bool,
        /// Drop it when the last work on them is done.
        release: Release,
    },
}

/// Lets revoked partitions go when it is dropped.
#[derive(Debug)]
pub struct Release(#[expect(dead_code, reason = "dropping it is the message")] Box<dyn Any + Send + Sync>);

/// A member of a consumer group. Dropping it leaves the group in the background.
pub enum Membership {
    /// Of Kafka.
    Kafka(kafka::Membership),
    /// Of RabbitMQ.
    RabbitMq(rabbitmq::Membership),
}

impl Release {
    pub(crate) fn new(message: impl Any + Send + Sync) -> Self {
        Self(Box::new(message))
    }
}

impl Membership {
    /// Joins the group and follows the assignment of these topics. A member with an `instance` of its own is known by it
    /// after a restart, where the log has such a thing.
    ///
    /// # Errors
    /// A setting is refused. An unreachable broker is not an error here: the client goes on trying.
    pub fn join(
        log: &LogConfig,
        group: &str,
        instance: Option<&str>,
        topics: &[&str],
    ) -> Result<Self, BrokerError> {
        match log.log {
            EventLog::Kafka => kafka::Membership::join(&log.kafka, group, instance, topics).map(Self::Kafka),
            EventLog::RabbitMq => {
                rabbitmq::Membership::join(&log.rabbitmq, group, topics).map(Self::RabbitMq)
            }
        }
    }

    /// The next change of assignment.
    pub async fn next(&mut self) -> Option<MembershipEvent> {
        match self {
            Self::Kafka(membership) => membership.next().await,
            Self::RabbitMq(membership) => membership.next().await,
        }
    }

    /// What somebody has to mend, if the client complained in the last seconds: a group that we may not join, for instance.
    pub fn complaint(&self) -> Option<String> {
        match self {
            Self::Kafka(membership) => membership.complaint(),
            Self::RabbitMq(membership) => membership.complaint(),
        }
    }

    /// Commits how far we are, for tools that show lag. Nothing is read from it again.
    pub fn commit(&self, positions: &[(TopicPartition, i64)]) {
        match self {
            Self::Kafka(membership) => membership.commit(positions),
            // An offset that is stored there is a record of the server's own in the stream.
            Self::RabbitMq(_) => {}
        }
    }

    /// Leaves the group, so that others take over at once.
    pub async fn leave(self) {
        match self {
            Self::Kafka(membership) => membership.leave().await,
            Self::RabbitMq(membership) => membership.leave().await,
        }
    }
}
