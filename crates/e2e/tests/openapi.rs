//! The OpenAPI documents of gateway, relay and dashboard against the services themselves: schemathesis makes requests of
//! each document, right ones and wrong ones, and compares every answer with it: status, headers, content type, body. The
//! same requests are made every time.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_e2e::{BothLogs, Service};
use blackfriday_stack::schemathesis;
use tokio::process::Command;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_the_documents_say() -> Result<()> {
    let pipeline = BothLogs::start().await?;
    // So that the dashboard has something to show.
    let sales = pipeline.load("ventas", &["--sales", "300", "--rate", "300"])?;
    let weather = pipeline.load("clima", &["--route", "input", "--reports", "100", "--rate", "100"])?;
    sales.finish_undisturbed(LIMIT).await?;
    weather.finish_undisturbed(LIMIT).await?;
    for service in [Service::Gateway, Service::Relay, Service::Dashboard] {
        compare(&pipeline, service).await.with_context(|| format!("{service:?}"))?;
    }
    Ok(())
}

/// That schemathesis finds nothing.
async fn compare(pipeline: &BothLogs, service: Service) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi");
    let scratch = tempfile::tempdir()?;
    let mut command = Command::new(schemathesis()?);
    command
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .args(["run", "--checks", "all", "--no-shrink"])
        .arg(format!("http://{}/openapi.json", pipeline.address(service)))
        .current_dir(scratch.path())
        .env("PYTHONPATH", &folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(LIMIT, command.output()).await.context("it takes too long")?.context("run it")?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}\n{out}\n{err}", output.status);
    Ok(())
}
