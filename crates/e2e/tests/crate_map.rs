//! Who may depend on whom. A crate or a dependency that is not in the table is a decision that somebody has to make.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const PREFIX: &str = "blackfriday-";
const ANY: &[&str] = &["*"];

/// Crate, and the crates of this workspace that it may depend on, other than for its tests.
const ALLOWED: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("proto", &["event"]),
    ("telemetry", &[]),
    ("service", &["telemetry"]),
    ("intake", &["event", "proto", "service", "telemetry"]),
    ("broker", &["event", "proto", "telemetry"]),
    ("publish", &["event", "proto", "broker", "telemetry"]),
    ("store", &["event", "telemetry"]),
    ("gateway", &["event", "proto", "intake", "publish", "registry", "workload", "service", "telemetry"]),
    ("relay", &["event", "proto", "intake", "service", "telemetry"]),
    ("writer", &["event", "proto", "publish", "service", "telemetry"]),
    ("consumer", &["event", "proto", "broker", "store", "service", "telemetry"]),
    ("dashboard", &["event", "registry", "workload", "store", "service", "telemetry"]),
    ("registry", &["telemetry"]),
    ("workload", &["event", "registry"]),
    ("stack", &[]),
    ("terminal", &["service", "telemetry"]),
    ("receipts", &["event", "terminal"]),
    ("load", &["event", "receipts", "registry", "workload", "service", "telemetry", "terminal"]),
    ("verify", &["event", "proto", "broker", "receipts", "store", "telemetry", "terminal"]),
    ("image", &["registry", "terminal"]),
    ("cluster", &["event", "image", "registry", "workload", "service", "terminal"]),
    ("valkey-config", &["store", "telemetry", "terminal"]),
    (
        "lab",
        &[
            "cluster", "event", "proto", "broker", "receipts", "registry", "service", "stack", "store",
            "terminal", "verify", "workload",
        ],
    ),
    ("cli", ANY),
    ("e2e", ANY),
];

#[test]
fn every_crate_depends_only_on_what_the_table_allows() -> Result<()> {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ALLOWED.iter().map(|&(name, allowed)| (name, allowed.iter().copied().collect())).collect();
    let actual = dependencies(&metadata()?)?;

    let rows: BTreeSet<&str> = allowed.keys().copied().collect();
    let crates: BTreeSet<&str> = actual.keys().map(String::as_str).collect();
    ensure!(rows == crates, "the table has {rows:?}, the workspace {crates:?}");

    let forbidden = actual.iter().flat_map(|(name, dependencies)| {
        let allowed = &allowed[name.as_str()];
        let forbidden =
            dependencies.iter().filter(|&on| !allowed.contains("*") && !allowed.contains(on.as_str()));
        forbidden.map(move |on| format!("{name} → {on}"))
    });
    let forbidden: Vec<String> = forbidden.collect();
    ensure!(forbidden.is_empty(), "not in the table: {}", forbidden.join(", "));
    Ok(())
}

/// Nothing may depend on the tests.
#[test]
fn nobody_depends_on_e2e() -> Result<()> {
    let actual = dependencies(&metadata()?)?;
    let dependent: Vec<_> =
        actual.iter().filter(|(_, on)| on.contains("e2e")).map(|(name, _)| name).collect();
    ensure!(dependent.is_empty(), "{dependent:?} depend on e2e");
    Ok(())
}

fn metadata() -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .context("run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("cargo metadata prints JSON")
}

/// Each crate with the crates of this workspace that it is built from, all without their prefix.
fn dependencies(metadata: &Value) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let packages = metadata["packages"].as_array().context("metadata has packages")?;
    packages
        .iter()
        .map(|package| Ok((own_name(package)?.context("every crate has the prefix")?, built_from(package)?)))
        .collect()
}

fn built_from(package: &Value) -> Result<BTreeSet<String>> {
    let dependencies = package["dependencies"].as_array().context("a package has dependencies")?;
    let not_for_tests = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
    not_for_tests.filter_map(|dependency| own_name(dependency).transpose()).collect()
}

/// The name without the prefix, or `None` for a crate from elsewhere.
fn own_name(named: &Value) -> Result<Option<String>> {
    let name = named["name"].as_str().context("everything has a name")?;
    Ok(name.strip_prefix(PREFIX).map(str::to_owned))
}
