//! Faults under load, each followed by `verify`: nothing accepted is lost, nothing is counted twice.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_e2e::{Load, Pipeline, Service, get, post};
use blackfriday_stack::eventually;

const SALE: &str = r#"{"categoria":"Ropa","producto_id":"P-1","precio":10.5,"cantidad_vendida":1}"#;
const LIMIT: Duration = Duration::from_secs(60);

/// Sales counted so far, by the dashboard.
async fn counted(pipeline: &Pipeline) -> u64 {
    let answer = get(pipeline.address(Service::Dashboard), "/api/resumen").await;
    answer.ok().and_then(|answer| answer.json["ventas"].as_u64()).unwrap_or(0)
}

/// Waits until more than `than` sales are counted: the load has begun to arrive.
async fn counts_grow(pipeline: &Pipeline, than: u64) -> Result<()> {
    eventually(LIMIT, async || counted(pipeline).await > than).await.context("the count grows")
}

async fn all_is_right(pipeline: &Pipeline, load: Load) -> Result<()> {
    load.finish(LIMIT).await?;
    let table = pipeline.verify(&[&load]).await?;
    ensure!(table["accepted"].as_u64().is_some_and(|accepted| accepted > 0), "nothing was accepted: {table}");
    Ok(())
}

/// A rolling restart: SIGTERM ends each service with exit code 0, and its successor takes over.
#[tokio::test]
async fn sigterm_of_each_service_under_load_loses_nothing() -> Result<()> {
    let mut pipeline = Pipeline::start(&[]).await?;
    let load =
        pipeline.load("load", &["--rate", "400", "--duration", "25s", "--idempotency", "--retries", "5"])?;
    for service in Service::ALL {
        counts_grow(&pipeline, counted(&pipeline).await).await?;
        let status = pipeline.terminate(service).await?;
        ensure!(status.code() == Some(0), "{service:?} ended with {status} after SIGTERM");
        pipeline.spawn(service)?;
        pipeline.wait_ready(service, true).await?;
    }
    all_is_right(&pipeline, load).await
}

#[tokio::test]
async fn sigkill_of_each_service_under_load_loses_nothing() -> Result<()> {
    let mut pipeline = Pipeline::start(&[]).await?;
    let load = pipeline.load("load", &["--rate", "400", "--duration", "25s"])?;
    for service in Service::ALL {
        counts_grow(&pipeline, counted(&pipeline).await).await?;
        pipeline.kill(service)?;
        pipeline.spawn(service)?;
        pipeline.wait_ready(service, true).await?;
    }
    all_is_right(&pipeline, load).await
}

/// Kafka is killed: `503` with `Retry-After` within the deadline, readiness false, recovery by itself.
#[tokio::test]
async fn a_broker_that_is_away_is_told_and_recovered_from() -> Result<()> {
    let pipeline = Pipeline::start(&[]).await?;
    let load = pipeline.load("load", &["--rate", "200", "--duration", "20s"])?;
    counts_grow(&pipeline, 0).await?;

    pipeline.kafka.kill()?;
    pipeline.wait_ready(Service::WriterA, false).await?;
    let gateway = pipeline.address(Service::Gateway);
    refuses(gateway).await?;

    pipeline.kafka.restart().await?;
    for service in [Service::WriterA, Service::WriterB, Service::Consumer] {
        pipeline.wait_ready(service, true).await?;
    }
    let accepted = async || post(gateway, "/venta", SALE).await.is_ok_and(|answer| answer.status == 202);
    eventually(LIMIT, accepted).await.context("202 once the broker is back")?;
    all_is_right(&pipeline, load).await
}

/// Waits for a refusal that says when to come again.
async fn refuses(gateway: SocketAddr) -> Result<()> {
    let refused = async || {
        let answer = post(gateway, "/venta", SALE).await;
        answer.is_ok_and(|answer| answer.status == 503 && answer.retry_after_s.is_some())
    };
    eventually(LIMIT, refused).await.context("503 with Retry-After while the broker is away")
}

