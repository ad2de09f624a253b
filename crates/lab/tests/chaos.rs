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

/// Met by the short run with other servers, or not at all.
#[tokio::test]
async fn what_happens_to_streams_of_rabbitmq_is_recovered_from() -> Result<()> {
    let kinds = ["retention-passed", "clock-log", "garbage", "tombstones", "large-records", "foreign-events"];
    let only: Vec<_> = kinds.iter().flat_map(|kind| ["--only", *kind]).collect();
    let arguments = ["--log", "rabbitmq", "--store", "redis", "--faults", "6"];
    let (ok, told) = chaos(&[&arguments[..], &only].concat(), "").await?;
    ensure!(ok && told["kinds"].as_array().map(Vec::len) == Some(kinds.len()), "{told:#}");
    Ok(())
}

#[tokio::test]
async fn consumers_that_can_ask_no_sentinel_wait_loudly() -> Result<()> {
    let arguments =
        ["--store", "sentinels", "--faults", "2", "--only", "sentinels-cut", "--only", "sentinels-stall"];
    let (ok, told) = chaos(&arguments, "").await?;
    ensure!(ok && told["kinds"].as_array().map(Vec::len) == Some(2), "{told:#}");
    Ok(())
}

#[tokio::test]
async fn a_gateway_without_memory_ends_and_breaks_no_promise() -> Result<()> {
    let (ok, told) = chaos(&["--faults", "2", "--only", "out-of-memory"], "").await?;
    ensure!(ok && told["accepted"].as_u64() > Some(100), "{told:#}");
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
async fn a_report_that_only_one_log_has_is_found() -> Result<()> {
    let (ok, told) = chaos(&["--faults", "1", "--only", "stop-relay"], "one-log-for-both").await?;
    let broken = broken(&told);
    let both = ["the two logs have what was said of each, and agree", "the two logs agree, by verify"];
    ensure!(!ok && both.iter().all(|verdict| broken.contains(verdict)), "{told:#}");
    // Nothing else that is judged of the log of the sales is wrong.
    ensure!(!broken.contains(&"every acknowledged event is in the log"), "{told:#}");
    Ok(())
}

#[tokio::test]
async fn an_acknowledgement_before_the_logs_is_found() -> Result<()> {
    let (ok, told) = chaos(&["--faults", "2", "--only", "kill-writer"], "early-acknowledgement").await?;
    ensure!(!ok && broken(&told).contains(&"every acknowledged event is in the log"), "{told:#}");
    Ok(())
}
