//! What the Vertical Pod Autoscaler recommends, next to what the pods ask for.

use anyhow::{Context as _, Result, ensure};
use blackfriday_terminal::failure::Unavailable;
use serde_json::Value;

use super::{Cluster, MIB, Metrics, NAMESPACE, amount};

pub(super) const RECOMMENDED: &str = "recommended";

impl Cluster {
    /// CPU and memory of each Deployment that has a VPA: what it recommends for them, or what they ask for.
    ///
    /// # Errors
    /// There is no VPA, or one that recommends nothing yet: the error names it.
    pub(super) async fn resources(&self, recommended: bool) -> Result<Metrics> {
        let words = ["-n", NAMESPACE, "get", "verticalpodautoscalers.autoscaling.k8s.io", "-o", "json"];
        let scalers = self.kubectl.json(&words).await?;
        let scalers = scalers["items"].as_array().cloned().unwrap_or_default();
        ensure!(
            !scalers.is_empty(),
            Unavailable(format!(
                "the namespace {NAMESPACE} has no VerticalPodAutoscaler: deploy an overlay with components/vpa"
            ))
        );
        let mut metrics = Metrics::new();
        for scaler in &scalers {
            let target = scaler["spec"]["targetRef"]["name"].as_str().context("a VPA has no target")?;
            let each = recommendations(scaler, target)?;
            let resources = if recommended {
                each.iter().map(|one| one["target"].clone()).collect()
            } else {
                let object = format!("deployment/{target}");
                requests(&self.kubectl.json(&["-n", NAMESPACE, "get", &object, "-o", "json"]).await?, &each)?
            };
            add(&mut metrics, target, &resources).with_context(|| target.to_owned())?;
        }
        Ok(metrics)
    }
}

/// Of each container.
fn recommendations(scaler: &Value, target: &str) -> Result<Vec<Value>> {
    let each = scaler["status"]["recommendation"]["containerRecommendations"].as_array();
    let none = || {
        Unavailable(format!(
            "the VPA of {target} recommends nothing yet: it wants to see load for some minutes"
        ))
    };
    each.filter(|each| !each.is_empty()).cloned().with_context(none)
}

/// What the same containers ask for.
fn requests(deployment: &Value, of: &[Value]) -> Result<Vec<Value>> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array();
    let containers = containers.context("a Deployment has containers")?;
    let named = |one: &Value| {
        let found = containers.iter().find(|container| container["name"] == one["containerName"]);
        Some(found?["resources"]["requests"].clone())
    };
    of.iter()
        .map(|one| named(one).with_context(|| format!("no container {}", one["containerName"])))
        .collect()
}

fn add(metrics: &mut Metrics, target: &str, resources: &[Value]) -> Result<()> {
    let sum = |name: &str| -> Result<f64> {
        resources.iter().map(|each| amount(&each[name]).with_context(|| name.to_owned())).sum()
    };
    metrics.insert(format!("cpu_m.{target}"), sum("cpu")? * 1000.0);
    metrics.insert(format!("mib.{target}"), sum("memory")? / MIB);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_recommended_stands_next_to_what_the_same_containers_ask_for() {
        let one = json!({"containerName": "gateway", "target": {"cpu": "63m", "memory": "262144k"}});
        let scaler = json!({"status": {"recommendation": {"containerRecommendations": [one]}}});
        let each = recommendations(&scaler, "gateway").expect("recommendations");
        let of = |name: &str, cpu: &str| json!({"name": name, "resources": {"requests": {"cpu": cpu, "memory": "128Mi"}}});
        let deployment =
            json!({"spec": {"template": {"spec": {"containers": [of("other", "1"), of("gateway", "50m")]}}}});
        let mut metrics = Metrics::new();
        add(&mut metrics, "gateway", &requests(&deployment, &each).expect("requests")).expect("quantities");
        assert_eq!((metrics["cpu_m.gateway"], metrics["mib.gateway"]), (50.0, 128.0));
        add(&mut metrics, "gateway", &[each[0]["target"].clone()]).expect("quantities");
        assert_eq!((metrics["cpu_m.gateway"], metrics["mib.gateway"]), (63.0, 250.0));
        let silent = recommendations(&json!({}), "relay").expect_err("nothing yet").to_string();
        assert!(silent.contains("relay") && silent.contains("nothing yet"), "{silent}");
    }
}
