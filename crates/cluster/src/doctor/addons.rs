//! What a cluster must have in addition to Kubernetes itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::object::{Answer, Condition, List, Node, Object, Pod};
use super::report::Check;

const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
const ZONE: &str = "topology.kubernetes.io/zone";
/// In the older ones who may write an Ingress runs code in the controller, which may read every Secret: CVE-2026-3288 and its like.
const INGRESS_NGINX: [u64; 3] = [1, 15, 1];
/// Made by `blackfriday deploy` where they are missing.
const DEPLOYED: [&str; 3] = ["kafka.strimzi.io", "kubevirt.io", "rabbitmq.com"];

/// What the API server serves.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Groups {
    groups: Vec<Group>,
}

#[derive(Debug, Clone, Deserialize)]
struct Group {
    name: String,
    versions: Vec<Version>,
}

#[derive(Debug, Clone, Deserialize)]
struct Version {
    version: String,
}

/// Each group that is not Kubernetes' own, in the version that the manifests are written in.
pub(super) fn definitions(objects: &[Object], groups: &Answer<Groups>) -> Vec<Check> {
    let served = match groups.seen("definitions") {
        Ok(groups) => groups.map(|groups| groups.groups.as_slice()).unwrap_or_default(),
        Err(denied) => return vec![denied],
    };
    let mut wanted: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for object in objects {
        // Kubernetes' own have no dot, or end like this.
        if let Some((group, version)) = object.api_version.split_once('/')
            && group.contains('.')
            && (!group.ends_with(".k8s.io") || group.starts_with("gateway.networking."))
        {
            wanted.entry((group, version)).or_default().insert(&object.kind);
        }
    }
    wanted.into_iter().map(|((group, version), kinds)| definition(group, version, &kinds, served)).collect()
}

fn definition(group: &str, version: &str, kinds: &BTreeSet<&str>, served: &[Group]) -> Check {
    let kinds = kinds.iter().copied().collect::<Vec<_>>().join(", ");
    let name = "definitions";
    let versions = served.iter().find(|served| served.name == group).map(|served| &served.versions);
    match versions {
        Some(versions) if versions.iter().any(|served| served.version == version) => {
            Check::ok(name, format!("{group}/{version} is served"))
        }
        Some(versions) => {
            let versions: Vec<_> = versions.iter().map(|served| served.version.as_str()).collect();
            let seen = format!("{group} is served as {}, and {kinds} want {version}", versions.join(", "));
            Check::problem(
                name,
                seen,
                format!("kubectl get crd | grep {group}     # and upgrade its operator"),
            )
        }
        None if DEPLOYED.contains(&group) => Check::warning(
            name,
            format!("{group}/{version} is not there yet: `deploy` installs it"),
            "blackfriday deploy     # or apply the folder in k8s/operators",
        ),
        None => Check::problem(
            name,
            format!("{group}/{version} is not there, and {kinds} want it"),
            "less k8s/README.md     # install what serves it, or leave the component out",
        ),
    }
}

/// For autoscalers: without it they do nothing.
pub(super) fn metrics(service: &Answer<Object>) -> Check {
    let name = "metrics-server";
    let remedy = "minikube addons enable metrics-server     # elsewhere: kubectl -n kube-system get deployment metrics-server";
    let check = || {
        let Some(service) = service.seen(name)? else {
            return Ok(Check::warning(name, "not there: the gateway is not scaled", remedy));
        };
        let conditions = Vec::<Condition>::deserialize(&service.status["conditions"]).unwrap_or_default();
        let available = conditions.iter().find(|condition| condition.kind == "Available");
        Ok(match available {
            Some(condition) if condition.status == "True" => Check::ok(name, "available"),
            Some(condition) => Check::warning(
                name,
                format!("not available, the gateway is not scaled: {}", condition.message),
                remedy,
            ),
            None => Check::warning(name, "it says nothing of itself", remedy),
        })
    };
    check().unwrap_or_else(|denied| denied)
}

/// By which clients come in, if the overlay has Ingresses.
pub(super) fn ingress(
    objects: &[Object],
    classes: &Answer<List<Object>>,
    pods: &Answer<List<Pod>>,
) -> Option<Check> {
    let wanted = named(objects, "Ingress", "/ingressClassName");
    let first = wanted.first()?;
    let remedy = "minikube addons enable ingress     # elsewhere: docs/deploy-gke.md, docs/deploy-plain.md";
    Some(has("ingress", &wanted, classes, remedy, |found| {
        let in_place = |pod: &Pod| pod.metadata.namespace == "ingress-nginx" && pod.status.phase == "Running";
        let pods = pods.seen("ingress")?.map(|list| list.items.as_slice());
        let runs = pods.is_none_or(|pods| pods.iter().any(in_place));
        let old = pods.unwrap_or_default().iter().filter(|pod| in_place(pod)).find_map(outdated);
        Ok(if let Some(image) = old {
            let seen =
                format!("{found}, by {image}, which has known holes: {} is wanted", dotted(&INGRESS_NGINX));
            Check::warning("ingress", seen, "less docs/deploy-gke.md     # another way in, or upgrade it")
        } else if runs {
            Check::ok("ingress", found)
        } else {
            let seen = format!(
                "class {first}, but nothing runs in ingress-nginx, and the policies let nothing else in"
            );
            Check::warning("ingress", seen, remedy)
        })
    }))
}

