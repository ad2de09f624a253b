//! Where the server assigns nothing: every member gets every partition.

use std::collections::BTreeSet;

use super::{ANSWER_LIMIT, LOOK, Member, RETRY};
use crate::membership::{MembershipEvent, Release};
use crate::partition::TopicPartition;
use crate::rabbitmq::error::LinkError;

impl Member {
    /// Tells of what there is, and of what comes and goes later; ends with the receiver.
    pub(super) async fn follow_everything(&self) {
        let mut told: Option<BTreeSet<TopicPartition>> = None;
        loop {
            let pause = match self.look().await {
                Ok(found) => {
                    if self.tell_change(told.as_ref(), &found).is_none() {
                        return;
                    }
                    told = Some(found);
                    LOOK
                }
                Err(error) => {
                    self.complain(&error);
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn look(&self) -> Result<BTreeSet<TopicPartition>, LinkError> {
        let mut all = BTreeSet::new();
        for topic in &self.topics {
            let found = self.locator.partitions(topic, ANSWER_LIMIT).await?;
            all.extend(found.into_keys().map(|id| TopicPartition::new(topic.as_str(), id)));
        }
        Ok(all)
    }

    /// None once the receiver is gone.
    fn tell_change(
        &self,
        told: Option<&BTreeSet<TopicPartition>>,
        found: &BTreeSet<TopicPartition>,
    ) -> Option<()> {
        let none = BTreeSet::new();
        let before = told.unwrap_or(&none);
        let new: Vec<_> = found.difference(before).cloned().collect();
        let gone: Vec<_> = before.difference(found).cloned().collect();
        // The first says that we are in, also without a partition.
        if told.is_none() || !new.is_empty() {
            self.complaints.passed();
            self.events.send(MembershipEvent::Shared(new)).ok()?;
        }
        if !gone.is_empty() {
            let release = Release::new(());
            self.events.send(MembershipEvent::Revoked { partitions: gone, lost: false, release }).ok()?;
        }
        Some(())
    }
}
