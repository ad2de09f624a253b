//! How a service's process begins, as the one who starts it sees it.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use blackfriday_stack::{Valkey, free_port};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::LIMIT;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackfriday-dashboard"));
    command.kill_on_drop(true).stderr(Stdio::piped());
    command
}

/// A process that ends without a word leaves its operator with nothing.
#[tokio::test]
async fn a_wrong_setting_is_said_on_standard_error_with_its_name() -> Result<()> {
    for (flag, variable, wrong) in [
        ("--log-filter", "BLACKFRIDAY_LOG_FILTER", "info,blackfriday=loud"),
        ("--log-format", "BLACKFRIDAY_LOG_FORMAT", "yaml"),
        ("--otlp-endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", "collector"),
        ("--otlp-endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        ("--trace-sample-ratio", "BLACKFRIDAY_TRACE_SAMPLE_RATIO", "2"),
        ("--listen", "BLACKFRIDAY_DASHBOARD_LISTEN", "nowhere"),
        ("--currency", "BLACKFRIDAY_DASHBOARD_CURRENCY", "EURO"),
        ("--grafana-url", "BLACKFRIDAY_DASHBOARD_GRAFANA_URL", "javascript:alert(1)"),
    ] {
        for mut command in
            [program(), program()].into_iter().zip([true, false]).map(|(mut command, by_flag)| {
                if by_flag {
                    command.args([flag, wrong])
                } else {
                    command.env(variable, wrong)
                };
                command
            })
        {
            let ended = timeout(LIMIT, command.output()).await.context("it ends")??;
            let said = String::from_utf8(ended.stderr)?;
            ensure!(ended.status.code() == Some(64) && said.contains(flag), "{flag} {wrong}: {said}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn it_says_where_it_listens_what_it_waits_for_and_when_it_is_ready() -> Result<()> {
    let valkey = Valkey::start().await?;
    let (port, admin) = (free_port()?, free_port()?);
    let mut command = program();
    command.args(["--valkey-url", valkey.url(), "--listen", &format!("127.0.0.1:{port}")]);
    let mut process = command.args(["--admin-listen", &format!("127.0.0.1:{admin}")]).spawn()?;
    let mut lines = BufReader::new(process.stderr.take().context("it is piped")?).lines();
    for expected in
        [&format!("listening address=127.0.0.1:{port}"), "not ready waiting_for=", "process: ready"]
    {
        let found = async {
            loop {
                let line = lines.next_line().await?.context("it goes on")?;
                if line.contains(expected) {
                    return anyhow::Ok(());
                }
            }
        };
        timeout(LIMIT, found).await.with_context(|| expected.to_owned())??;
    }
    Ok(())
}
