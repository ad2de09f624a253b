use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use blackfriday_stack::Valkey;
use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::client::histogram;
use super::price::in_cents;
use crate::client::{get, post};

/// Between two samples, and between two looks: a time is late by at most so much. A look at the API reads all totals, and costs
/// the store more.
const EVERY: Duration = Duration::from_millis(100);
const LOOK_AT_STORE: Duration = Duration::from_millis(2);
const LOOK_AT_API: Duration = Duration::from_millis(5);
/// Before a sale counts as lost.
const READABLE_LIMIT: Duration = Duration::from_secs(60);
/// Above every price of the load.
const HIGHEST_CENTS: u64 = 500_000_000;

/// Where a sale is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reader<'a> {
    /// Its product, in the store's ranking.
    Store(&'a Valkey),
    /// Its price as the highest one, in the read API's totals.
    Api(SocketAddr),
}

/// Sales of one field that were sampled: each is of a product of its own, and has a higher price than all before it.
#[derive(Debug, Default)]
pub(super) struct Samples(u64);

impl Samples {
    /// Sells again and again for so long, next to the load; microseconds from each answer until the sale is readable. Every
    /// sale is accepted, and in the histogram once.
    ///
    /// # Errors
    /// A sale is not accepted, or not readable within a minute.
    pub(super) async fn take(
        &mut self,
        reader: Reader<'_>,
        gateway: SocketAddr,
        lasts: Duration,
    ) -> Result<Histogram<u64>> {
        let begin = Instant::now();
        let mut samples = histogram()?;
        while begin.elapsed() < lasts {
            self.0 += 1;
            let cents = HIGHEST_CENTS + self.0;
            let product = sell(gateway, cents).await?;
            let answered = Instant::now();
            while !reader.has(&product, cents).await? {
                ensure!(
                    answered.elapsed() < READABLE_LIMIT,
                    "a sale was not readable after {READABLE_LIMIT:?}"
                );
                sleep(reader.pause()).await;
            }
            let us = u64::try_from(answered.elapsed().as_micros()).context("a time")?;
            samples.saturating_record(us);
            sleep(EVERY).await;
        }
        Ok(samples)
    }
}

impl Reader<'_> {
    pub(super) async fn has(self, product: &str, cents: u64) -> Result<bool> {
        match self {
            Self::Store(store) => {
                Ok(!store.command(&["ZSCORE", "ranking:global", product]).await?.is_empty())
            }
            Self::Api(api) => {
                let totals = get(api, "/api/totales").await?;
                ensure!(totals.status.is_success(), "the read API answered with {}", totals.status);
                match &totals.json[0]["precio_maximo"] {
                    serde_json::Value::Null => Ok(false),
                    serde_json::Value::String(price) => Ok(in_cents(price)? >= u128::from(cents)),
                    other => bail!("the read API has {other} as the highest price"),
                }
            }
        }
    }

    pub(super) const fn pause(self) -> Duration {
        match self {
            Self::Store(_) => LOOK_AT_STORE,
            Self::Api(_) => LOOK_AT_API,
        }
    }
}

/// Sells one of a product that nobody sold before; its id.
pub(super) async fn sell(gateway: SocketAddr, cents: u64) -> Result<String> {
    let product = format!("F-{}", Uuid::now_v7().simple());
    let (whole, rest) = (cents / 100, cents % 100);
    let sale = format!(
        r#"{{"categoria":"Hogar","producto_id":"{product}","precio":{whole}.{rest:02},"cantidad_vendida":1}}"#
    );
    let answer = post(gateway, "/venta", sale).await?;
    ensure!(answer.status.as_u16() == 202, "a sale was answered with {}", answer.status);
    Ok(product)
}
