//! What batches take while they wait, against the budget that they are counted by.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use blackfriday_service::bind;
use blackfriday_stack::eventually;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::client::Http;
use crate::limits::Process;
use crate::loopback;
use crate::test_writer::LIMIT;

const CLIENTS: usize = 60;
const SALES: usize = 10_000;
const BUDGET_MIB: u64 = 128;
/// For batches that are being parsed or were just refused, connections, and what the allocator keeps: how many are parsed
/// at once is the scheduler's. All batches together would take four times the budget.
const SLACK_MIB: u64 = 192;

/// A relay that takes connections, reads the beginning of each request, and never answers.
struct Silent {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Silent {
    fn start() -> Result<Self> {
        let listener = bind(loopback())?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked: Arc<AtomicUsize> = Arc::default();
        tokio::spawn(hold(listener, Arc::clone(&asked)));
        Ok(Self { url, asked })
    }
}

async fn hold(listener: TcpListener, asked: Arc<AtomicUsize>) {
    let mut held = Vec::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut beginning = [0; 1];
        if stream.read(&mut beginning).await.is_ok_and(|read| read == 1) {
            asked.fetch_add(1, Ordering::Relaxed);
        }
        held.push(stream);
    }
}

/// Small sales under a long key: what grows most in memory.
fn batch() -> String {
    let sale = json!({"categoria": 1, "producto_id": "P", "precio": 1, "cantidad_vendida": 1});
    format!("[{}]", vec![sale.to_string(); SALES].join(","))
}

#[tokio::test]
async fn keyed_batches_that_wait_take_no_more_than_the_budget() -> Result<()> {
    let relay = Silent::start()?;
    let kib = (BUDGET_MIB << 10).to_string();
    let patient = ["--http-request-timeout-ms", "600000"];
    let settings = [&["--relay-url", &relay.url, "--max-bodies-kib", &kib], &patient[..]].concat();
    let gateway = Process::before(&settings).await?;
    let http = Http::to(gateway.address);
    assert_eq!(http.post("/ventas", "[]").await?.status, 422, "it is warm");
    let before = gateway.resident_bytes()?;

    let key = "k".repeat(128);
    let refused: Arc<AtomicUsize> = Arc::default();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (http, key, refused) = (http.clone(), key.clone(), Arc::clone(&refused));
        waiting.spawn(async move {
            let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
            let answer = http.send("/ventas", &headers, batch()).await?;
            anyhow::ensure!(answer.status == 429, "{answer:?}");
            refused.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    }
    let mut most = 0;
    let settled = async || {
        most = most.max(gateway.resident_bytes().unwrap_or(u64::MAX).saturating_sub(before));
        refused.load(Ordering::Relaxed) + relay.asked.load(Ordering::Relaxed) == CLIENTS
    };
    eventually(3 * LIMIT, settled).await.context("each batch waits or was refused")?;
    most = most.max(gateway.resident_bytes()?.saturating_sub(before));
    let asked = relay.asked.load(Ordering::Relaxed);
    assert!(asked > 1, "the budget is of use: {asked} batches wait");
    assert!(most >> 20 <= BUDGET_MIB + SLACK_MIB, "{} MiB for {asked} batches that wait", most >> 20);
    Ok(())
}
