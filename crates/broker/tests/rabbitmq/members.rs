//! Members of a group, and what is theirs.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use blackfriday_broker::rabbitmq::Membership;
use blackfriday_broker::{MembershipEvent, TopicPartition};
use blackfriday_stack::RabbitMq;
use tokio::time::timeout;

use crate::{LIMIT, config, create_topic, topic};

/// Before RabbitMQ 3.11 each member gets all of them; the store decides.
#[tokio::test]
async fn a_member_is_told_what_there_is_and_what_comes_later() -> Result<()> {
    let rabbitmq = RabbitMq::start().await?;
    let mut early = Membership::join(&config(&rabbitmq), "counters", &["ventas", "clima"])?;
    match timeout(LIMIT, early.next()).await.context("it is in")? {
        Some(MembershipEvent::Shared(partitions)) if partitions.is_empty() => {}
        other => bail!("{other:?} instead of nothing"),
    }
    let admin = create_topic(&rabbitmq, "ventas", 2).await?;
    until_owned(&mut early, 2).await?;
    admin.create_topics(&[topic("clima", 1)]).await?;
    let owned = until_owned(&mut early, 1).await?;
    assert_eq!(owned, [TopicPartition::new("clima", 0)].into());
    early.leave().await;
    let mut next = Membership::join(&config(&rabbitmq), "counters", &["ventas", "clima"])?;
    until_owned(&mut next, 3).await?;
    admin.delete_topic("clima").await?;
    match timeout(LIMIT, next.next()).await.context("it is gone")? {
        Some(MembershipEvent::Revoked { partitions, .. }) => {
            assert_eq!(partitions, [TopicPartition::new("clima", 0)]);
        }
        other => bail!("{other:?} instead of a loss"),
    }
    Ok(())
}

/// Takes assignments until there are so many.
async fn until_owned(membership: &mut Membership, count: usize) -> Result<BTreeSet<TopicPartition>> {
    let mut owned = BTreeSet::new();
    while owned.len() < count {
        match timeout(LIMIT, membership.next()).await.with_context(|| format!("{owned:?} of {count}"))? {
            Some(MembershipEvent::Shared(partitions)) => owned.extend(partitions),
            other => bail!("{other:?} instead of an assignment"),
        }
    }
    Ok(owned)
}
