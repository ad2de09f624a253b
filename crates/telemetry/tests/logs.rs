//! Log lines, of a process that writes some and is not wanted to write others.

use std::env;
use std::process::Command;

use blackfriday_telemetry::{LogFormat, TelemetryConfig, init};

const CHILD: &str = "BLACKFRIDAY_TEST_LOG_CHILD";
const RUNS: usize = 8;

/// The process whose lines are looked at; nothing when it is not started by the test below.
#[test]
fn child() {
    let Ok(filter) = env::var(CHILD) else { return };
    let format = if filter.contains("json") { LogFormat::Json } else { LogFormat::Text };
    let config = TelemetryConfig {
        log_filter: Some(filter.parse().expect("a filter")),
        log_format: format,
        otlp_endpoint: None,
        trace_sample_ratio: 0.0,
    };
    let guard = init("test", &config).expect("nobody logs yet");
    // As rdkafka does when a client is made, to tell librdkafka what to say.
    let asked = || {
        [log::Level::Info, log::Level::Warn, log::Level::Error]
            .map(|level| log::log_enabled!(target: "librdkafka", level))
    };
    asked();
    tracing::error!("a service failed");
    log::error!(target: "librdkafka", "not wanted");
    log::warn!(target: "somewhere", "another one's");
    asked();
    tracing::warn!("and so did another");
    guard.shutdown();
}

#[test]
fn no_line_is_lost_after_one_that_is_not_wanted() {
    for filter in ["warn,librdkafka=off", "info,librdkafka=off", "warn,librdkafka=off,json=info"] {
        for run in 0..RUNS {
            let me = env::current_exe().expect("known");
            let child =
                Command::new(me).args(["--exact", "child", "--nocapture"]).env(CHILD, filter).output();
            let said = child.expect("it runs").stderr;
            let said = String::from_utf8_lossy(&said);
            for line in ["a service failed", "another one's", "and so did another"] {
                assert_eq!(said.matches(line).count(), 1, "{line} of {filter}, run {run}:\n{said}");
            }
            assert!(!said.contains("not wanted"), "{said}");
        }
    }
}
