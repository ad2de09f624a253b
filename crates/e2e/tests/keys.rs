//! Idempotency keys from end to end: what counts once, and what is in conflict.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_e2e::{Pipeline, Service, post_with};
use blackfriday_stack::eventually;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
const SALE: &str = r#"{"categoria":"Ropa","producto_id":"P-1","precio":10.5,"cantidad_vendida":1}"#;
/// The same with seven units.
const OTHER: &str = r#"{"categoria":"Ropa","producto_id":"P-1","precio":10.5,"cantidad_vendida":7}"#;
/// What receipts have for the two: the first bytes of the SHA-256 of their fields.
const SALE_CONTENT: &str = "b2a84285ce33e4ae";
const OTHER_CONTENT: &str = "a89922f5288d7ad6";

/// Sends a sale under a key; its identity.
async fn sell(pipeline: &Pipeline, sale: &str, key: &str) -> Result<String> {
    let gateway = pipeline.address(Service::Gateway);
    let answer = post_with(gateway, "/venta", sale.to_owned(), &[("idempotency-key", key)]).await?;
    ensure!(answer.status == 202, "{answer:?}");
    Ok(answer.json["id"].as_str().context("an identity")?.to_owned())
}

async fn dead_letters(pipeline: &Pipeline) -> Result<Vec<Value>> {
    let listed = pipeline.run("dead-letters", &["list"]).await?;
    listed.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Two sales under one key: the first counts, the second is a dead letter with its reason, and verify names it.
#[tokio::test]
async fn a_key_of_another_sale_is_a_conflict_that_everybody_names() -> Result<()> {
    let pipeline = Pipeline::start(&[]).await?;
    let first = sell(&pipeline, SALE, "cart-1").await?;
    let repeated = sell(&pipeline, SALE, "cart-1").await?;
    let second = sell(&pipeline, OTHER, "cart-1").await?;
    ensure!(first == second && first == repeated, "one key has one identity");

    let buried = async || dead_letters(&pipeline).await.is_ok_and(|letters| letters.len() == 1);
    eventually(LIMIT, buried).await.context("the second sale is a dead letter")?;
    let letter = dead_letters(&pipeline).await?.remove(0);
    ensure!(letter["sale"]["cantidad_vendida"] == 7, "{letter}");
    ensure!(letter["reason"].as_str().is_some_and(|reason| reason.contains("key")), "{letter}");

    // The client of the second was told that it counts.
    let told = format!("+ {first} {SALE_CONTENT}\n+ {second} {OTHER_CONTENT}\n");
    let told = pipeline.write_receipts("told", &told)?;
    let error = pipeline.verify_receipts(&[&told], &[]).await.err().context("a sale does not count")?;
    ensure!(
        error
            .to_string()
            .contains(&format!("\"acknowledged_in_conflict\":{{\"count\":1,\"ids\":[\"{first}\"]}}")),
        "{error}"
    );
    // By itself it is accounted for.
    let told = pipeline.write_receipts("first", &format!("+ {first} {SALE_CONTENT}\n"))?;
    let proof = pipeline.verify_receipts(&[&told], &[]).await?;
    ensure!(
        proof["conflicts"]["count"] == 1 && proof["counted"] == 1 && proof["repeated_under_a_key"] == 1,
        "{proof}"
    );
    Ok(())
}

/// Partitions are added during a sale: keys that were counted are not counted once more.
#[tokio::test]
async fn more_partitions_count_no_key_twice() -> Result<()> {
    const KEYS: usize = 40;
    let pipeline = Pipeline::start(&[]).await?;
    for number in 0..KEYS {
        sell(&pipeline, SALE, &format!("grow-{number}")).await?;
    }
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", pipeline.kafka.bootstrap()).create()?;
    let grown = admin.create_partitions(&[NewPartitions::new("ventas", 9)], &AdminOptions::new()).await?;
    ensure!(grown.iter().all(Result::is_ok), "{grown:?}");
    // Writers learn of partitions by and by: unkeyed sales reach the new ones when they have.
    let load = pipeline.load("load", &["--rate", "50", "--duration", "15s"])?;
    let mut receipts = String::new();
    for number in 0..KEYS {
        let id = sell(&pipeline, SALE, &format!("grow-{number}")).await?;
        receipts.push_str(&format!("+ {id} {SALE_CONTENT}\n"));
    }
    load.finish(LIMIT).await?;
    for number in 0..KEYS {
        sell(&pipeline, SALE, &format!("grow-{number}")).await?;
    }
    let receipts = pipeline.write_receipts("keys", &receipts)?;
    let all: [&Path; 2] = [&load.receipts, &receipts];
    let proof = pipeline.verify_receipts(&all, &["--only-these"]).await?;
    ensure!(proof["repeated_under_a_key"] == 2 * KEYS && proof["doubled"]["count"] == 0, "{proof}");
    ensure!(proof["counted"] == proof["in_broker"], "{proof}");
    Ok(())
}
