//! Clients of other makers, as somebody would have them who knows nothing but the assignment's proto: grpcurl, which asks the
//! server what there is to call, and clients in Go and Python that were generated from it. Each sale that they were told
//! is accepted is counted, and nothing else is.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_e2e::{Pipeline, Service};
use blackfriday_stack::Clients;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(90);
const CALLS: u64 = 10_000;

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A client to its end: what it printed, if it was content.
async fn output(command: &mut Command) -> Result<String> {
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(LIMIT, running).await.context("it takes too long")?.context("run it")?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    Ok(out.into_owned())
}

async fn sold(command: &mut Command) -> Result<u64> {
    let told = output(command).await?;
    let told: Value = serde_json::from_str(&told).with_context(|| told.clone())?;
    told["sales"].as_u64().context("the number of sales")
}

/// The pipeline, and what may call it.
struct Called {
    pipeline: Pipeline,
    clients: Clients,
    writer: String,
}

impl Called {
    async fn start() -> Result<Self> {
        let clients = Clients::locate()?;
        let pipeline = Pipeline::start(&[]).await?;
        let writer = pipeline.address(Service::WriterA).to_string();
        Ok(Self { pipeline, clients, writer })
    }

    async fn grpcurl(&self, options: &[&str], what: &[&str]) -> Result<String> {
        let mut grpcurl = Command::new(self.clients.grpcurl());
        output(grpcurl.arg("-plaintext").args(options).arg(&self.writer).args(what)).await
    }

    fn go(&self) -> Command {
        let mut client = Command::new(self.clients.go());
        client.args(["--address", &self.writer, "--calls", &CALLS.to_string()]);
        client
    }

    fn python(&self) -> Command {
        let mut client = Command::new(self.clients.python());
        client.arg(in_repository("crates/e2e/clients/python/client.py")).args(["--address", &self.writer]);
        for folder in ["crates/lab/assignment", "proto"] {
            client.arg("--proto").arg(in_repository(folder));
        }
        client.env("PYTHONDONTWRITEBYTECODE", "1");
        client
    }

    /// That so many sales are in the log, and all of them are counted.
    async fn counted(&self, sales: u64) -> Result<()> {
        self.pipeline.verify(&[]).await?;
        let records = self.pipeline.run("tail", &["--topic", "ventas"]).await?;
        let found = records.lines().count() as u64;
        ensure!(found == sales, "{found} sales are in the log, and clients were told of {sales}");
        Ok(())
    }
}

#[tokio::test]
async fn grpcurl_finds_and_calls_both_services_by_reflection() -> Result<()> {
    let called = Called::start().await?;
    let services = called.grpcurl(&[], &["list"]).await?;
    for service in ["blackfriday.ProductSaleService", "clima.WeatherService", "grpc.health.v1.Health"] {
        ensure!(services.lines().any(|line| line == service), "{service} is not in:\n{services}");
    }
    let described = called.grpcurl(&[], &["describe", "blackfriday.ProductSaleService"]).await?;
    ensure!(described.contains("rpc ProcesarVenta ( .blackfriday.ProductSaleRequest )"), "{described}");
    let described = called.grpcurl(&[], &["describe", "clima.WeatherReport"]).await?;
    for field in ["string description = 1;", "string country = 2;", "string weather = 3;"] {
        ensure!(described.contains(field), "{described}");
    }

    let sale = r#"{"categoria":"Electronica","producto_id":"P-17","precio":499.99,"cantidad_vendida":2}"#;
    let answer = called.grpcurl(&["-d", sale], &["blackfriday.ProductSaleService/ProcesarVenta"]).await?;
    let answer: Value = serde_json::from_str(&answer)?;
    ensure!(answer["estado"] == "OK" && answer["id"].is_string(), "{answer}");
    let report = r#"{"description":"Lluvia ligera","country":"GT","weather":"Rainy"}"#;
    let answer = called.grpcurl(&["-d", report], &["clima.WeatherService/Publicar"]).await?;
    ensure!(serde_json::from_str::<Value>(&answer)?["estado"] == "OK", "{answer}");
    let health = called.grpcurl(&[], &["grpc.health.v1.Health/Check"]).await?;
    ensure!(serde_json::from_str::<Value>(&health)?["status"] == "SERVING", "{health}");

    let wrong = called.grpcurl(&["-d", "{}"], &["blackfriday.ProductSaleService/ProcesarVenta"]).await;
    let told = format!("{:#}", wrong.err().context("a sale without fields is refused")?);
    for word in ["InvalidArgument", "categoria", "producto_id", "cantidad_vendida"] {
        ensure!(told.contains(word), "{word} is not in:\n{told}");
    }
    called.counted(1).await
}

/// Gzip, unknown fields, a message that is too large, ten thousand calls on one connection.
#[tokio::test]
async fn a_client_in_go_is_served() -> Result<()> {
    let called = Called::start().await?;
    let sales = sold(&mut called.go()).await?;
    ensure!(sales > CALLS, "{sales}");
    called.counted(sales).await
}

/// The same, and a ping every second.
#[tokio::test]
async fn a_client_in_python_is_served() -> Result<()> {
    let called = Called::start().await?;
    let sales = sold(&mut called.python()).await?;
    called.counted(sales).await
}

/// What is the assignment's is read by all of protoc's generators, and so is what we have added to it.
#[tokio::test]
async fn go_can_be_generated_from_our_own_files() -> Result<()> {
    let clients = Clients::locate()?;
    let out = tempfile::tempdir()?;
    let mut protoc = Command::new(clients.python());
    protoc.args(["-m", "grpc_tools.protoc"]);
    for name in ["protoc-gen-go", "protoc-gen-go-grpc"] {
        protoc.arg(format!("--plugin={}", clients.generator(name).display()));
    }
    for option in ["--go_out", "--go-grpc_out"] {
        protoc.arg(format!("{option}={}", out.path().display()));
    }
    protoc.arg(format!("--proto_path={}", in_repository("proto").display()));
    output(protoc.args(["blackfriday.proto", "clima.proto"])).await?;
    for file in ["blackfriday.pb.go", "blackfriday_grpc.pb.go", "clima.pb.go", "clima_grpc.pb.go"] {
        ensure!(out.path().join("proto").join(file).is_file(), "{file}");
    }
    Ok(())
}
