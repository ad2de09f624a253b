//! Members of a group: who has which partition, and when it moves.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use blackfriday_broker::kafka::{KafkaConfig, Membership};
use blackfriday_broker::{MembershipEvent, Release, TopicPartition};
use blackfriday_stack::{Kafka, Process, eventually};
use tokio::time::timeout;

use crate::{LIMIT, config, create_topic, log, pause};

const GROUP: &str = "counters";
const TOPICS: [&str; 2] = ["ventas", "clima"];
/// After which a member that is dead is given up, and how long one may hold what is revoked.
const SESSION: Duration = Duration::from_secs(6);
const REVOKE_LIMIT: Duration = Duration::from_secs(5);
const LEAVE_LIMIT: Duration = Duration::from_secs(5);
/// Tells the child process where the broker is.
const BROKERS: &str = "BLACKFRIDAY_TEST_KAFKA_BROKERS";

/// A member and what is its own.
struct Member {
    membership: Membership,
    owned: BTreeSet<TopicPartition>,
}

#[tokio::test]
async fn partitions_move_one_by_one_between_members_that_join_and_leave() -> Result<()> {
    let kafka = with_topics().await?;
    let mut one = Member::join(&config(&kafka))?;
    one.until_owned(6).await?;
    let all = one.owned.clone();
    assert_eq!(all.iter().filter(|partition| &*partition.topic == "ventas").count(), 4);

    let mut other = Member::join(&config(&kafka))?;
    let (revoked, release) = one.revoked().await?;
    assert_eq!(revoked.len(), 3, "half moves, the rest stays: {revoked:?}");
    let early = timeout(Duration::from_secs(1), other.until_owned(1)).await;
    assert!(early.is_err(), "{:?} although work on it is not done", other.owned);
    drop(release);
    other.until_owned(3).await?;
    assert_eq!(other.owned, revoked);
    assert_eq!(&one.owned | &other.owned, all);

    let told: Vec<_> = all.iter().cloned().zip(40..).collect();
    one.commit(&told);
    other.commit(&told);
    let partitions: Vec<_> = all.iter().cloned().collect();
    let expected: Vec<_> = (40..46).map(Some).collect();
    let is_seen = async |expected: &[Option<i64>]| {
        log::committed(&kafka, GROUP, &partitions).await.is_ok_and(|found| found == expected)
    };
    eventually(LIMIT, async || is_seen(&expected).await)
        .await
        .context("positions for tools that show lag")?;

    let began = Instant::now();
    let last: Vec<_> = other.owned.iter().map(|partition| (partition.clone(), 90)).collect();
    other.membership.commit(&last);
    other.membership.leave().await;
    one.until_owned(6).await.context("nothing else is revoked meanwhile")?;
    assert!(began.elapsed() < SESSION, "at once: {:?}", began.elapsed());
    let moved = |(partition, offset): &(_, _)| Some(if revoked.contains(partition) { 90 } else { *offset });
    let expected: Vec<_> = told.iter().map(moved).collect();
    eventually(LIMIT, async || is_seen(&expected).await).await.context("what was told before leaving")?;

    let mut next = Member::join(&config(&kafka))?;
    drop(one.revoked().await?);
    next.until_owned(3).await?;
    // As when the task is aborted.
    drop(one);
    next.until_owned(6).await.context("one that is dropped leaves, too")
}

/// A service stops in time, whatever its broker does: the client itself would wait for a minute.
#[tokio::test]
async fn a_member_leaves_in_time_although_the_broker_hangs() -> Result<()> {
    let kafka = with_topics().await?;
    let mut one = Member::join(&config(&kafka))?;
    one.until_owned(6).await?;
    pause(&kafka).await?;
    let told: Vec<_> = one.owned.iter().cloned().zip(40..).collect();
    one.commit(&told);
    let began = Instant::now();
    one.membership.leave().await;
    assert!(began.elapsed() < LEAVE_LIMIT + Duration::from_secs(2), "{:?}", began.elapsed());
    kafka.resume()?;
    Ok(())
}

