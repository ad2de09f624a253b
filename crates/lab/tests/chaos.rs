//! A short run of every kind, and its honesty: what is planted into the services it must find.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use blackfriday_lab::program;
use serde_json::Value;

/// Runs `blackfriday chaos` with services that do this wrong, if any; its result, and whether it ended with exit code 0.
async fn chaos(arguments: &[&str], planted: &str) -> Result<(bool, Value)> {
    let mut command = tokio::process::Command::new(program("blackfriday")?);
    command.arg("chaos").arg("--json").args(arguments).env("BLACKFRIDAY_PLANTED_FAULT", planted);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.context("run blackfriday")?;
    let err = String::from_utf8_lossy(&output.stderr);
    let told = serde_json::from_slice(&output.stdout).with_context(|| format!("no result:\n{err}"))?;
    Ok((output.status.success(), told))
}

/// The verdicts that do not hold.
fn broken(told: &Value) -> Vec<&str> {
    let verdicts = told["verdicts"].as_array().map(Vec::as_slice).unwrap_or_default();
    verdicts
        .iter()
        .filter(|verdict| verdict["holds"] == false)
        .filter_map(|one| one["name"].as_str())
        .collect()
}

#[tokio::test]
async fn a_short_run_of_every_kind_holds() -> Result<()> {
    let (ok, told) = chaos(&["--seed", "1", "--faults", "60"], "").await?;
    ensure!(ok, "{told:#}");
    ensure!(told["faults"] == 60 && told["accepted"].as_u64() > Some(5_000), "{told:#}");
    Ok(())
}

#[tokio::test]
async fn a_store_that_does_not_check_positions_is_found() -> Result<()> {
    let kinds = ["--only", "store-rolled-back", "--only", "pause-consumer"];
    let (ok, told) = chaos(&[&["--faults", "3"], &kinds[..]].concat(), "no-position-check").await?;
    ensure!(!ok && broken(&told).contains(&"every event and every key is counted at most once"), "{told:#}");
    Ok(())
}

#[tokio::test]
async fn a_refusal_of_what_was_written_is_found() -> Result<()> {
    let arguments = ["--faults", "1", "--only", "store-connections-cut"];
    let (ok, told) = chaos(&arguments, "refusal-of-written").await?;
    ensure!(!ok && broken(&told).contains(&"no refused event is in the log"), "{told:#}");
    Ok(())
}

#[tokio::test]
async fn an_acknowledgement_before_the_logs_is_found() -> Result<()> {
    let (ok, told) = chaos(&["--faults", "2", "--only", "kill-writer"], "early-acknowledgement").await?;
    ensure!(!ok && broken(&told).contains(&"every acknowledged event is in the log"), "{told:#}");
    Ok(())
}
