use serde::Deserialize;

use super::object::{Answer, List, Node, Object};
use super::report::Check;

/// How many minor versions kubectl may be away from the server: <https://kubernetes.io/releases/version-skew-policy/>.
const SKEW: u64 = 1;

/// The oldest Kubernetes 1.x that has all that the manifests use: `preStop.sleep` is the youngest of it.
const OLDEST: u64 = 30;

/// What image volumes want: a minor version of Kubernetes, and a version of containerd.
const IMAGE_VOLUMES: (u64, (u64, u64)) = (35, (2, 1));

/// The minor version of `KubeVirt` 1.x from which on it opens gates that are beta by itself.
const BETA_GATES_OPEN: u64 = 9;

/// What `kubectl version -o json` prints.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Versions {
    client_version: Version,
    #[serde(default)]
    kustomize_version: String,
    server_version: Version,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

pub(super) fn check(versions: &Versions) -> Check {
    let (client, server) = (&versions.client_version.git_version, &versions.server_version.git_version);
    let seen = format!("{client} with Kustomize {}, server {server}", versions.kustomize_version);
    let remedy = "kubectl version     # and install a kubectl of the server's version";
    match (minor(client), minor(server)) {
        (Some(client), Some(server)) if client.abs_diff(server) > SKEW => {
            Check::warning("kubectl", format!("{seen}: more than one minor version apart"), remedy)
        }
        _ => Check::ok("kubectl", seen),
    }
}

/// Whether the server has what the manifests use.
pub(super) fn server(versions: &Versions) -> Check {
    let server = &versions.server_version.git_version;
    match minor(server) {
        Some(found) if found < OLDEST => Check::problem(
            "kubernetes",
            format!("{server}: older than 1.{OLDEST}, which the manifests want"),
            "minikube start --kubernetes-version=stable     # elsewhere: upgrade the cluster",
        ),
        _ => Check::ok("kubernetes", server.clone()),
    }
}

/// Whether machines boot from their disks, if a `KubeVirt` runs that is not as `k8s/operators/kubevirt-cr` has it.
pub(super) fn image_volumes(
    versions: &Versions,
    nodes: &Answer<List<Node>>,
    kubevirt: &Answer<List<Object>>,
) -> Option<Check> {
    let check = || {
        let Some(kubevirt) = kubevirt.seen("disks")?.and_then(|list| list.items.first()) else {
            return Ok(None);
        };
        let shut: Vec<String> = kubevirt.part("/configuration/developerConfiguration/disabledFeatureGates");
        let is_older = kubevirt.status["observedKubeVirtVersion"]
            .as_str()
            .and_then(minor)
            .is_some_and(|found| found < BETA_GATES_OPEN);
        if is_older || shut.iter().any(|gate| gate == "ImageVolume") {
            return Ok(Some(Check::ok("disks", "machines need no image volumes")));
        }
        let (oldest, runtime) = IMAGE_VOLUMES;
        let nodes = nodes.seen("disks")?.map(|nodes| nodes.items.as_slice()).unwrap_or_default();
        let mut lacking: Vec<_> = nodes
            .iter()
            .filter(|node| {
                containerd(&node.status.node_info.container_runtime_version).is_some_and(|has| has < runtime)
            })
            .map(|node| {
                format!("{} has {}", node.metadata.name, node.status.node_info.container_runtime_version)
            })
            .collect();
        if minor(&versions.server_version.git_version).is_some_and(|found| found < oldest) {
            lacking.insert(0, format!("the server is {}", versions.server_version.git_version));
        }
        Ok(Some(if lacking.is_empty() {
            Check::ok("disks", "machines use image volumes, which all nodes can")
        } else {
            let wanted =
                format!("which want Kubernetes 1.{oldest} and containerd {}.{}", runtime.0, runtime.1);
            Check::problem(
                "disks",
                format!(
                    "no machine will boot: KubeVirt uses image volumes, {wanted}; {}",
                    lacking.join("; ")
                ),
                "kubectl apply --server-side --force-conflicts -k k8s/operators/kubevirt-cr",
            )
        }))
    };
    check().unwrap_or_else(Some)
}

/// The (2, 1) of `containerd://2.1.4`.
fn containerd(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.strip_prefix("containerd://")?.trim_start_matches('v').split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The 36 of `v1.36.3-gke.17`.
fn minor(version: &str) -> Option<u64> {
    version.strip_prefix("v1.")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::report::Verdict;
    use super::*;

    fn versions(client: &str, server: &str) -> Versions {
        let versions = json!({
            "clientVersion": {"major": "1", "gitVersion": client}, "kustomizeVersion": "v5.8.1",
            "serverVersion": {"major": "1", "gitVersion": server},
        });
        serde_json::from_value(versions).expect("versions")
    }

    #[test]
    fn an_old_server_lacks_something() {
        let verdict = |version| server(&versions("v1.36.3", version)).verdict;
        assert_eq!(verdict("v1.30.0-gke.1"), Verdict::Ok);
        assert_eq!(verdict("v1.29.14"), Verdict::Problem);
    }

    #[test]
    fn machines_boot_where_image_volumes_are_shut_or_can_be_had() {
        let kubevirt = |gates: &Value, version: &str| {
            let object = json!({
                "apiVersion": "kubevirt.io/v1", "kind": "KubeVirt",
                "spec": {"configuration": {"developerConfiguration": {"disabledFeatureGates": gates}}},
                "status": {"observedKubeVirtVersion": version},
            });
            Answer::Is(serde_json::from_value(json!({ "items": [object] })).expect("a KubeVirt"))
        };
        let verdict = |server: &str, runtime: &str, kubevirt: &Answer<List<Object>>| {
            let node = json!({
                "metadata": {"name": "a"}, "status": {"nodeInfo": {"containerRuntimeVersion": runtime}},
            });
            let nodes = Answer::Is(serde_json::from_value(json!({ "items": [node] })).expect("nodes"));
            image_volumes(&versions("v1.36.3", server), &nodes, kubevirt).map(|check| check.verdict)
        };
        let open = kubevirt(&json!([]), "v1.9.0");
        assert_eq!(verdict("v1.35.0", "containerd://2.1.4", &open), Some(Verdict::Ok));
        assert_eq!(verdict("v1.34.0", "containerd://2.2.1", &open), Some(Verdict::Problem));
        assert_eq!(verdict("v1.35.0", "containerd://1.7.23", &open), Some(Verdict::Problem));
        assert_eq!(verdict("v1.35.0", "cri-o://1.35.0", &open), Some(Verdict::Ok));
        let shut = kubevirt(&json!(["ImageVolume"]), "v1.9.0");
        assert_eq!(verdict("v1.33.1", "containerd://1.7.23", &shut), Some(Verdict::Ok));
        let old = kubevirt(&json!([]), "v1.8.2");
        assert_eq!(verdict("v1.33.1", "containerd://1.7.23", &old), Some(Verdict::Ok));
        assert_eq!(verdict("v1.33.1", "containerd://1.7.23", &Answer::Absent), None);
    }

    #[test]
    fn kubectl_is_near_the_server() {
        let verdict = |client: &str, server: &str| check(&versions(client, server)).verdict;
        assert_eq!(verdict("v1.36.3", "v1.36.0-gke.17"), Verdict::Ok);
        assert_eq!(verdict("v1.35.9", "v1.36.0"), Verdict::Ok);
        assert_eq!(verdict("v1.32.4-dispatcher", "v1.36.0"), Verdict::Warning);
    }
}
