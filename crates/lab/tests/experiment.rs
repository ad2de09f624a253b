//! The command measures, goes on where it was stopped, and the report that is kept says what the kept results say.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use blackfriday_lab::program;
use serde_json::Value;

async fn lab(arguments: &[&str]) -> Result<Output> {
    let mut command = tokio::process::Command::new(program("blackfriday")?);
    command.arg("lab").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command.output().await.context("run blackfriday")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn result(folder: &Path, experiment: &str) -> Result<Value> {
    let text = std::fs::read_to_string(folder.join(format!("{experiment}.json")))?;
    serde_json::from_str(&text).context("a result is JSON")
}

#[tokio::test]
async fn an_experiment_is_measured_gone_on_with_and_reported() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let out = scratch.path().to_str().context("a path")?;
    let short = ["hops-steady", "--duration", "1s", "--warm-up", "100ms", "--out", out];
    let measured = lab(&[&short[..], &["--rounds", "1"]].concat()).await?;
    ensure!(measured.status.success(), "{}", said(&measured));
    let first = result(scratch.path(), "hops-steady")?;
    ensure!(first["rounds"] == 1, "{first:#}");

    let went_on = lab(&[&short[..], &["--rounds", "2"]].concat()).await?;
    ensure!(went_on.status.success(), "{}", said(&went_on));
    ensure!(!said(&went_on).contains("round 1"), "the first round is kept: {}", said(&went_on));
    let whole = result(scratch.path(), "hops-steady")?;
    let variants = whole["variants"].as_array().context("variants")?;
    ensure!(whole["rounds"] == 2 && variants.len() == 3, "{whole:#}");
    ensure!(variants[0]["rounds"][0] == first["variants"][0]["rounds"][0], "{whole:#}");
    for variant in variants {
        for metric in ["sales_per_s", "p99_ms", "fresh_p50_ms", "cpu_us", "cpu_us.store", "mib.log"] {
            ensure!(
                variant["median"][metric].as_f64().is_some_and(|value| value > 0.0),
                "{metric}: {variant:#}"
            );
        }
    }
    ensure!(whole["servers"].as_array().is_some_and(|servers| servers.len() == 2), "{whole:#}");

    let again = lab(&[&short[..], &["--rounds", "2"]].concat()).await?;
    ensure!(said(&again).contains("already"), "{}", said(&again));

    let template = scratch.path().join("template.md");
    std::fs::write(
        &template,
        "{{tabla hops-steady sales_per_s cpu_us}}\n{{figura hops-steady fresh_p50_ms}}\n",
    )?;
    let (template, report) = (template.display().to_string(), scratch.path().join("report.md"));
    let report = report.display().to_string();
    let written = lab(&["report", "--results", out, "--template", &template, "--out", &report]).await?;
    ensure!(written.status.success(), "{}", said(&written));
    let text = std::fs::read_to_string(&report)?;
    ensure!(text.contains("| `relay` |") && text.contains("hops-steady-fresh_p50_ms-light.svg"), "{text}");
    Ok(())
}

/// One short round; its result.
async fn measured(experiment: &str) -> Result<Value> {
    let scratch = tempfile::tempdir()?;
    let out = scratch.path().to_str().context("a path")?;
    let short = [experiment, "--rounds", "1", "--duration", "1s", "--warm-up", "100ms", "--out", out];
    let measured = lab(&short).await?;
    ensure!(measured.status.success(), "{}", said(&measured));
    result(scratch.path(), experiment)
}

fn median(result: &Value, variant: usize, metric: &str) -> Result<f64> {
    let value = &result["variants"][variant]["median"][metric];
    value.as_f64().with_context(|| format!("{metric}: {result:#}"))
}

#[tokio::test]
async fn every_kind_of_queue_takes_messages() -> Result<()> {
    let result = measured("queues").await?;
    for (at, name) in ["stream", "classic", "quorum"].into_iter().enumerate() {
        ensure!(result["variants"][at]["name"] == name, "{result:#}");
        ensure!(median(&result, at, "sales_per_s")? > 0.0 && median(&result, at, "cpu_us.part")? > 0.0);
    }
    Ok(())
}

#[tokio::test]
async fn counting_goes_on_after_the_primary_died_with_a_replica_and_without() -> Result<()> {
    let result = measured("failover").await?;
    // Sentinels want to have missed the primary for five seconds, and last heard from it up to a second before it died.
    let (alone, with_replica) = (median(&result, 0, "failover_ms")?, median(&result, 1, "failover_ms")?);
    ensure!(alone > 0.0 && with_replica > 3_500.0, "{alone}, {with_replica}");
    ensure!(result["variants"][0]["median"].get("cpu_us").is_none(), "what dies has no CPU time: {result:#}");
    Ok(())
}

#[tokio::test]
async fn the_report_of_this_repository_says_what_its_results_say() -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let at = |path: &str| root.join(path).display().to_string();
    let (results, template, out) =
        (at("docs/lab"), at("docs/lab/informe.plantilla.md"), at("docs/informe.md"));
    let checked =
        lab(&["report", "--check", "--results", &results, "--template", &template, "--out", &out]).await?;
    ensure!(checked.status.success(), "{}", said(&checked));
    Ok(())
}
