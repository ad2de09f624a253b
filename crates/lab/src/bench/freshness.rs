use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_stack::Valkey;
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::client::histogram;
use crate::client::post;

/// Between two samples, and between two looks at the store: what is told is late by at most so much.
const EVERY: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(2);
/// Before a sale counts as lost.
const READABLE_LIMIT: Duration = Duration::from_secs(60);

/// Sells a product of its own again and again for so long, next to the load; microseconds from each answer until the store's
/// ranking has the product. Every sale is accepted, and in the histogram once.
///
/// # Errors
/// A sale is not accepted, or not readable within a minute.
pub(super) async fn sample(store: &Valkey, gateway: SocketAddr, lasts: Duration) -> Result<Histogram<u64>> {
    let begin = Instant::now();
    let mut samples = histogram()?;
    while begin.elapsed() < lasts {
        let product = format!("F-{}", Uuid::now_v7().simple());
        let sale =
            json!({"categoria": "Hogar", "producto_id": product, "precio": 1.0, "cantidad_vendida": 1});
        let answer = post(gateway, "/venta", sale.to_string()).await?;
        ensure!(answer.status.as_u16() == 202, "a sale was answered with {}", answer.status);
        let answered = Instant::now();
        while store.command(&["ZSCORE", "ranking:global", &product]).await?.is_empty() {
            ensure!(answered.elapsed() < READABLE_LIMIT, "a sale was not readable after {READABLE_LIMIT:?}");
            sleep(LOOK).await;
        }
        let us = u64::try_from(answered.elapsed().as_micros()).context("a time")?;
        samples.saturating_record(us);
        sleep(EVERY).await;
    }
    Ok(samples)
}
