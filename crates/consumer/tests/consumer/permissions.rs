//! A consumer that may not do its work says so, and does it as soon as it may.

use anyhow::{Context as _, Result, ensure};
use blackfriday_stack::{Grant, KafkaOptions, SecureListener, eventually};

use crate::bench::{Bench, LIMIT, start};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_may_not_do_shows_in_readiness_until_it_is_granted() -> Result<()> {
    let users = vec![("consumer".to_owned(), "secret".to_owned())];
    let secure = SecureListener { users, with_acls: true, ..SecureListener::default() };
    let bench = Bench::start_with(KafkaOptions { secure: Some(secure), ..KafkaOptions::default() }).await?;
    bench.publish_sales(30).await?;
    let brokers = bench.kafka.secure_bootstrap().context("a secure listener")?;
    let login = [
        "--kafka-security-protocol",
        "sasl_plaintext",
        "--kafka-username",
        "consumer",
        "--kafka-password",
        "secret",
    ];
    let consumer = start(&brokers, bench.valkey.url(), &login)?;
    eventually(LIMIT, async || consumer.lacks("the event log can be used"))
        .await
        .context("it may not join")?;
    grant(&bench, &["Read Group blackfriday", "Describe Topic ventas", "Read Topic clima"]).await?;
    grant(&bench, &["Write Topic ventas.dlq", "Write Topic clima.dlq"]).await?;
    let lacks = async || consumer.lacks("partitions can be read");
    eventually(LIMIT, lacks).await.context("it may not read the sales")?;
    ensure!(consumer.metric("blackfriday_consumer_unreadable_partitions").is_some_and(|count| count >= 1.0));
    ensure!(bench.counted().await == 0);
    grant(&bench, &["Read Topic ventas"]).await?;
    bench.counts_exactly().await?;
    // What a client complained about is forgotten after half a minute.
    let ready = async || consumer.context.readiness.is_ready();
    eventually(LIMIT * 2, ready)
        .await
        .with_context(|| format!("{:?}", consumer.context.readiness.missing()))?;
    consumer.stop().await
}

async fn grant(bench: &Bench, grants: &[&str]) -> Result<()> {
    let parse = |text: &&str| {
        let mut words = text.split(' ').map(str::to_owned);
        let mut word = || words.next().context("three words");
        Ok(Grant { operation: word()?, resource: word()?, name: word()? })
    };
    let grants = grants.iter().map(parse).collect::<Result<Vec<_>>>()?;
    Ok(bench.kafka.grant("consumer", &grants).await?)
}
