use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use blackfriday_intake::Accepted;
use blackfriday_workload::Traffic;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use crate::receipts::Writer;

const REPORTS: u64 = 50;

/// Sends a few weather reports through the front door, and writes their receipts.
pub(super) async fn send(gateway: SocketAddr, traffic: &Traffic, receipts: &Path) -> Result<()> {
    let about = json!({"url": format!("http://{gateway}"), "seed": traffic.seed()});
    let writer = Writer::create(receipts, &about)?;
    let mut pen = writer.pen();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    for number in 0..REPORTS {
        let draft = traffic.weather(number);
        let body = json!({
            "description": draft.description, "country": draft.country, "weather": draft.weather,
        });
        let request = Request::post(format!("http://{gateway}/input"))
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))?;
        let response = client.request(request).await.context("send a weather report")?;
        ensure!(response.status() == 202, "a weather report was answered with {}", response.status());
        let body = response.into_body().collect().await?.to_bytes();
        let answer: Accepted = serde_json::from_slice(&body)?;
        pen.weather(answer.id.parse()?);
    }
    pen.hand_over().await?;
    drop(pen);
    tokio::task::spawn_blocking(|| writer.finish()).await?
}
