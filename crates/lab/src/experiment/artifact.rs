//! Results as an OCI artifact: a file for each experiment, as `lab` keeps it.
//!
//! It names the workload that it lies next to: in an annotation by the reference that always stands for it, and, where both are
//! in one repository, as its subject, so that the registry lists it as the workload's referrer.
//!
//! Invariant: equal results give equal digests, and what comes back is what was pushed, or an error.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};
use blackfriday_registry::artifact::{Content, Kind, Pushed, TITLE, subject};
use blackfriday_registry::{Reference, RegistryClient};
use blackfriday_workload::artifact;
use bytes::Bytes;
use serde_json::{Value, json};

use super::outcome::Outcome;
use super::results::Results;

pub(super) const KIND: Kind = Kind {
    name: "set of results",
    artifact_type: "application/vnd.blackfriday.lab.v1+json",
    config_type: "application/vnd.blackfriday.lab.config.v1+json",
    layer_type: "application/vnd.blackfriday.lab.result.v1+json",
    largest: 16 * 1024 * 1024,
    most_files: 100,
};
/// The workload that results lie next to.
pub(super) const WORKLOAD: &str = "vnd.blackfriday.lab.workload";
const EXPERIMENTS: &str = "vnd.blackfriday.lab.experiments";

/// What a registry has.
pub(super) struct Pulled {
    /// `oci://…@sha256:…`, which will always stand for these very results.
    pub(super) pinned: String,
    /// The workload that they lie next to, if they name one.
    pub(super) workload: Option<String>,
    pub(super) results: Results,
}

/// Writes results into a registry, next to a workload if one is named.
///
/// # Errors
/// The workload is none or not there, a result is too large, or the registry refuses or cannot be reached.
pub(super) async fn push(
    registry: &RegistryClient,
    at: &Reference,
    results: &Results,
    workload: Option<&Reference>,
) -> Result<Pushed> {
    let mut content = content(results);
    if let Some(of) = workload {
        let found = artifact::inspect(registry, of).await?;
        if (of.registry(), of.repository()) == (at.registry(), at.repository()) {
            content.subject = Some(subject(registry, of, &found.digest).await?);
        }
        content.annotations.insert(WORKLOAD.to_owned(), found.pinned);
    }
    Ok(KIND.push(registry, at, content).await?)
}

/// Brings results from a registry.
///
/// # Errors
/// What is there are no results, is damaged, or the registry refuses or cannot be reached.
pub(super) async fn pull(registry: &RegistryClient, at: &Reference) -> Result<Pulled> {
    let found = KIND.inspect(registry, at).await?;
    let folder = tempfile::tempdir().context("make a folder to pull results to")?;
    let target = folder.path().join("result.json");
    let mut results = Results::new();
    for file in &found.files {
        registry.pull_blob(at, file, &target).await?;
        let text = fs::read(&target).with_context(|| format!("read {}", target.display()))?;
        let read = std::str::from_utf8(&text).map_err(|error| error.to_string()).and_then(readable);
        let outcome =
            read.map_err(|reason| KIND.refusal(at, format!("its layer {}: {reason}", file.digest)))?;
        if let Some(twice) = results.insert(outcome.experiment.clone(), outcome) {
            return Err(KIND.refusal(at, format!("it has two results of {}", twice.experiment)).into());
        }
    }
    let mut annotations = found.manifest.annotations.unwrap_or_default();
    Ok(Pulled { pinned: found.pinned, workload: annotations.remove(WORKLOAD), results })
}

/// A result that can be shown: whoever may write into a registry may not command a terminal.
fn readable(text: &str) -> Result<Outcome, String> {
    let outcome = text.parse::<Outcome>().map_err(|error| format!("{error:#}"))?;
    let whole = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if has_controls(&whole) { Err("a text in it has control characters".to_owned()) } else { Ok(outcome) }
}

fn has_controls(value: &Value) -> bool {
    let in_text = |text: &str| text.chars().any(char::is_control);
    match value {
        Value::String(text) => in_text(text),
        Value::Array(all) => all.iter().any(has_controls),
        Value::Object(all) => all.iter().any(|(name, value)| in_text(name) || has_controls(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn content(results: &Results) -> Content {
    let names: Vec<_> = results.keys().map(String::as_str).collect();
    let config: Vec<_> = results.values().map(about).collect();
    let file = |outcome: &Outcome| (format!("{}.json", outcome.experiment), Bytes::from(outcome.to_text()));
    let annotations = BTreeMap::from([
        (TITLE.to_owned(), "blackfriday lab".to_owned()),
        (EXPERIMENTS.to_owned(), names.join(",")),
    ]);
    Content {
        config: json!({ "results": config }).to_string().into(),
        files: results.values().map(file).collect(),
        annotations,
        subject: None,
    }
}

/// What the configuration says of a result: when, what and with which sales it was measured.
fn about(outcome: &Outcome) -> Value {
    let Outcome { experiment, finished, programs, workload, .. } = outcome;
    json!({"experiment": experiment, "finished": finished, "programs": programs, "workload": workload})
}

#[cfg(test)]
mod tests {
    use super::super::outcome::example;
    use super::*;

    fn results(values: &[f64]) -> Results {
        let each = ["logs", "stores"].map(|name| example(name, &[("a", values), ("b", values)]));
        each.map(|outcome| (outcome.experiment.clone(), outcome)).into()
    }

    fn text(values: &[f64]) -> String {
        serde_json::to_string(&content(&results(values)).manifest(&KIND)).expect("JSON")
    }

    #[test]
    fn equal_results_have_equal_manifests_and_others_have_others() {
        assert_eq!(text(&[1.0, 2.0]), text(&[1.0, 2.0]));
        assert_ne!(text(&[1.0, 2.0]), text(&[1.0, 2.5]));
        let manifest = text(&[1.0, 2.0]);
        for part in
            ["application/vnd.blackfriday.lab.v1+json", "\"logs.json\"", "\"stores.json\"", "logs,stores"]
        {
            assert!(manifest.contains(part), "{part} in {manifest}");
        }
        assert!(!manifest.contains("created") && !manifest.contains("subject"));
    }

    #[test]
    fn a_result_that_commands_a_terminal_is_refused() {
        let right = example("logs", &[("a", &[1.0]), ("b", &[1.0])]).to_text();
        readable(&right).expect("a result");
        for (text, wrong) in [
            ("which is more", "which\\u001b[2J"),
            ("Kafka 4.3.1", "Kafka\\n4.3.1"),
            ("sales_per_s", "sales\\u009b2J"),
        ] {
            let refusal = readable(&right.replace(text, wrong)).expect_err(wrong);
            assert!(refusal.contains("control characters"), "{refusal}");
        }
    }

    #[test]
    fn a_result_that_is_too_large_or_one_too_many_is_told() {
        let right = content(&results(&[1.0])).manifest(&KIND);
        assert_eq!(KIND.files_of(&right).expect("files").len(), 2);
        let mut large = right.clone();
        large.layers[1].size = 16 * 1024 * 1024 + 1;
        assert!(KIND.files_of(&large).expect_err("too large").contains("the limit is 16777216"));
        let mut many = right.clone();
        many.layers = vec![right.layers[0].clone(); 101];
        assert!(KIND.files_of(&many).expect_err("too many").contains("101 of its layers"));
    }
}
