//! What Grafana asks this service for by its Infinity data source, and all services through Prometheus.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use blackfriday_event::Category;
use serde_json::Value;

use crate::support::Dashboard;

#[tokio::test]
async fn every_query_of_grafana_finds_what_it_selects() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    // The first row of an answer may be of any category.
    dashboard.count(&Category::ALL.map(|category| (category, "P-1", 1_050, 3))).await?;
    dashboard.valkey.command(&["HSET", "country_counts", "Belice", "2"]).await?;
    dashboard.valkey.command(&["SET", "total_messages", "2"]).await?;
    let queries = queries(&["grafana/dashboards/black-friday.json"])?;
    ensure!(queries.len() > 5, "{queries:?}");
    for query in queries {
        let path = query["url"].as_str().context("a path")?.replace("${categoria}", "Ropa");
        let (status, answer) = dashboard.get(&path).await?;
        ensure!(status == 200, "{path}: {answer}");
        let selector = query["root_selector"].as_str().context("a selector")?.replace("${categoria}", "Ropa");
        let row =
            selected(&answer, &selector).with_context(|| format!("{path}: {selector:?} of {answer}"))?;
        for column in query["columns"].as_array().context("columns")? {
            let name = column["selector"].as_str().context("a column")?;
            ensure!(row.get(name).is_some_and(|value| !value.is_null()), "{path}: no {name} in {row}");
        }
    }
    Ok(())
}

/// The hidden variable of the dashboards' titles. Where there is no currency it has no value, and titles end before it.
#[tokio::test]
async fn the_currency_of_grafana_is_that_of_the_page() -> Result<()> {
    for file in ["grafana/dashboards/black-friday.json", "grafana-redis/dashboards/black-friday-redis.json"] {
        let variables = read(file)?["templating"]["list"].clone();
        let variables = variables.as_array().context("variables")?;
        let currency = variables.iter().find(|of| of["name"] == "moneda").context("moneda")?;
        let query = &currency["query"]["infinityQuery"];
        let path = query["url"].as_str().context("a path")?;
        ensure!(query["root_selector"] == "#(moneda)#", "the rows that have one: {query}");
        for (flags, expected) in [(&["--currency", "gtq"][..], Some("GTQ")), (&[], None)] {
            let (status, rows) = Dashboard::start_with(flags).await?.get(path).await?;
            let row = rows.as_array().and_then(|rows| rows.first()).context("a row")?;
            let told = row.get(query["columns"][0]["selector"].as_str().context("a column")?);
            ensure!(status == 200 && told.and_then(Value::as_str) == expected, "{file}: {rows}");
            ensure!(expected.is_some() || told.is_none(), "absent, and not null: {rows}");
        }
    }
    Ok(())
}

/// A panel or an alert that asks for what nobody tells stays empty, and quiet.
#[test]
fn dashboards_and_alerts_ask_for_metrics_that_are_told() -> Result<()> {
    let components = root().join("k8s/components");
    let asking = [
        "grafana/dashboards/black-friday.json",
        "grafana/dashboards/operation.json",
        "grafana-redis/dashboards/clima.json",
        "prometheus/rules.yaml",
    ];
    let mut asked = BTreeSet::new();
    for file in asking {
        let text = fs::read_to_string(components.join(file))?;
        let words = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
        asked.extend(words.filter(|word| word.starts_with("blackfriday_")).map(str::to_owned));
    }
    ensure!(asked.len() > 10, "{asked:?}");
    let sources = sources(&root().join("crates"))?;
    for name in asked {
        let suffixes = ["_total", "_sum", "_count", "_bucket"];
        let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(&name);
        ensure!(sources.contains(&format!("\"{base}\"")), "nobody tells {name}");
    }
    Ok(())
}

/// The alert `QueuesFill` names it, for somebody who wants to set it.
#[test]
fn each_limit_is_told_by_its_flag() -> Result<()> {
    let sources = sources(&root().join("crates"))?;
    let told = [".limit(", ".of_flag("].into_iter().flat_map(|call| sources.split(call).skip(1));
    let flags: BTreeSet<_> =
        told.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next()).collect();
    for expected in
        ["http-max-in-flight", "lane-queue-sales", "max-bodies-kib", "max-in-flight-records", "max-streams"]
    {
        ensure!(flags.contains(expected), "{expected} in {flags:?}");
    }
    for flag in flags {
        let of_field = format!("pub {}: ", flag.replace('-', "_"));
        let is_flag = sources.contains(&format!("long = \"{flag}\"")) || sources.contains(&of_field);
        ensure!(is_flag, "no program has --{flag}");
    }
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What all programs are made from.
fn sources(folder: &Path) -> Result<String> {
    let mut text = String::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("tests") {
            text.push_str(&sources(&path)?);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            text.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(text)
}

/// Of all panels; a second store is not configured here.
fn queries(files: &[&str]) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for file in files {
        let dashboard = read(file)?;
        let panels = dashboard["panels"].as_array().context("panels")?;
        let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
        found.extend(targets.filter(|target| target["datasource"]["uid"] == "blackfriday-api").cloned());
    }
    Ok(found)
}

fn read(file: &str) -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(root().join("k8s/components").join(file))?)?)
}

/// The first row that Infinity takes out of an answer: of all, of one by its number, or of one by a member's value.
fn selected<'a>(answer: &'a Value, selector: &str) -> Result<&'a Value> {
    let rows = answer.as_array().context("not an array")?;
    let row = match selector.strip_prefix("#(").and_then(|rest| rest.strip_suffix("\")")) {
        Some(condition) => {
            let (name, value) = condition.split_once("==\"").context("a condition")?;
            rows.iter().find(|row| row[name] == value)
        }
        None if selector.is_empty() => rows.first(),
        None => rows.get(selector.parse::<usize>().or_else(|_| bail!("{selector} is no number"))?),
    };
    row.context("no such row")
}
