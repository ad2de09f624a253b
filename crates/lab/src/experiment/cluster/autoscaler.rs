//! The gateway's HPA: the same load with as many replicas as it may give, and with one.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::time::Instant;

use super::kubectl::until;
use super::{Cluster, NAMESPACE, Turn};

pub(super) const AUTOSCALED: &str = "autoscaled";
const SCALER: &str = "hpa/gateway";
/// An HPA takes pods away after two minutes without need, one each half minute; a limit of one it obeys at its next look.
const ONE_AGAIN_LIMIT: Duration = Duration::from_secs(300);
/// Between two looks at what the HPA sees and does.
const EVERY: Duration = Duration::from_secs(1);

impl Cluster {
    /// Loads the gateway for so long, with the HPA's own limit of replicas or with a limit of one.
    pub(super) async fn scaled(&self, may_scale: bool, lasts: Duration) -> Result<Turn> {
        let hpa = self.kubectl.json(&["-n", NAMESPACE, "get", SCALER, "-o", "json"]).await?;
        let most = hpa["spec"]["maxReplicas"].as_u64().context("the HPA has no maxReplicas")?;
        let limit = |most: u64| format!("{{\"spec\":{{\"minReplicas\":1,\"maxReplicas\":{most}}}}}");
        let least = hpa["spec"]["minReplicas"].as_u64().unwrap_or(1);
        let back = format!("{{\"spec\":{{\"minReplicas\":{least},\"maxReplicas\":{most}}}}}");
        let _as_it_was = self.kubectl.patch(NAMESPACE, SCALER, &limit(1), &back).await?;
        let alone = async || Ok::<_, anyhow::Error>(self.ready().await? == (1, 1));
        until(ONE_AGAIN_LIMIT, "there is one gateway", alone).await?;
        if may_scale {
            let words = ["-n", NAMESPACE, "patch", SCALER, "--type", "merge", "--patch", &back];
            self.kubectl.run(&words, None).await?;
        }
        let load = self.load(lasts, None).await?;
        let begun = Instant::now();
        let (mut replicas, mut percent, mut second) = (1_u64, 0.0_f64, None);
        while !load.is_over().await? {
            let (_, ready) = self.ready().await?;
            replicas = replicas.max(ready);
            if ready > 1 && second.is_none() {
                second = Some(begun.elapsed());
            }
            percent = percent.max(self.utilization().await?.unwrap_or(0.0));
            tokio::time::sleep(EVERY).await;
        }
        let mut turn = load.result().await?;
        let metrics = &mut turn.metrics;
        #[expect(clippy::cast_precision_loss, reason = "an HPA gives fewer replicas than 2^53")]
        metrics.insert("replicas".to_owned(), replicas as f64);
        metrics.insert("cpu_percent".to_owned(), percent);
        metrics.extend(second.map(|after| ("second_replica_s".to_owned(), after.as_secs_f64())));
        Ok(turn)
    }

    /// Gateways that there are, and those of them that are ready.
    async fn ready(&self) -> Result<(u64, u64)> {
        let deployment =
            self.kubectl.json(&["-n", NAMESPACE, "get", "deployment/gateway", "-o", "json"]).await?;
        let of = |name: &str| deployment["status"][name].as_u64().unwrap_or(0);
        Ok((of("replicas"), of("readyReplicas")))
    }

    /// CPU that gateways use in the mean, percent of what they ask for, as the HPA has seen it last.
    async fn utilization(&self) -> Result<Option<f64>> {
        let hpa = self.kubectl.json(&["-n", NAMESPACE, "get", SCALER, "-o", "json"]).await?;
        let metrics = hpa["status"]["currentMetrics"].as_array().into_iter().flatten();
        let of_cpu = |metric: &Value| metric["resource"]["current"]["averageUtilization"].as_f64();
        Ok(metrics.filter(|metric| metric["resource"]["name"] == "cpu").find_map(of_cpu))
    }
}
