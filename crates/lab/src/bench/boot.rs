//! The store is killed and starts again, in a virtual machine as if its plug was pulled; then sales come in at a steady rate.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

use super::measure::{Bench, Measure};
use super::subject::Subject;
use crate::client::get_text;
use crate::durations::{buckets, within};
use crate::service::Service;

const QUANTILES: [f64; 2] = [0.5, 0.99];

impl Bench {
    /// How long the store's boot took, and how long the consumer's round trips to it then take.
    pub(super) async fn boot(&mut self, lasts: Duration) -> Result<Measure> {
        let [consumer, ..] = Service::CONSUMERS;
        self.field.store.kill()?;
        let begun = Instant::now();
        self.field.store.restart().await?;
        let boot = begun.elapsed();
        self.field.processes.wait_ready(consumer, true).await?;
        // What it has lost is counted by now, and no part of what is measured.
        self.field.until_counted(self.accepted).await?;
        let admin = self.field.processes.admin(consumer);
        let before = buckets(&get_text(admin, "/metrics").await?);
        let measure = self.count(Subject::Boot, Service::LogGateway, lasts).await?;
        let after = buckets(&get_text(admin, "/metrics").await?);
        let ms = QUANTILES.map(|quantile| within(&before, &after, quantile).map(|seconds| seconds * 1000.0));
        let [Some(half), Some(most)] = ms else { return None.context("the consumer applied no batch") };
        Ok(Measure { boot_s: Some(boot.as_secs_f64()), apply_ms: Some([half, most]), ..measure })
    }
}
