use serde::Deserialize;

use super::report::Check;

/// How many minor versions kubectl may be away from the server: <https://kubernetes.io/releases/version-skew-policy/>.
const SKEW: u64 = 1;

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

/// The 36 of `v1.36.3-gke.17`.
fn minor(version: &str) -> Option<u64> {
    version.strip_prefix("v1.")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn kubectl_is_near_the_server() {
        let verdict = |client: &str, server: &str| {
            let versions = json!({
                "clientVersion": {"major": "1", "gitVersion": client}, "kustomizeVersion": "v5.8.1",
                "serverVersion": {"major": "1", "gitVersion": server},
            });
            check(&serde_json::from_value(versions).expect("versions")).verdict
        };
        assert_eq!(verdict("v1.36.3", "v1.36.0-gke.17"), Verdict::Ok);
        assert_eq!(verdict("v1.35.9", "v1.36.0"), Verdict::Ok);
        assert_eq!(verdict("v1.32.4-dispatcher", "v1.36.0"), Verdict::Warning);
    }
}