/// The gateway writes into Kafka itself: it ends by SIGTERM and by SIGKILL, and Kafka is killed, all under load.
#[tokio::test]
async fn one_hop_loses_nothing_when_either_end_of_it_goes() -> Result<()> {
    let mut pipeline = Pipeline::start_one_hop().await?;
    let load =
        pipeline.load("load", &["--rate", "400", "--duration", "20s", "--idempotency", "--retries", "5"])?;
    counts_grow(&pipeline, 0).await?;
    let status = pipeline.terminate(Service::Gateway).await?;
    ensure!(status.code() == Some(0), "the gateway ended with {status} after SIGTERM");
    pipeline.spawn(Service::Gateway)?;
    pipeline.wait_ready(Service::Gateway, true).await?;

    counts_grow(&pipeline, counted(&pipeline).await).await?;
    pipeline.kafka.kill()?;
    pipeline.wait_ready(Service::Gateway, false).await?;
    let gateway = pipeline.address(Service::Gateway);
    refuses(gateway).await?;
    pipeline.kafka.restart().await?;
    pipeline.wait_ready(Service::Gateway, true).await?;

    counts_grow(&pipeline, counted(&pipeline).await).await?;
    pipeline.kill(Service::Gateway)?;
    pipeline.spawn(Service::Gateway)?;
    pipeline.wait_ready(Service::Gateway, true).await?;
    all_is_right(&pipeline, load).await
}

/// Valkey is killed, then loses everything: sales are accepted all the while, and counting catches up by itself.
#[tokio::test]
async fn a_store_that_is_away_or_empty_is_caught_up_with() -> Result<()> {
    let pipeline = Pipeline::start(&[]).await?;
    let load = pipeline.load("load", &["--rate", "400", "--duration", "20s"])?;
    counts_grow(&pipeline, 0).await?;

    pipeline.valkey.kill()?;
    pipeline.wait_ready(Service::Consumer, false).await?;
    let answer = post(pipeline.address(Service::Gateway), "/venta", SALE).await?;
    ensure!(answer.status == 202, "a sale is accepted without Valkey, not {answer:?}");

    pipeline.valkey.wipe()?;
    pipeline.valkey.restart().await?;
    pipeline.wait_ready(Service::Consumer, true).await?;
    counts_grow(&pipeline, 0).await?;
    all_is_right(&pipeline, load).await
}

/// `FLUSHALL` while nothing is sent: sales and weather are counted again, without waiting for the next one of either.
#[tokio::test]
async fn a_store_that_is_emptied_while_idle_is_counted_again() -> Result<()> {
    let pipeline = Pipeline::start(&[]).await?;
    let gateway = pipeline.address(Service::Gateway);
    let load = pipeline.load("load", &["--sales", "300", "--rate", "300"])?;
    load.finish_undisturbed(LIMIT).await?;
    let mut weather = String::new();
    for country in ["GT", "MX", "SV"] {
        let report = format!(r#"{{"description":"Nubes","country":"{country}","weather":"Nublado"}}"#);
        let answer = post(gateway, "/input", report).await?;
        ensure!(answer.status == 202, "{answer:?}");
        weather.push_str(&format!("w {}\n", answer.json["id"].as_str().context("an identity")?));
    }
    let weather = pipeline.write_receipts("weather", &weather)?;
    let receipts = [load.receipts.as_path(), &weather];
    let before = pipeline.verify_receipts(&receipts, &["--only-these"]).await?;
    ensure!(before["counted"] == before["accepted"] && before["accepted"] == 303, "{before}");

    pipeline.valkey.command(&["FLUSHALL"]).await?;
    let after = pipeline.verify_receipts(&receipts, &["--only-these"]).await?;
    ensure!(after["counted"] == 303, "{after}");
    Ok(())
}

/// `verify` is no rubber stamp: a counter changed by hand is named.
#[tokio::test]
async fn a_counter_changed_by_hand_is_named() -> Result<()> {
    let pipeline = Pipeline::start(&[]).await?;
    let load = pipeline.load("load", &["--sales", "500", "--rate", "500"])?;
    load.finish_undisturbed(LIMIT).await?;
    pipeline.verify(&[&load]).await?;

    pipeline.valkey.command(&["HINCRBY", "reportes:total", "Ropa", "1"]).await?;
    let error = pipeline.verify(&[&load]).await.err().context("verify finds the changed counter")?;
    let output = error.to_string();
    ensure!(output.contains("reportes:total") && output.contains("Ropa"), "the key is named in {output}");
    ensure!(output.contains("exit status: 1"), "exit code 1 in {output}");
    Ok(())
}

/// A load that could not do its work is an error that shows the load's own words, not a proof over nothing.
#[tokio::test]
async fn a_load_that_cannot_reach_the_gateway_is_told() -> Result<()> {
    let mut pipeline = Pipeline::start(&[]).await?;
    pipeline.terminate(Service::Gateway).await?;
    let load = pipeline.load("load", &["--sales", "1"])?;
    let told = load.finish(LIMIT).await.err().context("nobody listens")?.to_string();
    ensure!(told.contains("exit status: 69") && told.contains("cannot be reached"), "{told}");
    Ok(())
}
