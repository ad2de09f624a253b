use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_intake::Accepted;
use blackfriday_receipts::{Content, Writer};
use blackfriday_workload::Traffic;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tokio::time::sleep;

const REPORTS: u64 = 50;
const MAX_TRIES: u32 = 10;
/// What the services ask for in their `Retry-After`.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

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
            .header("idempotency-key", format!("weather-{number}"))
            .body(Full::from(body.to_string()))?;
        let answer: Accepted = serde_json::from_slice(&accepted(&client, &request).await?)?;
        pen.weather(answer.id.parse()?, Some(Content::of_weather(&draft)));
    }
    pen.hand_over().await?;
    drop(pen);
    tokio::task::spawn_blocking(|| writer.finish()).await?
}

/// The body of the `202`. A machine that is busy for the moment may refuse or not answer in time; the key makes it safe
/// to send again.
async fn accepted(
    client: &Client<HttpConnector, Full<Bytes>>,
    request: &Request<Full<Bytes>>,
) -> Result<Bytes> {
    let mut tries = 1;
    loop {
        let response = client.request(request.clone()).await.context("send a weather report")?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status == StatusCode::ACCEPTED {
            return Ok(body);
        }
        let again = matches!(status.as_u16(), 429 | 503 | 504) && tries < MAX_TRIES;
        ensure!(again, "a weather report was answered with {status}: {}", String::from_utf8_lossy(&body));
        tries += 1;
        sleep(RETRY_PAUSE).await;
    }
}