/// The image of an ingress-nginx that is older than it may be.
fn outdated(pod: &Pod) -> Option<&str> {
    let images = pod.spec.containers.iter().map(|container| container.image.as_str());
    images.filter(|image| image.contains("ingress-nginx/controller")).find(|image| {
        let tag = image.split_once(":v").map_or("", |(_, tag)| tag.split('@').next().unwrap_or_default());
        let numbers: Vec<u64> = tag.split('.').map_while(|number| number.parse().ok()).collect();
        numbers.len() == INGRESS_NGINX.len() && numbers[..] < INGRESS_NGINX[..]
    })
}

fn dotted(version: &[u64]) -> String {
    version.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// By which clients come in, if the overlay has HTTPRoutes.
pub(super) fn gateway(objects: &[Object], classes: &Answer<List<Object>>) -> Option<Check> {
    let wanted = named(objects, "Gateway", "/gatewayClassName");
    wanted.first()?;
    let remedy = "kubectl get gatewayclasses     # and install an implementation of the Gateway API";
    Some(has("gateway class", &wanted, classes, remedy, |found| Ok(Check::ok("gateway class", found))))
}

fn named(objects: &[Object], kind: &str, pointer: &str) -> BTreeSet<String> {
    let of_kind = objects.iter().filter(|object| object.kind == kind);
    of_kind.map(|object| object.part::<String>(pointer)).filter(|name| !name.is_empty()).collect()
}

fn has(
    name: &'static str,
    wanted: &BTreeSet<String>,
    classes: &Answer<List<Object>>,
    remedy: &str,
    then: impl FnOnce(String) -> Result<Check, Check>,
) -> Check {
    let check = || {
        let found = classes.seen(name)?.map(|list| list.items.as_slice()).unwrap_or_default();
        let found: BTreeSet<_> = found.iter().map(|class| class.metadata.name.clone()).collect();
        let missing: Vec<_> = wanted.difference(&found).cloned().collect();
        if missing.is_empty() {
            return then(format!("class {}", wanted.iter().cloned().collect::<Vec<_>>().join(", ")));
        }
        Ok(Check::problem(name, format!("no class {}: no request gets in", missing.join(", ")), remedy))
    };
    check().unwrap_or_else(|denied| denied)
}

/// For claims: those that name no class want a default.
pub(super) fn storage(
    objects: &[Object],
    classes: &Answer<List<Object>>,
    nodes: &Answer<List<Node>>,
) -> Option<Check> {
    let wanted: Vec<_> = objects.iter().flat_map(claims).collect();
    if wanted.is_empty() {
        return None;
    }
    let remedy = "kubectl get storageclasses\n\
        kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true";
    let check = || {
        let found = classes.seen("storage")?.map(|list| list.items.as_slice()).unwrap_or_default();
        let is_default =
            |class: &&Object| class.metadata.annotations.get(DEFAULT_CLASS).is_some_and(|is| is == "true");
        let defaults: Vec<_> = found.iter().filter(is_default).map(Object::place).collect();
        let is_there = |name: &&String| found.iter().any(|class| class.metadata.name == **name);
        let missing: BTreeSet<_> = wanted.iter().flatten().filter(|name| !is_there(name)).cloned().collect();
        if let Some(class) = missing.first() {
            return Ok(Check::problem("storage", format!("no class {class}, which claims name"), remedy));
        }
        Ok(match defaults.as_slice() {
            _ if wanted.iter().all(Option::is_some) => {
                Check::ok("storage", "the classes that claims name are there")
            }
            [] => Check::problem("storage", "no default class: claims stay pending", remedy),
            [one] if binds_anywhere(found, one) && zones(nodes) > 1 => {
                let seen = format!(
                    "default class {one} makes a volume before its pod has a node, in whichever zone"
                );
                Check::warning(
                    "storage",
                    seen,
                    "kubectl get storageclasses     # one with WaitForFirstConsumer",
                )
            }
            [one] => Check::ok("storage", format!("default class {one}")),
            many => {
                Check::warning("storage", format!("several default classes: {}", many.join(", ")), remedy)
            }
        })
    };
    Some(check().unwrap_or_else(|denied| denied))
}

/// Whether volumes of a class are made at once.
fn binds_anywhere(classes: &[Object], name: &str) -> bool {
    classes.iter().any(|class| class.metadata.name == name && class.volume_binding_mode == "Immediate")
}

fn zones(nodes: &Answer<List<Node>>) -> usize {
    let nodes = nodes.seen("storage").ok().flatten().map(|list| list.items.as_slice()).unwrap_or_default();
    nodes.iter().filter_map(|node| node.metadata.labels.get(ZONE)).collect::<BTreeSet<_>>().len()
}

/// The class of each claim that an object makes, if it names one.
fn claims(object: &Object) -> Vec<Option<String>> {
    let class = |claim: &serde_json::Value, name: &str| claim[name].as_str().map(str::to_owned);
    let each = |claims: &serde_json::Value, of: &dyn Fn(&serde_json::Value) -> Option<Option<String>>| {
        claims.as_array().into_iter().flatten().filter_map(of).collect()
    };
    match object.kind.as_str() {
        "PersistentVolumeClaim" => vec![class(&object.spec, "storageClassName")],
        "StatefulSet" => each(&object.spec["volumeClaimTemplates"], &|claim| {
            Some(class(&claim["spec"], "storageClassName"))
        }),
        "KafkaNodePool" => each(&object.spec["storage"]["volumes"], &|volume| {
            (volume["type"] == "persistent-claim").then(|| class(volume, "class"))
        }),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
