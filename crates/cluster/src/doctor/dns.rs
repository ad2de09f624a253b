//! Whether the overlay's policies let pods ask the DNS that this cluster has.
//!
//! By name or by address: kube-dns and `CoreDNS` are pods behind a Service, NodeLocal `DNSCache` is a pod on each node with an
//! address of its own, and Cloud DNS of GKE is an address alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::object::{Answer, List, Object, Pod};
use super::report::Check;

const NAME: &str = "dns";
const NAMESPACE: &str = "kube-system";
const PORT: u64 = 53;
const CACHE: (&str, &str) = ("k8s-app", "node-local-dns");
/// Where Cloud DNS of GKE answers.
const CLOUD_DNS: &str = "169.254.169.254";

/// Whom policies let everybody ask at port 53.
#[derive(Debug, Default)]
struct Allowed {
    pods: Vec<BTreeMap<String, String>>,
    addresses: BTreeSet<String>,
}

/// For overlays with policies.
pub(super) fn check(
    objects: &[Object],
    services: &Answer<List<Object>>,
    pods: &Answer<List<Pod>>,
) -> Option<Check> {
    let policies: Vec<_> = objects.iter().filter(|object| object.kind == "NetworkPolicy").collect();
    if policies.is_empty() {
        return None;
    }
    let allowed = Allowed::by(&policies);
    let check = || {
        let services = services.seen(NAME)?.map(|list| list.items.as_slice()).unwrap_or_default();
        let pods = pods.seen(NAME)?.map(|list| list.items.as_slice()).unwrap_or_default();
        Ok(verdict(&allowed, services, pods))
    };
    Some(check().unwrap_or_else(|denied| denied))
}

fn verdict(allowed: &Allowed, services: &[Object], pods: &[Pod]) -> Check {
    let remedy = "kubectl -n kube-system get pods,services --show-labels     # and add what answers to k8s/base/network-policies/*-deny.yaml";
    let (mut seen, mut barred) = (Vec::new(), Vec::new());
    let mut tell =
        |what: String, is_allowed: bool| if is_allowed { seen.push(what) } else { barred.push(what) };
    for service in services.iter().filter(|service| answers(service)) {
        let selector: BTreeMap<String, String> = service.part("/selector");
        tell(format!("the pods of {}", service.place()), allowed.has_pods(&selector));
    }
    let caches: Vec<_> = pods.iter().filter(|pod| is_cache(pod)).collect();
    if let Some(cache) = caches.first() {
        tell("NodeLocal DNSCache".to_owned(), allowed.has_pods(&cache.metadata.labels));
        for address in addresses(cache) {
            tell(format!("NodeLocal DNSCache at {address}"), allowed.addresses.contains(address));
        }
    }
    if let Some(first) = barred.first() {
        return Check::problem(
            NAME,
            format!("the policies let nobody ask {first}: no name is found"),
            remedy,
        );
    }
    if !seen.is_empty() {
        return Check::ok(NAME, format!("{}, which the policies let everybody ask", seen.join(", ")));
    }
    let found = format!("nothing in {NAMESPACE} answers at port {PORT}");
    if allowed.addresses.contains(CLOUD_DNS) {
        return Check::ok(
            NAME,
            format!("{found}: Cloud DNS, at {CLOUD_DNS}, which the policies let everybody ask"),
        );
    }
    Check::warning(NAME, format!("{found}, and the policies let nobody ask elsewhere"), remedy)
}

/// A Service at port 53 of pods; the one of a cache has none.
fn answers(service: &Object) -> bool {
    let ports: Vec<Value> = service.part("/ports");
    let selector: BTreeMap<String, String> = service.part("/selector");
    service.metadata.namespace == NAMESPACE
        && !selector.is_empty()
        && ports.iter().any(|port| port["port"].as_u64() == Some(PORT))
}

fn is_cache(pod: &Pod) -> bool {
    pod.metadata.namespace == NAMESPACE && pod.metadata.labels.get(CACHE.0).is_some_and(|app| app == CACHE.1)
}

/// On the node itself. The addresses of Services among them are redirected, and known by the pods that they belong to.
fn addresses(cache: &Pod) -> impl Iterator<Item = &str> {
    let arguments = cache.spec.containers.iter().flat_map(|container| &container.args);
    let mut after = arguments.skip_while(|argument| *argument != "-localip").skip(1);
    let listed = after.next().map_or("", String::as_str);
    listed.split(',').filter(|address| address.starts_with("169.254."))
}

impl Allowed {
    fn by(policies: &[&Object]) -> Self {
        let mut allowed = Self::default();
        let rules = policies.iter().flat_map(|policy| policy.part::<Vec<Value>>("/egress"));
        for rule in rules.filter(is_dns) {
            for peer in rule["to"].as_array().into_iter().flatten() {
                allowed.add(peer);
            }
        }
        allowed
    }

    fn add(&mut self, peer: &Value) {
        if let Some(range) = peer["ipBlock"]["cidr"].as_str() {
            self.addresses.extend(range.strip_suffix("/32").map(str::to_owned));
        }
        let namespace = &peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
        let labels = peer["podSelector"]["matchLabels"].as_object().into_iter().flatten();
        if namespace == NAMESPACE {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            self.pods.push(labels.map(|(name, value)| (name.clone(), text(value))).collect());
        }
    }

    fn has_pods(&self, labels: &BTreeMap<String, String>) -> bool {
        self.pods.iter().any(|wanted| wanted.iter().all(|(name, value)| labels.get(name) == Some(value)))
    }
}

fn is_dns(rule: &Value) -> bool {
    rule["ports"].as_array().into_iter().flatten().any(|port| port["port"].as_u64() == Some(PORT))
}

#[cfg(test)]
mod tests;
