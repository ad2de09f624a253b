//! Whether there are nodes, and whether they can run virtual machines.

use super::object::{Answer, List, Node, Object};
use super::report::Check;

const KVM: &str = "devices.kubevirt.io/kvm";

pub(super) fn ready(nodes: &Answer<List<Node>>) -> Check {
    let check = || {
        let nodes = nodes.seen("nodes")?.map(|nodes| nodes.items.as_slice()).unwrap_or_default();
        let away: Vec<_> = nodes.iter().filter(|node| !node.takes_pods()).map(why_not).collect();
        let ready = nodes.len() - away.len();
        let remedy = "kubectl describe nodes";
        Ok(match (ready, away.as_slice()) {
            (0, []) => Check::problem("nodes", "none", remedy),
            (0, _) => Check::problem("nodes", format!("none takes pods: {}", away.join("; ")), remedy),
            (_, []) => Check::ok("nodes", format!("{ready} ready")),
            _ => Check::warning("nodes", format!("{ready} ready, but {}", away.join("; ")), remedy),
        })
    };
    check().unwrap_or_else(|denied| denied)
}

fn why_not(node: &Node) -> String {
    let name = &node.metadata.name;
    if !node.is_ready() {
        let message = node.condition("Ready").map_or("it says nothing", |ready| ready.message.as_str());
        return format!("{name} is not ready: {message}");
    }
    if node.spec.unschedulable {
        return format!("{name} is cordoned");
    }
    let taints: Vec<_> = node.spec.taints.iter().map(|taint| taint.key.as_str()).collect();
    format!("{name} is tainted by {}", taints.join(", "))
}

/// For overlays with virtual machines. `emulation` is what the deployment would ask for.
pub(super) fn kvm(
    nodes: &Answer<List<Node>>,
    kubevirt: &Answer<List<Object>>,
    emulation: bool,
    overlay: &str,
) -> Check {
    let check = || {
        let nodes = nodes.seen("kvm")?.map(|nodes| nodes.items.as_slice()).unwrap_or_default();
        let kubevirt = kubevirt.seen("kvm")?.and_then(|list| list.items.first());
        let has_kvm = |node: &&Node| node.status.allocatable.get(KVM).is_some_and(|count| count != "0");
        let with_kvm = nodes.iter().filter(has_kvm).count();
        let emulates = kubevirt
            .is_some_and(|kubevirt| kubevirt.part("/configuration/developerConfiguration/useEmulation"));
        let remedy = format!(
            "blackfriday deploy --overlay {overlay} --emulation     # about ten times slower; or nodes with /dev/kvm"
        );
        Ok(match kubevirt {
            _ if with_kvm > 0 => Check::ok("kvm", format!("on {with_kvm} of {} nodes", nodes.len())),
            _ if emulates || emulation => Check::warning(
                "kvm",
                "virtual machines by emulation: about ten times slower",
                "ls -l /dev/kvm     # on a node; where it is there, deploy without --emulation",
            ),
            Some(_) => Check::problem("kvm", "KubeVirt runs, and no node offers /dev/kvm", remedy),
            None => Check::warning(
                "kvm",
                "not to be seen before KubeVirt runs",
                format!("ls -l /dev/kvm     # on a node. Where it is missing:\n{remedy}"),
            ),
        })
    };
    check().unwrap_or_else(|denied| denied)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::report::Verdict;
    use super::*;

    fn node(name: &str, ready: &str, spec: &Value, kvm: &str) -> Value {
        json!({
            "metadata": {"name": name},
            "spec": spec,
            "status": {
                "allocatable": {"cpu": "4", "memory": "8Gi", KVM: kvm},
                "conditions": [
                    {"type": "MemoryPressure", "status": "False"},
                    {"type": "Ready", "status": ready, "message": "PLEG is not healthy"},
                ],
            },
        })
    }

    fn nodes(items: Vec<Value>) -> Answer<List<Node>> {
        Answer::Is(serde_json::from_value(json!({ "items": items })).expect("nodes"))
    }

    fn kubevirt(configuration: &Value) -> Answer<List<Object>> {
        let object = json!({"apiVersion": "kubevirt.io/v1", "kind": "KubeVirt", "spec": {"configuration": configuration}});
        Answer::Is(serde_json::from_value(json!({ "items": [object] })).expect("a KubeVirt"))
    }

    #[test]
    fn a_node_is_wanted_that_takes_pods() {
        let one = node("a", "True", &json!({}), "0");
        assert_eq!(ready(&nodes(vec![one.clone()])), Check::ok("nodes", "1 ready"));
        let cordoned = node("b", "True", &json!({"unschedulable": true}), "0");
        let tainted = node("c", "True", &json!({"taints": [{"key": "gpu", "effect": "NoSchedule"}]}), "0");
        let found = ready(&nodes(vec![one, cordoned.clone(), tainted]));
        assert_eq!(found.verdict, Verdict::Warning);
        assert_eq!(found.seen, "1 ready, but b is cordoned; c is tainted by gpu");
        let found = ready(&nodes(vec![node("a", "False", &json!({}), "0"), cordoned]));
        assert_eq!(found.verdict, Verdict::Problem);
        assert!(found.seen.contains("a is not ready: PLEG is not healthy"), "{}", found.seen);
        assert_eq!(ready(&nodes(Vec::new())).verdict, Verdict::Problem);
        assert_eq!(ready(&Answer::Denied).verdict, Verdict::Warning);
    }

    #[test]
    fn virtual_machines_want_kvm_or_emulation() {
        let (with, without) = (
            nodes(vec![node("a", "True", &json!({}), "1k")]),
            nodes(vec![node("a", "True", &json!({}), "0")]),
        );
        let emulating = kubevirt(&json!({"developerConfiguration": {"useEmulation": true}}));
        let plain = kubevirt(&json!({}));
        let verdict = |nodes, kubevirt, emulation| kvm(nodes, kubevirt, emulation, "minikube").verdict;
        assert_eq!(verdict(&with, &plain, false), Verdict::Ok);
        assert_eq!(verdict(&without, &emulating, false), Verdict::Warning);
        assert_eq!(verdict(&without, &plain, true), Verdict::Warning);
        assert_eq!(verdict(&without, &Answer::Absent, false), Verdict::Warning);
        let found = kvm(&without, &plain, false, "minikube");
        assert_eq!(found.verdict, Verdict::Problem);
        assert!(
            found
                .remedy
                .expect("what to type")
                .starts_with("blackfriday deploy --overlay minikube --emulation")
        );
    }
}
