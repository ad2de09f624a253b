use serde_json::{Value, json};

use super::super::report::Verdict;
use super::*;

fn objects(values: Vec<Value>) -> Vec<Object> {
    serde_json::from_value(values.into()).expect("objects")
}

fn requests(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}})
}

fn deployment(name: &str, replicas: u64, cpu: &str, memory: &str) -> Value {
    let containers = json!([{"name": "a", "resources": requests(cpu, memory)}, {"name": "b"}]);
    let init = json!([{"name": "first", "resources": requests("10m", "1Mi")}]);
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "blackfriday"},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": containers, "initContainers": init}}},
    })
}

fn scaler(target: &str, most: u64) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": target, "namespace": "blackfriday"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": target}, "maxReplicas": most},
    })
}

fn nodes(memory: &[&str]) -> Answer<List<Node>> {
    let node = |(at, memory): (usize, &&str)| {
        json!({
            "metadata": {"name": format!("node-{at}")},
            "status": {
                "allocatable": {"cpu": "2", "memory": memory},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        })
    };
    let items: Vec<_> = memory.iter().enumerate().map(node).collect();
    Answer::Is(serde_json::from_value(json!({ "items": items })).expect("nodes"))
}

fn pods(values: &Value) -> Answer<List<Pod>> {
    Answer::Is(serde_json::from_value(json!({ "items": values })).expect("pods"))
}

fn verdicts(needs: &[Need], nodes: &Answer<List<Node>>, pods: &Answer<List<Pod>>) -> Vec<Verdict> {
    let ours = BTreeSet::from(["blackfriday".to_owned()]);
    checks(needs, nodes, pods, &ours).iter().map(|check| check.verdict).collect()
}

#[test]
fn what_is_asked_for_is_added_up_with_what_autoscalers_may_make_of_it() {
    let mut values = vec![deployment("gateway", 1, "500m", "1Gi"), scaler("gateway", 3)];
    values.push(deployment("relay", 2, "250m", "512Mi"));
    let needs = needs(&objects(values));
    assert_eq!(needs.len(), 2);
    assert_eq!((needs[0].count, needs[0].at_most), (1, 3));
    let none = pods(&json!([]));
    assert_eq!(verdicts(&needs, &nodes(&["4Gi"]), &none), [Verdict::Ok, Verdict::Ok]);
    assert_eq!(verdicts(&needs, &nodes(&["3Gi"]), &none), [Verdict::Warning, Verdict::Ok]);
    assert_eq!(verdicts(&needs, &nodes(&["1536Mi"]), &none), [Verdict::Problem, Verdict::Ok]);
    assert_eq!(
        verdicts(&needs, &nodes(&["512Mi", "512Mi", "8Mi"]), &none),
        [Verdict::Problem, Verdict::Problem]
    );
    assert_eq!(verdicts(&needs, &nodes(&[]), &none), []);
    let found = checks(&needs, &nodes(&["3Gi"]), &none, &BTreeSet::new());
    let expected = "1.0 CPU and 2.0 GiB are asked for, 2.0 CPU and 4.0 GiB with all autoscalers at their most; \
        2.0 CPU and 3.0 GiB are free: no room for Deployment blackfriday/gateway to 3";
    assert_eq!(found[0].seen.replace(".00 CPU", ".0 CPU"), expected);
}

#[test]
fn what_others_have_asked_for_is_not_free() {
    let needs = needs(&objects(vec![deployment("gateway", 1, "500m", "1Gi")]));
    let pod = |namespace: &str, phase: &str| {
        json!({
            "metadata": {"name": "x", "namespace": namespace},
            "spec": {"nodeName": "node-0", "containers": [{"name": "x", "resources": requests("1", "3Gi")}]},
            "status": {"phase": phase},
        })
    };
    let of = |namespace, phase| verdicts(&needs, &nodes(&["3584Mi"]), &pods(&json!([pod(namespace, phase)])));
    assert_eq!(of("kube-system", "Running"), [Verdict::Problem, Verdict::Problem]);
    assert_eq!(of("kube-system", "Succeeded"), [Verdict::Ok, Verdict::Ok]);
    assert_eq!(of("blackfriday", "Running"), [Verdict::Ok, Verdict::Ok]);
    let denied = checks(&needs, &nodes(&["1Gi"]), &Answer::Denied, &BTreeSet::new());
    assert_eq!(denied[0].verdict, Verdict::Warning);
}

#[test]
fn operators_and_machines_ask_in_words_of_their_own() {
    let pool = json!({
        "apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaNodePool", "metadata": {"name": "broker"},
        "spec": {"replicas": 3, "resources": requests("250m", "1Gi")},
    });
    let operators = json!({"topicOperator": {"resources": requests("50m", "256Mi")}, "userOperator": {}});
    let kafka =
        json!({"apiVersion": "kafka.strimzi.io/v1", "kind": "Kafka", "spec": {"entityOperator": operators}});
    let domain = json!({"memory": {"guest": "1Gi"}, "resources": requests("250m", "512Mi")});
    let machine = json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "spec": {"template": {"spec": {"domain": domain}}},
    });
    let found = needs(&objects(vec![pool, kafka, machine, json!({"apiVersion": "v1", "kind": "Service"})]));
    let amount = |cpu_millis, mib: u64| Amount { cpu_millis, memory: mib << 20 };
    let amounts: Vec<_> = found.iter().map(|need| (need.each, need.count)).collect();
    assert_eq!(amounts, [(amount(250, 1_024), 3), (amount(50, 256), 1), (amount(250, 1_280), 1)]);
}
