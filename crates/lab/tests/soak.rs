//! A short soak.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use blackfriday_lab::program;
use serde_json::Value;

#[tokio::test]
async fn a_minute_is_counted_and_measured() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let samples = scratch.path().join("samples.jsonl");
    let mut command = tokio::process::Command::new(program("blackfriday")?);
    command.args(["soak", "--json", "--minutes", "1", "--rate", "100", "--samples"]).arg(&samples);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.context("run blackfriday")?;
    let err = String::from_utf8_lossy(&output.stderr);
    let told: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("no result:\n{err}"))?;
    // Whether a minute on a busy machine is flat and fast says little; that it is measured and proved says much.
    ensure!(told["accepted"] == 6_000 && told["proof"]["holds"] == true, "{told:#}\n{err}");
    let services = told["services"].as_array().context("services")?;
    ensure!(services.len() == 6, "{told:#}");
    for service in services {
        ensure!(service["looks"].as_u64() > Some(60), "{service:#}");
        for measure in ["memory_kib", "descriptors", "threads"] {
            ensure!(service[measure]["slope"]["per_hour"].is_f64(), "{measure} of {service:#}");
            ensure!(service[measure]["first"].as_u64() > Some(0), "{measure} of {service:#}");
        }
    }
    every_look_is_kept(&std::fs::read_to_string(samples)?, services)?;
    ensure!(told["page"]["summaries"].as_u64() > Some(10), "{told:#}");
    let holds =
        told["verdicts"].as_array().context("verdicts")?.iter().all(|verdict| verdict["holds"] == true);
    ensure!(told["holds"] == holds && output.status.success() == holds, "{told:#}");
    Ok(())
}

/// Those of the first quarter, too, which are not measured.
fn every_look_is_kept(samples: &str, services: &[Value]) -> Result<()> {
    let samples: Vec<Value> = samples.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    for service in services {
        let of_it: Vec<_> = samples.iter().filter(|sample| sample["service"] == service["service"]).collect();
        ensure!(
            of_it.len() as u64 > service["looks"].as_u64().context("looks")?,
            "{} of {service:#}",
            of_it.len()
        );
        for sample in of_it {
            let has = |measure: &str| sample[measure].as_u64() > Some(0);
            let is_whole = ["memory_kib", "descriptors", "threads"].into_iter().all(has);
            ensure!(is_whole && sample["seconds"].as_f64() >= Some(0.0), "{sample:#}");
        }
    }
    Ok(())
}
