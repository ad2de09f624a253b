use serde_json::json;

use super::super::report::Verdict;
use super::*;

/// As `k8s/base/network-policies` has it.
fn policies() -> Vec<Object> {
    let pods = |app: &str| {
        json!({
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": app}},
        })
    };
    let address = |cidr: &str| json!({"ipBlock": {"cidr": cidr}});
    let to = [
        pods("kube-dns"),
        pods("node-local-dns"),
        address("169.254.20.10/32"),
        address("169.254.169.254/32"),
    ];
    let other = json!({"to": [address("10.0.0.1/32")], "ports": [{"port": 443}]});
    let egress = json!([other, {"to": to, "ports": [{"protocol": "UDP", "port": 53}]}]);
    vec![object(&json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "deny"},
        "spec": {"egress": egress},
    }))]
}

fn object(value: &Value) -> Object {
    serde_json::from_value(value.clone()).expect("an object")
}

fn services(selectors: &[&Value]) -> Answer<List<Object>> {
    let service = |selector: &&Value| {
        object(&json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns", "namespace": "kube-system"},
            "spec": {"selector": selector, "ports": [{"name": "metrics", "port": 9153}, {"port": 53}]},
        }))
    };
    Answer::Is(List { items: selectors.iter().map(service).collect() })
}

fn cache(app: &str, localip: &str) -> Answer<List<Pod>> {
    let pod = json!({
        "metadata": {"name": "node-local-dns-x", "namespace": "kube-system", "labels": {"k8s-app": app}},
        "spec": {"containers": [{"args": ["-conf", "/etc/Corefile", "-localip", localip, "-upstreamsvc", "x"]}]},
    });
    Answer::Is(serde_json::from_value(json!({ "items": [pod] })).expect("pods"))
}

fn look(services: &Answer<List<Object>>, pods: &Answer<List<Pod>>) -> Check {
    check(&policies(), services, pods).expect("it has policies")
}

#[test]
fn every_kind_of_dns_is_known_and_who_is_not_let_through_is_told() {
    let nobody = Answer::Absent;
    let kube_dns = services(&[&json!({"k8s-app": "kube-dns"})]);
    let found = look(&kube_dns, &nobody);
    assert!(found.verdict == Verdict::Ok && found.seen.contains("kube-system/dns"), "{found:?}");
    let found = look(&services(&[&json!({"k8s-app": "kube-dns"}), &json!({"app": "coredns"})]), &nobody);
    assert!(found.verdict == Verdict::Problem && found.seen.contains("let nobody ask"), "{found:?}");

    let found = look(&kube_dns, &cache("node-local-dns", "169.254.20.10,10.96.0.10"));
    assert!(found.verdict == Verdict::Ok && found.seen.contains("at 169.254.20.10"), "{found:?}");
    let found = look(&kube_dns, &cache("node-local-dns", "169.254.25.10"));
    assert!(found.verdict == Verdict::Problem && found.seen.contains("169.254.25.10"), "{found:?}");

    // Pods with another label are no cache; neither is there a Service of pods.
    let found = look(&services(&[&json!({})]), &cache("other", "169.254.25.10"));
    assert!(found.verdict == Verdict::Ok && found.seen.contains("Cloud DNS"), "{found:?}");
}

#[test]
fn without_an_arrow_to_cloud_dns_nobody_is_known() {
    let mut policies = policies();
    policies[0].spec["egress"][1]["to"].as_array_mut().expect("peers").pop();
    let found = check(&policies, &Answer::Absent, &Answer::Absent).expect("it has policies");
    assert_eq!(found.verdict, Verdict::Warning, "{found:?}");
    assert_eq!(check(&[], &Answer::Absent, &Answer::Absent), None);
    assert_eq!(look(&Answer::Denied, &Answer::Absent).verdict, Verdict::Warning);
}
