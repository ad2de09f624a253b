//! The command measures, and what it says is whole.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use blackfriday_lab::program;
use serde_json::Value;

/// Runs `blackfriday bench`; its result, or everything that it said.
async fn bench(arguments: &[&str]) -> Result<Value> {
    let mut command = tokio::process::Command::new(program("blackfriday")?);
    let short = ["--json", "--rounds", "1", "--duration", "1s", "--warm-up", "100ms"];
    command.arg("bench").args(short).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.context("run blackfriday")?;
    let err = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {err}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("no result:\n{err}"))
}

/// What processes used for a sale of this subject, in CPU microseconds.
fn used(told: &Value, subject: &str, process: &str) -> f64 {
    told["subjects"][subject]["median"]["cpu_us_per_sale"][process].as_f64().unwrap_or_default()
}

#[tokio::test]
async fn each_subject_of_kafka_is_measured_with_the_processes_that_work_for_it() -> Result<()> {
    let told = bench(&["--partitions", "2", "--products", "50", "--batch", "100"]).await?;
    let subjects = told["subjects"].as_object().context("subjects")?;
    // All but the peer.
    ensure!(subjects.len() == 10, "{told:#}");
    for (name, subject) in subjects {
        ensure!(subject["median"]["sales_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{name}: {told:#}");
    }
    for (subject, process) in [
        ("bare handler", "handler"),
        ("bare producer", "part"),
        ("gateway, relay, writers", "relay"),
        ("gateway, writers", "writer"),
        ("gateway", "gateway to log"),
        ("gateway", "log"),
        ("gateway; batches", "consumer"),
        ("consumer, from nothing", "store"),
    ] {
        ensure!(used(&told, subject, process) > 0.0, "{process} for {subject}: {told:#}");
    }
    let idle = used(&told, "gateway", "relay");
    ensure!(idle < used(&told, "gateway, relay, writers", "relay") / 2.0, "the relay rests: {told:#}");
    Ok(())
}

#[tokio::test]
async fn rabbitmq_and_redis_are_measured_and_a_peer_is_told_where_to_listen() -> Result<()> {
    let told =
        bench(&["--log", "rabbitmq", "--store", "redis", "--only", "log", "--only", "log-batch"]).await?;
    ensure!(
        told["log"] == "rabbitmq" && told["subjects"].as_object().is_some_and(|all| all.len() == 2),
        "{told:#}"
    );
    // The bare handler is as good a peer as any.
    let me = program("blackfriday")?;
    let peer = format!("exec '{}' bench-part handler 127.0.0.1:$PORT", me.display());
    let told = bench(&["--only", "peer", "--peer", &peer]).await?;
    ensure!(used(&told, "peer", "peer") > 0.0, "{told:#}");
    Ok(())
}
