//! The command measures, and what it says is whole.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use blackfriday_lab::program;
use serde_json::Value;

/// Runs `blackfriday bench`; its result, or everything that it said.
async fn bench(arguments: &[&str]) -> Result<Value> {
    run(tokio::process::Command::new(program("blackfriday")?), arguments).await
}

/// The same by a command that becomes `blackfriday`.
async fn run(mut command: tokio::process::Command, arguments: &[&str]) -> Result<Value> {
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
    let knows = r#"case "$TOPIC $KAFKA_BROKERS $VALKEY_URL" in "bench-peer 127.0.0.1:"*" redis://"*/1) ;; *) exit 1 ;; esac"#;
    let peer = format!("{knows}; exec '{}' bench-part handler 127.0.0.1:$PORT", me.display());
    let told = bench(&["--only", "peer", "--peer", &peer]).await?;
    ensure!(used(&told, "peer", "peer") > 0.0, "{told:#}");
    Ok(())
}

#[tokio::test]
async fn below_its_limit_a_way_has_latency_and_freshness_and_each_process_has_memory() -> Result<()> {
    let ways = ["--only", "log", "--only", "backlog"];
    let told = bench(&[&ways[..], &["--open-loop", "--partitions", "2"]].concat()).await?;
    let way = &told["open_loop"]["gateway"];
    let top = way["top_sales_per_s"].as_f64().context("a top rate")?;
    let of = |share: &str, what: &str| {
        let round = &way[share]["rounds"][0];
        ensure!(round[what]["p99"].as_f64() >= round[what]["p50"].as_f64(), "{told:#}");
        let rate = round["sales_per_s"].as_f64().context("a rate")?;
        Ok((rate, round[what]["p50"].as_f64().with_context(|| format!("{what} at {share}: {told:#}"))?))
    };
    let (busy, latency) = of("at_70_percent", "latency_ms")?;
    let (steady, readable) = of("at_50_percent", "freshness_ms")?;
    ensure!(latency > 0.0 && readable > 0.0, "{told:#}");
    ensure!(busy < 0.75 * top && steady < 0.55 * top, "{told:#}");
    ensure!(
        told["open_loop"].as_object().is_some_and(|ways| ways.len() == 1),
        "a backlog has no rate: {told:#}"
    );

    ensure!(told["memory"]["after_backlog"] == true, "{told:#}");
    let processes = told["memory"]["processes"].as_array().context("processes")?;
    for name in ["gateway to log", "relay", "writer", "consumer", "dashboard", "log", "store"] {
        let found: Vec<_> = processes.iter().filter(|process| process["process"] == name).collect();
        ensure!(found.len() == if name == "writer" { 2 } else { 1 }, "{name}: {told:#}");
        for process in found {
            let kib = |what: &str| process[what].as_u64().unwrap_or_default();
            ensure!(kib("idle_kib") > 1_024 && kib("peak_kib") >= kib("loaded_kib"), "{name}: {told:#}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn connections_grow_as_far_as_descriptors_allow_it() -> Result<()> {
    let mut command = tokio::process::Command::new("sh");
    let limited = r#"ulimit -Sn 1024 && ulimit -Hn 4096 && exec "$0" "$@""#;
    command.arg("-c").arg(limited).arg(program("blackfriday")?);
    let told = run(command, &["--growth", "connections", "--only", "handler", "--partitions", "1"]).await?;
    let points = told["growth"]["connections"].as_array().context("points")?;
    let names: Vec<_> = points.iter().filter_map(|point| point["point"].as_str()).collect();
    ensure!(names == ["1", "64", "1,000", "8,000"], "{told:#}");
    for point in &points[..3] {
        // More than the soft limit of before.
        let rate = point["measured"]["median"]["sales_per_s"].as_f64();
        ensure!(rate.is_some_and(|rate| rate > 0.0), "{told:#}");
    }
    let reason = points[3]["not_measured"].as_str().context("a reason")?;
    ensure!(reason.contains("8256") && reason.contains("4096"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn writers_grow_to_four_that_all_work() -> Result<()> {
    let told = bench(&["--growth", "writers", "--only", "writer-batch", "--batch", "50"]).await?;
    let points = told["growth"]["writers"].as_array().context("points")?;
    let names: Vec<_> = points.iter().filter_map(|point| point["point"].as_str()).collect();
    ensure!(names == ["1", "2", "4"], "{told:#}");
    for point in points {
        let used = point["measured"]["median"]["cpu_us_per_sale"]["writer"].as_f64();
        ensure!(used.is_some_and(|us| us > 0.0), "{told:#}");
    }
    Ok(())
}

#[tokio::test]
async fn several_stores_add_up_to_what_was_applied() -> Result<()> {
    for store in ["valkey", "redis"] {
        let numbers = ["--stores", "1", "2", "4"];
        let size = ["--partitions", "4", "--batch", "5", "--products", "50", "--store", store];
        let told = bench(&[&numbers[..], &size[..]].concat()).await?;
        ensure!(told["sales"] == 250 * 4 * 5, "{told:#}");
        let measured = told["stores"].as_array().context("stores")?;
        let counts: Vec<_> = measured.iter().filter_map(|stores| stores["stores"].as_u64()).collect();
        ensure!(counts == [1, 2, 4], "{told:#}");
        for (count, stores) in counts.into_iter().zip(measured) {
            let cpu = stores["measured"]["median"]["cpu_us_per_sale"].as_object().context("CPU")?;
            let servers = cpu.keys().filter(|name| name.starts_with("store ")).count();
            ensure!(servers as u64 == count, "{told:#}");
        }
    }
    Ok(())
}