#[tokio::test]
async fn the_partitions_of_a_member_that_was_killed_are_given_to_the_other() -> Result<()> {
    let kafka = with_topics().await?;
    let mut one = Member::join(&config(&kafka))?;
    one.until_owned(6).await?;
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(env::current_exe()?);
    command.args(["joined::a_member_in_a_process_of_its_own", "--exact", "--ignored", "--nocapture"]);
    command.env(BROKERS, kafka.bootstrap());
    let child = Process::spawn(command, folder.path().join("member.log"))?;

    let (revoked, held) = one.revoked().await.with_context(|| child.log_tail())?;
    let began = Instant::now();
    let has_three = async || child.log_tail().contains("3 partitions are mine");
    eventually(LIMIT, has_three).await.with_context(|| child.log_tail())?;
    let waited = began.elapsed();
    assert!((REVOKE_LIMIT..REVOKE_LIMIT * 2).contains(&waited), "a limit holds for the owner: {waited:?}");
    drop(held);

    let began = Instant::now();
    child.kill();
    one.until_owned(6).await.context("nothing else is revoked meanwhile")?;
    let waited = began.elapsed();
    // Its last sign of life was at most a heartbeat, 1.5 s, ago.
    assert!((SESSION - Duration::from_secs(2)..SESSION * 2).contains(&waited), "{waited:?}");
    assert!(one.owned.is_superset(&revoked));
    Ok(())
}

#[tokio::test]
async fn a_topic_that_is_made_later_is_assigned_too() -> Result<()> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "clima", 2).await?;
    let mut member = Member::join(&config(&kafka))?;
    member.until_owned(2).await?;
    create_topic(&kafka, "ventas", 4).await?;
    member.until_owned(6).await
}

#[tokio::test]
#[ignore = "a member for the test above, which starts it as a process that can be killed"]
async fn a_member_in_a_process_of_its_own() -> Result<()> {
    let brokers =
        env::var(BROKERS).with_context(|| format!("{BROKERS} is set by the test that starts this"))?;
    let mut member = Member::join(&KafkaConfig::new(brokers))?;
    loop {
        member.follow().await?;
        println!("{} partitions are mine", member.owned.len());
    }
}

impl Member {
    fn join(kafka: &KafkaConfig) -> Result<Self> {
        Ok(Self { membership: Membership::join(kafka, GROUP, None, &TOPICS)?, owned: BTreeSet::new() })
    }

    /// The next change; what is revoked is for the caller to release.
    async fn follow(&mut self) -> Result<Option<(BTreeSet<TopicPartition>, Release)>> {
        match self.membership.next().await.context("the group's thread lives")? {
            MembershipEvent::Assigned(partitions) => {
                for partition in partitions {
                    assert!(self.owned.insert(partition.clone()), "{partition} is assigned twice");
                }
                Ok(None)
            }
            MembershipEvent::Revoked { partitions, release, .. } => {
                for partition in &partitions {
                    assert!(self.owned.remove(partition), "{partition} was not ours");
                }
                Ok(Some((partitions.into_iter().collect(), release)))
            }
            MembershipEvent::Shared(partitions) => bail!("{partitions:?} are nobody's"),
        }
    }

    /// Follows until so many are ours, and none is taken away.
    async fn until_owned(&mut self, expected: usize) -> Result<()> {
        while self.owned.len() < expected {
            let change = timeout(LIMIT, self.follow()).await;
            if let Some((revoked, _)) = change.with_context(|| format!("{:?}", self.owned))?? {
                bail!("{revoked:?} are revoked");
            }
        }
        assert_eq!(self.owned.len(), expected);
        Ok(())
    }

    /// Follows until some are revoked.
    async fn revoked(&mut self) -> Result<(BTreeSet<TopicPartition>, Release)> {
        loop {
            let change = timeout(LIMIT, self.follow()).await;
            if let Some(revoked) = change.with_context(|| format!("{:?}", self.owned))?? {
                return Ok(revoked);
            }
        }
    }

    /// Tells the broker the positions of what is ours.
    fn commit(&self, positions: &[(TopicPartition, i64)]) {
        let ours = positions.iter().filter(|(partition, _)| self.owned.contains(partition));
        self.membership.commit(&ours.cloned().collect::<Vec<_>>());
    }
}

async fn with_topics() -> Result<Kafka> {
    let kafka = Kafka::start().await?;
    create_topic(&kafka, "ventas", 4).await?;
    create_topic(&kafka, "clima", 2).await?;
    Ok(kafka)
}
