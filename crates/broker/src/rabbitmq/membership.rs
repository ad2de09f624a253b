//! Who reads which stream.
//!
//! Servers from 3.11 on have single active consumers: of the subscriptions of one name to a stream, one is active. A member
//! subscribes to every stream and is given no record, since it never grants credit; the server's change of the active one
//! is the assignment. The first member of a group has all partitions, the others stand by.
//!
//! Before 3.11 every member gets all partitions. That two read one does no harm: the store compares the position in
//! each step and refuses one of them; who is refused again and again leaves the partition to the other.
//!
//! A member commits nothing: a stored offset is a record of the server's own in the stream, and nobody would read it.

mod everything;
mod single;

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::config::RabbitMqConfig;
use super::dial::Dial;
use super::error::LinkError;
use super::topology::Locator;
use crate::complaints::Complaints;
use crate::error::BrokerError;
use crate::membership::MembershipEvent;

/// The first version whose streams have single active consumers.
const SINGLE_ACTIVE: (u32, u32) = (3, 11);
/// Between two looks for topics and partitions, and while no server answers.
const LOOK: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(300);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// A member of a group of readers. Dropping it leaves the group in the background.
pub struct Membership {
    events: UnboundedReceiver<MembershipEvent>,
    complaints: Complaints,
    leave: watch::Sender<()>,
    task: JoinHandle<()>,
}

/// What the member's task has.
struct Member {
    dial: Dial,
    locator: Locator,
    group: String,
    topics: Vec<String>,
    events: UnboundedSender<MembershipEvent>,
    complaints: Complaints,
}

impl Membership {
    /// Joins the group and follows the assignment of these topics.
    ///
    /// # Errors
    /// A setting cannot be used, or this is not within a runtime. An unreachable server is not an error here.
    pub fn join(config: &RabbitMqConfig, group: &str, topics: &[&str]) -> Result<Self, BrokerError> {
        let dial = Dial::new(config)?;
        let runtime = tokio::runtime::Handle::try_current();
        let runtime = runtime.map_err(|error| BrokerError::Client(error.into()))?;
        let (sender, events) = unbounded_channel();
        let (leave, mut left) = watch::channel(());
        let complaints = Complaints::default();
        let member = Member {
            locator: Locator::new(dial.clone()),
            dial,
            group: group.to_owned(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            events: sender,
            complaints: complaints.clone(),
        };
        let task = runtime.spawn(async move {
            tokio::select! {
                () = member.follow() => {}
                // It is never sent: the sender is dropped.
                _ = left.changed() => {}
            }
        });
        Ok(Self { events, complaints, leave, task })
    }

    /// The next change of assignment.
    pub async fn next(&mut self) -> Option<MembershipEvent> {
        self.events.recv().await
    }

    /// What somebody has to mend, if the client complained in the last seconds.
    pub fn complaint(&self) -> Option<String> {
        self.complaints.recent()
    }

    /// Leaves the group, so that others take over at once.
    pub async fn leave(self) {
        let Self { leave, task, .. } = self;
        drop(leave);
        if task.await.is_err() {
            tracing::warn!("the group's task ended with a panic");
        }
    }
}

impl Member {
    async fn follow(&self) {
        let version = loop {
            match self.locator.connection().await {
                Ok(connection) => break connection.peer().version,
                Err(error) => self.complain(&error),
            }
            tokio::time::sleep(RETRY).await;
        };
        if version >= SINGLE_ACTIVE {
            self.follow_single().await;
        } else {
            tracing::info!(
                ?version,
                "the server has no single active consumer: the store decides who counts"
            );
            self.follow_everything().await;
        }
    }

    fn complain(&self, error: &LinkError) {
        match error.check() {
            Some(check) => self.complaints.tell(&error.to_string(), check),
            None => tracing::debug!(%error, "RabbitMQ cannot be reached"),
        }
    }
}
