//! Whether the registry gives images to us, to the nodes and to CDI.

use std::collections::BTreeSet;

use serde_json::Value;

use super::object::{Answer, ContainerStatus, List, Object, Pod};
use super::report::{Check, Verdict};

/// What somebody who pulls says, in the words of Go and of containerd, when the registry's certificate is not trusted.
const UNTRUSTED: [&str; 4] =
    ["x509:", "certificate signed by unknown authority", "failed to verify certificate", "tls: "];
/// When there is trust, and the registry answers.
const ANSWERED: [&str; 6] = [
    "not found",
    "unauthorized",
    "denied",
    "authorization failed",
    "failed to authorize",
    "insufficient_scope",
];

/// What came of a node's pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pull {
    Trusted,
    Untrusted,
    Unreachable,
}

/// The images of an overlay, wherever they stand.
pub(super) fn images(objects: &[Object]) -> BTreeSet<String> {
    let of = |object: &Object| {
        let pods = object.pods();
        let disks = object.part::<Vec<Value>>("/template/spec/volumes");
        let disks =
            disks.iter().filter_map(|volume| volume["containerDisk"]["image"].as_str()).map(str::to_owned);
        let containers = pods.init_containers.into_iter().chain(pods.containers);
        containers.map(|container| container.image).chain(disks.collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    objects.iter().flat_map(of).filter(|image| !image.is_empty()).collect()
}

/// The host of the registry that an image names, if it names one.
pub(super) fn host(image: &str) -> Option<&str> {
    let (host, _) = image.split_once('/')?;
    (host == "localhost" || host.contains(['.', ':'])).then_some(host)
}

/// What a message of a failed pull means.
pub(super) fn pull(message: &str) -> Pull {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&UNTRUSTED) {
        Pull::Untrusted
    // A host that is "not found" is no answer of a registry.
    } else if says(&ANSWERED) && !says(&["no such host", "dial tcp"]) {
        Pull::Trusted
    } else {
        Pull::Unreachable
    }
}

/// By what pods that are there say of their images.
pub(super) fn by_nodes(registry: &str, pods: &Answer<List<Pod>>) -> Check {
    let name = "registry, nodes";
    let check = || {
        let pods = pods.seen(name)?.map(|list| list.items.as_slice()).unwrap_or_default();
        let (mut pulled, mut refused) = (0, None);
        for pod in pods {
            for status in pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses) {
                match outcome(status, registry) {
                    Some(Err(message)) => {
                        let pull = pull(&message);
                        let check = failed(pull, registry, &pod.metadata.name, &message);
                        if pull == Pull::Untrusted {
                            return Ok(check);
                        }
                        // So it was when the kubelet last tried, minutes ago. The registry may have been started since,
                        // and a deployment brings what is missing: the image, or the password.
                        refused.get_or_insert(Check { verdict: Verdict::Warning, ..check });
                    }
                    Some(Ok(())) => pulled += 1,
                    None => {}
                }
            }
        }
        Ok(match refused {
            Some(check) => check,
            None if pulled > 0 => Check::ok(name, format!("{pulled} containers run from it")),
            None => {
                let remedy =
                    "blackfriday doctor --probe     # lets each node pull something that is not there";
                Check::warning(name, "not to be seen before a pod pulls from it", remedy)
            }
        })
    };
    check().unwrap_or_else(|denied| denied)
}

/// What came of the pull of an image from this registry, if it is from there and something came of it.
fn outcome(status: &ContainerStatus, registry: &str) -> Option<Result<(), String>> {
    if host(&status.image) != Some(registry) {
        return None;
    }
    match &status.state.waiting {
        Some(waiting) if matches!(waiting.reason.as_str(), "ErrImagePull" | "ImagePullBackOff") => {
            Some(Err(waiting.message.clone()))
        }
        _ => (!status.image_id.is_empty()).then_some(Ok(())),
    }
}

/// A pull that failed.
pub(super) fn failed(pull: Pull, registry: &str, pod: &str, message: &str) -> Check {
    let name = "registry, nodes";
    match pull {
        Pull::Untrusted => Check::problem(
            name,
            format!("{pod}: the node does not trust the certificate of {registry}"),
            "less docs/registry.md     # how a node comes to trust it",
        ),
        Pull::Trusted => Check::problem(
            name,
            format!("{pod}: {}", message.lines().next().unwrap_or_default()),
            format!(
                "nix run .#push -- {registry}     # and k8s/generate.sh --registry {registry}, for the password"
            ),
        ),
        Pull::Unreachable => Check::problem(
            name,
            format!(
                "{pod}: the node did not reach {registry}: {}",
                message.lines().next().unwrap_or_default()
            ),
            format!("curl --insecure https://{registry}/v2/     # on the node: names and firewalls"),
        ),
    }
}

/// For DataVolumes that CDI imports: it has neither the nodes' trust nor the pods' secrets.
pub(super) fn by_cdi(objects: &[Object], cdi: &Answer<List<Object>>) -> Option<Check> {
    let name = "registry, CDI";
    let sources: Vec<_> = objects.iter().flat_map(sources).collect();
    let untrusting: Vec<_> = sources.iter().filter(|source| source["certConfigMap"].is_null()).collect();
    if sources.is_empty() {
        return None;
    }
    if untrusting.is_empty() {
        return Some(Check::ok(name, "each import names its certificates"));
    }
    let check = || {
        let cdi = cdi.seen(name)?.and_then(|list| list.items.first());
        let insecure =
            cdi.map(|cdi| cdi.part::<Vec<String>>("/config/insecureRegistries")).unwrap_or_default();
        let url = |source: &Value| source["url"].as_str().unwrap_or_default().replace("docker://", "");
        let left = untrusting.iter().map(|source| url(source));
        let left: BTreeSet<_> = left.filter_map(|url| host(&url).map(str::to_owned)).collect();
        let left: Vec<_> = left.into_iter().filter(|host| !insecure.contains(host)).collect();
        let remedy = "# in the overlay: certConfigMap: registry-ca next to the import's url; generate.sh makes that ConfigMap";
        Ok(if left.is_empty() {
            Check::warning(name, "CDI imports without looking at certificates", remedy)
        } else {
            Check::warning(name, format!("imports from {} name no certConfigMap", left.join(", ")), remedy)
        })
    };
    Some(check().unwrap_or_else(|denied| denied))
}

fn sources(object: &Object) -> Vec<Value> {
    let specs = match object.kind.as_str() {
        "DataVolume" => vec![object.spec.clone()],
        "VirtualMachine" => object
            .part::<Vec<Value>>("/dataVolumeTemplates")
            .into_iter()
            .map(|template| template["spec"].clone())
            .collect(),
        _ => Vec::new(),
    };
    specs.into_iter().map(|spec| spec["source"]["registry"].clone()).filter(Value::is_object).collect()
}

#[cfg(test)]
mod tests;
