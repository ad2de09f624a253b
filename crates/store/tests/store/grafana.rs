//! What Grafana asks the stores for by its Redis data source, as the user that it has there.

use std::fs;
use std::path::Path;

use blackfriday_stack::ValkeyKind;
use redis::Value;
use serde_json::Value as Json;

use crate::permissions::{FORBIDDEN, WRITES, count, count_weather, grant, is_forbidden, run_as, store};
use crate::setup::Setup;

on_both! {
    grafana_may_ask_for_everything_that_its_dashboards_show,
    grafana_may_ask_for_the_weather,
}

/// As in documents about such dashboards.
const BY_HAND: &[&str] = &[
    "ZREVRANGE ranking:global 0 5 WITHSCORES",
    "ZCARD ranking:Ropa",
    "GET reportes:total:Ropa",
    "HGET stats:precio:suma Ropa",
    "HLEN reportes:total",
    "TTL total_messages",
];
const OF_WEATHER: &[&str] = &["HGETALL country_counts", "HLEN country_counts", "GET total_messages"];

fn grafana_may_ask_for_everything_that_its_dashboards_show(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    grant(&setup, "consumer", "");
    setup.runtime.block_on(count(&store(&setup, "consumer"))).expect("counts");
    let queries: Vec<_> = queries("valkey").into_iter().chain(texts(BY_HAND)).collect();
    assert!(queries.len() > BY_HAND.len() + 10, "the dashboards ask for something: {queries:?}");
    answers(&setup, "grafana", &queries);
}

fn grafana_may_ask_for_the_weather(kind: ValkeyKind) {
    let setup = Setup::new(kind);
    grant(&setup, "clima-consumer", "");
    setup.runtime.block_on(count_weather(&store(&setup, "clima-consumer"))).expect("counts");
    let queries: Vec<_> = queries("redis").into_iter().chain(texts(OF_WEATHER)).collect();
    assert!(queries.len() > OF_WEATHER.len(), "the dashboards ask for something: {queries:?}");
    answers(&setup, "clima-grafana", &queries);
}

/// Each has an answer that is not empty, and each report can be read; nothing is written.
fn answers(setup: &Setup, user: &str, queries: &[Vec<String>]) {
    grant(setup, user, "");
    let ask = |words: &[&str]| setup.runtime.block_on(run_as(setup, user, words));
    for query in queries {
        let words: Vec<_> = query.iter().map(String::as_str).collect();
        let answer = ask(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        let is_empty =
            matches!(&answer, Value::Nil) || matches!(&answer, Value::Array(items) if items.is_empty());
        assert!(!is_empty, "{words:?} has an empty answer");
    }
    let report = setup.run(&["KEYS", "clima:*"]);
    assert!(!report.is_empty(), "a report is stored");
    let answer = ask(&["HGETALL", report.lines().next().expect("a key")]).expect("allowed");
    assert!(matches!(answer, Value::Array(fields) if !fields.is_empty()), "a report can be read");
    FORBIDDEN.iter().chain(WRITES).for_each(|words| is_forbidden(setup, user, words));
}

/// Of all panels that ask this data source, for the category Ropa.
fn queries(source: &str) -> Vec<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/components/grafana-redis/dashboards");
    let files = fs::read_dir(folder).expect("the dashboards").map(|entry| entry.expect("an entry").path());
    let texts = files.map(|file| fs::read_to_string(file).expect("a dashboard"));
    let dashboards = texts.map(|text| serde_json::from_str::<Json>(&text).expect("JSON"));
    let panels = dashboards.flat_map(|dashboard| list(&dashboard["panels"]));
    let targets = panels.flat_map(|panel| list(&panel["targets"]));
    targets.filter(|target| target["datasource"]["uid"] == source).map(|target| command(&target)).collect()
}

fn list(json: &Json) -> Vec<Json> {
    json.as_array().cloned().unwrap_or_default()
}

/// What the data source sends for a query.
fn command(target: &Json) -> Vec<String> {
    let member =
        |name: &str| target[name].as_str().unwrap_or_else(|| panic!("{name} of {target}")).to_owned();
    let text = match target["type"].as_str() {
        Some("cli") => member("query"),
        Some("command") if target["command"] == "zrange" => {
            format!(
                "zrange {} {} {} {} WITHSCORES",
                member("keyName"),
                member("min"),
                member("max"),
                member("zrangeQuery")
            )
        }
        Some("command") => format!("{} {}", member("command"), member("keyName")),
        other => panic!("{other:?} is no kind of query"),
    };
    words(&text)
}

fn texts(queries: &[&str]) -> impl Iterator<Item = Vec<String>> {
    queries.iter().map(|query| words(query))
}

fn words(text: &str) -> Vec<String> {
    text.replace("${categoria}", "Ropa").split_whitespace().map(str::to_owned).collect()
}
