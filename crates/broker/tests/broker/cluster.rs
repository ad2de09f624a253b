//! A log of three brokers: an acknowledged record outlives its leader and a lost answer; an unclean election loses it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_broker::TopicSpec;
use blackfriday_broker::kafka::{Admin, KafkaConfig, Producer, ProducerConfig};
use blackfriday_stack::{
    Election, Kafka, KafkaCluster, KafkaClusterOptions, KafkaOptions, eventually, kafka_request,
};

use crate::{log, publish, until_available};

const LIMIT: Duration = Duration::from_secs(60);
const PRODUCE: i16 = 0;

#[tokio::test]
async fn what_is_acknowledged_outlives_its_leader_and_a_lost_answer() -> Result<()> {
    let defaults = KafkaClusterOptions::default();
    let each = KafkaOptions { behind_proxy: true, ..defaults.each };
    let cluster = KafkaCluster::start_with(KafkaClusterOptions { each, ..defaults }).await?;
    let config = KafkaConfig::new(cluster.bootstrap());
    let producer = producer(&config, "ventas", 3).await?;
    publish(&producer, "ventas", 0, 0..10).await?;

    let leader = cluster.leader("ventas", 0).await?.context("a leader")?;
    let proxy = leader.proxy().context("it was asked for")?;
    proxy.cut_answers_to(1, kafka_request(PRODUCE));
    publish(&producer, "ventas", 0, 10..20).await?;
    ensure!(proxy.answers_cut() == 1, "the client learned it at the first try");

    leader.kill()?;
    publish(&producer, "ventas", 0, 20..30).await?;
    let next = cluster.leader("ventas", 0).await?.context("another leader")?;
    ensure!(next.id() != leader.id(), "it was killed");
    leader.restart().await?;
    eventually(LIMIT, async || all_have_it(&cluster, "ventas").await).await.context("it catches up")?;
    next.elect("ventas", 0, Election::Preferred).await?;
    let leads = async || {
        let leading = cluster.leader("ventas", 0).await;
        leading.is_ok_and(|leading| leading.is_some_and(|leading| leading.id() == leader.id()))
    };
    eventually(LIMIT, leads).await.context("it leads again")?;
    ensure!(log::ids_at(&config, "ventas", 0).await?.into_iter().eq(0..30));
    an_unclean_election_loses_the_tail(&cluster, &config).await
}

/// Of two that keep it, the leader goes on alone and dies; the other one comes back without it.
async fn an_unclean_election_loses_the_tail(cluster: &KafkaCluster, config: &KafkaConfig) -> Result<()> {
    let producer = producer(config, "clima", 2).await?;
    log::alter(&cluster.nodes()[0], "clima", "min.insync.replicas", "1").await?;
    publish(&producer, "clima", 0, 0..10).await?;
    let state = cluster.partitions("clima").await?.remove(0);
    let node = |id| cluster.nodes().iter().find(|node| node.id() == id).context("one of the nodes");
    let leader = node(state.leader.context("a leader")?)?;
    let follower = node(*state.replicas.iter().find(|id| **id != leader.id()).context("two copies")?)?;
    follower.kill()?;
    publish(&producer, "clima", 0, 10..20).await?;
    leader.kill()?;
    follower.restart().await?;
    eventually(LIMIT, async || has_no_leader(follower).await).await.context("it lacks something")?;
    follower.elect("clima", 0, Election::Preferred).await.expect_err("it is not in sync");
    follower.elect("clima", 0, Election::Unclean).await?;
    leader.restart().await?;
    ensure!(log::ids_at(config, "clima", 0).await?.into_iter().eq(0..10), "the tail is lost");
    Ok(())
}

async fn producer(config: &KafkaConfig, topic: &str, replication: i32) -> Result<Producer> {
    let spec = TopicSpec { name: topic.to_owned(), partitions: 1, replication, ..TopicSpec::default() };
    Admin::new(config)?.create_topics(&[spec]).await?;
    let producer = Producer::new(config, &ProducerConfig::default(), topic)?;
    until_available(&producer, true).await?;
    Ok(producer)
}

async fn all_have_it(cluster: &KafkaCluster, topic: &str) -> bool {
    let partitions = cluster.partitions(topic).await.unwrap_or_default();
    !partitions.is_empty() && partitions.iter().all(|state| state.in_sync.len() == state.replicas.len())
}

async fn has_no_leader(node: &Kafka) -> bool {
    node.partitions("clima")
        .await
        .is_ok_and(|partitions| partitions.iter().all(|state| state.leader.is_none()))
}
