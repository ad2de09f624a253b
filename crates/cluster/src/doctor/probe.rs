//! Lets each node pull an image that is not there: how that fails says whether the node reaches and trusts the registry.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::images::{Pull, failed, pull};
use super::object::{Answer, List, Node, Pod};
use super::report::Check;
use crate::shell::{Shell, is_late};

const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);
const NAME: &str = "registry, nodes";
const POD: &str = "blackfriday-probe";

/// One node after the other, in the namespace `default`.
pub(super) async fn probe(shell: &Shell, registry: &str, nodes: &Answer<List<Node>>) -> Result<Check> {
    let nodes = match nodes.seen(NAME) {
        Ok(nodes) => nodes.map(|list| list.items.as_slice()).unwrap_or_default(),
        Err(denied) => return Ok(denied),
    };
    let nodes: Vec<_> = nodes.iter().filter(|node| node.takes_pods()).collect();
    for node in &nodes {
        let name = &node.metadata.name;
        let pulled = pulls(shell, registry, name).await;
        // Whatever came of it. A node that is away lets nobody wait for the end of its pod.
        let gone =
            ["delete", "pod", POD, "--namespace", "default", "--ignore-not-found", "--wait=true", "--now"];
        let removed = shell.attempt(&gone, None).await;
        let late = |why: &anyhow::Error| {
            Ok(Check::warning(NAME, format!("{name}: {why}"), "kubectl describe nodes"))
        };
        let pulled = match pulled {
            Err(why) if is_late(&why) => return late(&why),
            pulled => pulled?,
        };
        match pulled {
            Some(message) if pull(&message) == Pull::Trusted => match removed {
                Err(why) if is_late(&why) => return late(&why),
                removed => drop(removed?),
            },
            Some(message) => return Ok(failed(pull(&message), registry, name, &message)),
            None => {
                let seen = format!("{name} did not say within {} s whether it can pull", LIMIT.as_secs());
                return Ok(Check::warning(NAME, seen, "kubectl describe nodes"));
            }
        }
    }
    Ok(Check::ok(NAME, format!("{} nodes reach {registry} and trust it", nodes.len())))
}

/// What the node says of the pull.
async fn pulls(shell: &Shell, registry: &str, node: &str) -> Result<Option<String>> {
    let pod = pod(registry, node).to_string();
    let made = shell.attempt(&["create", "-f", "-"], Some(pod.as_bytes())).await?;
    if !made.is_ok {
        return Ok(None);
    }
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        let words = ["get", "pod", POD, "--namespace", "default", "--ignore-not-found", "-o", "json"];
        if let Some(message) = message(shell.json(&words, None).await?) {
            return Ok(Some(message));
        }
        sleep(PAUSE).await;
    }
    Ok(None)
}

fn pod(registry: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "namespace": "default"},
        "spec": {
            "nodeName": node, "restartPolicy": "Never", "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "probe", "image": format!("{registry}/blackfriday/doctor:none"), "imagePullPolicy": "Always",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    })
}

fn message(pod: Value) -> Option<String> {
    let pod: Pod = serde_json::from_value(pod).ok()?;
    let waiting = pod.status.container_statuses.into_iter().find_map(|status| status.state.waiting)?;
    matches!(waiting.reason.as_str(), "ErrImagePull" | "ImagePullBackOff").then_some(waiting.message)
}
