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
use serde_json::json;

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
        let read = std::str::from_utf8(&text).map_err(|error| error.to_string());
        let read = read.and_then(|text| text.parse::<Outcome>().map_err(|error| format!("{error:#}")));
        let outcome =
            read.map_err(|reason| KIND.refusal(at, format!("its layer {}: {reason}", file.digest)))?;
        if let Some(twice) = results.insert(outcome.experiment.clone(), outcome) {
            return Err(KIND.refusal(at, format!("it has two results of {}", twice.experiment)).into());
        }
    }
    let mut annotations = found.manifest.annotations.unwrap_or_default();
    Ok(Pulled { pinned: found.pinned, workload: annotations.remove(WORKLOAD), results })
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
fn about(outcome: &Outcome) -> serde_json::Value {
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
