//! Whether what the overlay asks for fits into what the nodes have left.

use std::collections::{BTreeMap, BTreeSet};

use super::object::{Answer, List, Node, Object, Pod, Resources};
use super::report::Check;
use crate::quantity::Amount;

/// What KubeVirt's own processes take in addition to a small guest, about:
/// <https://kubevirt.io/user-guide/compute/node_overcommit/>.
const AROUND_A_GUEST: Amount = Amount { cpu_millis: 0, memory: 256 << 20 };

/// Pods that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    name: String,
    pub(super) namespace: String,
    pub(super) each: Amount,
    count: u64,
    /// As many as an autoscaler may make of them.
    pub(super) at_most: u64,
    /// They end by themselves: they must fit, but not next to all others.
    ends: bool,
}

/// What is left on each node that takes pods, after what others have asked for.
type Free = BTreeMap<String, Amount>;

/// What the objects of an overlay ask for.
pub(super) fn needs(objects: &[Object]) -> Vec<Need> {
    objects.iter().filter_map(|object| need(object, objects)).collect()
}

fn need(object: &Object, all: &[Object]) -> Option<Need> {
    let replicas = object.spec["replicas"].as_u64().unwrap_or(1);
    let (each, count, ends) = match object.kind.as_str() {
        "Deployment" | "StatefulSet" => (object.pods().requests(), replicas, false),
        "Job" | "CronJob" => (object.pods().requests(), 1, true),
        "KafkaNodePool" | "RabbitmqCluster" => {
            (Amount::of(&object.part::<Resources>("/resources").requests), replicas, false)
        }
        "Kafka" => (operators_of(object), 1, false),
        "VirtualMachine" => (guest(object), 1, false),
        _ => return None,
    };
    let at_most = all.iter().filter(|scaler| scales(scaler, object)).map(most).fold(count, u64::max);
    let (name, namespace) =
        (format!("{} {}", object.kind, object.place()), object.metadata.namespace.clone());
    Some(Need { name, namespace, each, count, at_most, ends })
}

fn operators_of(kafka: &Object) -> Amount {
    let operators = ["/entityOperator/topicOperator/resources", "/entityOperator/userOperator/resources"];
    operators.iter().map(|pointer| Amount::of(&kafka.part::<Resources>(pointer).requests)).sum()
}

fn guest(machine: &Object) -> Amount {
    let asked = Amount::of(&machine.part::<Resources>("/template/spec/domain/resources").requests);
    let memory = machine.part::<String>("/template/spec/domain/memory/guest");
    let guest = Amount::of(&BTreeMap::from([("memory".to_owned(), memory)]));
    asked.max(guest) + AROUND_A_GUEST
}

/// Whether the first is an autoscaler of the second.
fn scales(scaler: &Object, object: &Object) -> bool {
    matches!(scaler.kind.as_str(), "HorizontalPodAutoscaler" | "ScaledObject")
        && scaler.metadata.namespace == object.metadata.namespace
        && scaler.part::<String>("/scaleTargetRef/name") == object.metadata.name
        && object.kind == "Deployment"
}

/// As many as an autoscaler may make.
pub(super) fn most(scaler: &Object) -> u64 {
    let most = ["maxReplicas", "maxReplicaCount"].iter().find_map(|name| scaler.spec[name].as_u64());
    most.unwrap_or(1)
}

/// Pods in `ours` are those of an earlier deployment: they make room for the new ones.
pub(super) fn free(nodes: &[Node], pods: &[Pod], ours: &BTreeSet<String>) -> Free {
    let left = |node: &Node| {
        let is_others = |pod: &&Pod| {
            pod.spec.node_name == node.metadata.name
                && !matches!(pod.status.phase.as_str(), "Succeeded" | "Failed")
                && !ours.contains(&pod.metadata.namespace)
        };
        let taken = pods.iter().filter(is_others).map(|pod| pod.spec.requests()).sum();
        (node.metadata.name.clone(), Amount::of(&node.status.allocatable).without(taken))
    };
    nodes.iter().filter(|node| node.takes_pods()).map(left).collect()
}

pub(super) fn checks(
    needs: &[Need],
    nodes: &Answer<List<Node>>,
    pods: &Answer<List<Pod>>,
    ours: &BTreeSet<String>,
) -> Vec<Check> {
    let free = || {
        let nodes = nodes.seen("capacity")?.map(|list| list.items.as_slice()).unwrap_or_default();
        let pods = pods.seen("capacity")?.map(|list| list.items.as_slice()).unwrap_or_default();
        Ok(free(nodes, pods, ours))
    };
    match free() {
        Ok(free) if free.is_empty() => Vec::new(),
        Ok(free) => vec![all(needs, &free), one_by_one(needs, &free)],
        Err(denied) => vec![denied],
    }
}

fn all(needs: &[Need], free: &Free) -> Check {
    let lasting = || needs.iter().filter(|need| !need.ends);
    let least: Amount = lasting().map(|need| need.each.times(need.count)).sum();
    let most: Amount = lasting().map(|need| need.each.times(need.at_most)).sum();
    let has: Amount = free.values().copied().sum();
    let seen = format!("{least} are asked for, {most} with all autoscalers at their most; {has} are free");
    let remedy = "kubectl describe nodes     # what takes the room; or larger nodes, or more of them";
    if !least.fits(has) {
        Check::problem("capacity", seen, remedy)
    } else if !most.fits(has) {
        let scaled: Vec<_> = lasting().filter(|need| need.at_most > need.count).collect();
        let scaled: Vec<_> = scaled.iter().map(|need| format!("{} to {}", need.name, need.at_most)).collect();
        Check::warning("capacity", format!("{seen}: no room for {}", scaled.join(", ")), remedy)
    } else {
        Check::ok("capacity", seen)
    }
}

fn one_by_one(needs: &[Need], free: &Free) -> Check {
    let fits = |need: &&Need| free.values().any(|free| need.each.fits(*free));
    let too_large: Vec<_> = needs.iter().filter(|need| !fits(need)).collect();
    let Some(first) = too_large.first() else {
        let largest = needs.iter().map(|need| need.each).fold(Amount::default(), Amount::max);
        return Check::ok("largest pod", format!("fits a node: no pod asks for more than {largest}"));
    };
    let names: Vec<_> = too_large.iter().map(|need| format!("{} ({})", need.name, need.each)).collect();
    let seen = format!("no node has room for {}", names.join(", "));
    let (kind, place) = first.name.split_once(' ').unwrap_or_default();
    Check::problem(
        "largest pod",
        seen,
        format!(
            "kubectl describe nodes     # or ask for less: the requests of {kind} {place}, by a patch in the overlay"
        ),
    )
}

#[cfg(test)]
mod tests;
