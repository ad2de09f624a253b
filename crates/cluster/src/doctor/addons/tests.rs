use serde_json::{Value, json};

use super::super::report::Verdict;
use super::*;

fn object(api_version: &str, kind: &str, spec: &Value) -> Object {
    let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": spec});
    serde_json::from_value(object).expect("an object")
}

fn classes(kind: &str, named: &[(&str, bool)]) -> Answer<List<Object>> {
    let class = |(name, default): &(&str, bool)| {
        let annotations = json!({ DEFAULT_CLASS: default.to_string() });
        json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "annotations": annotations}})
    };
    let items: Vec<_> = named.iter().map(class).collect();
    Answer::Is(serde_json::from_value(json!({ "items": items })).expect("classes"))
}

fn groups(served: &[(&str, &[&str])]) -> Answer<Groups> {
    let group = |(name, versions): &(&str, &[&str])| {
        let versions: Vec<_> = versions.iter().map(|version| json!({ "version": version })).collect();
        json!({"name": name, "versions": versions})
    };
    let groups: Vec<_> = served.iter().map(group).collect();
    Answer::Is(serde_json::from_value(json!({ "groups": groups })).expect("groups"))
}

#[test]
fn definitions_are_wanted_in_the_version_of_the_manifests() {
    let kafka =
        [object("kafka.strimzi.io/v1", "Kafka", &json!({})), object("apps/v1", "Deployment", &json!({}))];
    let verdict = |objects: &[Object], served: &[(&str, &[&str])]| {
        let found = definitions(objects, &groups(served));
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].verdict
    };
    assert_eq!(verdict(&kafka, &[("kafka.strimzi.io", &["v1", "v1beta2"])]), Verdict::Ok);
    assert_eq!(verdict(&kafka, &[("kafka.strimzi.io", &["v1beta2"])]), Verdict::Problem);
    assert_eq!(verdict(&kafka, &[("apps", &["v1"])]), Verdict::Warning);
    let keda = [object("keda.sh/v1alpha1", "ScaledObject", &json!({}))];
    assert_eq!(verdict(&keda, &[]), Verdict::Problem);
    let route = [object("gateway.networking.k8s.io/v1", "HTTPRoute", &json!({}))];
    assert_eq!(verdict(&route, &[]), Verdict::Problem);
    assert!(definitions(&[object("networking.k8s.io/v1", "Ingress", &json!({}))], &groups(&[])).is_empty());
}

#[test]
fn metrics_are_wanted_available() {
    let service = |status: &str, message: &str| {
        let condition = json!({"type": "Available", "status": status, "message": message});
        let service = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "status": {"conditions": [condition]},
        });
        Answer::Is(serde_json::from_value(service).expect("an API service"))
    };
    assert_eq!(metrics(&service("True", "all checks passed")).verdict, Verdict::Ok);
    let found = metrics(&service("False", "endpoints have no addresses"));
    assert!(found.verdict == Verdict::Warning && found.seen.contains("no addresses"), "{found:?}");
    assert_eq!(metrics(&Answer::Absent).verdict, Verdict::Warning);
}

#[test]
fn clients_come_in_by_a_class_that_is_there() {
    let objects = [object("networking.k8s.io/v1", "Ingress", &json!({"ingressClassName": "nginx"}))];
    let of_image = |namespace: &str, image: &str| {
        let spec = json!({"containers": [{"name": "controller", "image": image}]});
        let pod = json!({"metadata": {"name": "x", "namespace": namespace}, "spec": spec, "status": {"phase": "Running"}});
        Answer::Is(serde_json::from_value(json!({ "items": [pod] })).expect("a pod"))
    };
    let pod =
        |namespace: &str| of_image(namespace, "registry.k8s.io/ingress-nginx/controller:v1.15.1@sha256:0");
    let verdict = |classes: &Answer<List<Object>>, pods: &Answer<List<Pod>>| {
        ingress(&objects, classes, pods).expect("it has an Ingress").verdict
    };
    let nginx = classes("IngressClass", &[("nginx", false)]);
    assert_eq!(verdict(&nginx, &pod("ingress-nginx")), Verdict::Ok);
    assert_eq!(verdict(&nginx, &pod("elsewhere")), Verdict::Warning);
    assert_eq!(verdict(&classes("IngressClass", &[("gce", false)]), &pod("ingress-nginx")), Verdict::Problem);
    assert_eq!(verdict(&Answer::Absent, &pod("ingress-nginx")), Verdict::Problem);
    for (version, expected) in
        [("v1.14.3", Verdict::Warning), ("v1.15.0@sha256:0", Verdict::Warning), ("v1.16.0", Verdict::Ok)]
    {
        let image = format!("registry.k8s.io/ingress-nginx/controller:{version}");
        assert_eq!(verdict(&nginx, &of_image("ingress-nginx", &image)), expected, "{version}");
    }
    assert_eq!(ingress(&[], &nginx, &pod("x")), None);

    let objects = [object("gateway.networking.k8s.io/v1", "Gateway", &json!({"gatewayClassName": "nginx"}))];
    assert_eq!(gateway(&objects, &Answer::Absent).expect("it has a Gateway").verdict, Verdict::Problem);
    assert_eq!(gateway(&objects, &nginx).expect("it has a Gateway").verdict, Verdict::Ok);
}

#[test]
fn claims_want_a_class() {
    let template = json!({"volumeClaimTemplates": [{"spec": {"accessModes": ["ReadWriteOnce"]}}]});
    let objects = [object("apps/v1", "StatefulSet", &template)];
    let verdict = |named: &[(&str, bool)]| {
        storage(&objects, &classes("StorageClass", named), &Answer::Absent).expect("a claim").verdict
    };
    assert_eq!(verdict(&[("standard", true), ("fast", false)]), Verdict::Ok);
    assert_eq!(verdict(&[("standard", false)]), Verdict::Problem);
    assert_eq!(verdict(&[("standard", true), ("fast", true)]), Verdict::Warning);
    let volumes = json!({"storage": {"volumes": [{"type": "persistent-claim", "class": "fast"}, {"type": "ephemeral"}]}});
    let pool = [object("kafka.strimzi.io/v1", "KafkaNodePool", &volumes)];
    let found = |named: &[(&str, bool)]| {
        storage(&pool, &classes("StorageClass", named), &Answer::Absent).expect("a claim").verdict
    };
    assert_eq!(found(&[("fast", false)]), Verdict::Ok);
    assert_eq!(found(&[("standard", true)]), Verdict::Problem);
    assert_eq!(storage(&[], &Answer::Denied, &Answer::Absent), None);
}

#[test]
fn a_volume_is_made_where_its_pod_is() {
    let claim = [object("v1", "PersistentVolumeClaim", &json!({}))];
    let verdict = |mode: &str, zones: &[&str]| {
        let annotations = json!({ DEFAULT_CLASS: "true" });
        let class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "volumeBindingMode": mode,
            "metadata": {"name": "ssd", "annotations": annotations},
        });
        let classes = Answer::Is(serde_json::from_value(json!({ "items": [class] })).expect("classes"));
        let node = |zone: &&str| json!({"metadata": {"name": zone, "labels": {ZONE: zone}}, "status": {}});
        let nodes: Vec<_> = zones.iter().map(node).collect();
        let nodes = Answer::Is(serde_json::from_value(json!({ "items": nodes })).expect("nodes"));
        storage(&claim, &classes, &nodes).expect("a claim").verdict
    };
    assert_eq!(verdict("Immediate", &["a", "a"]), Verdict::Ok);
    assert_eq!(verdict("Immediate", &["a", "b"]), Verdict::Warning);
    assert_eq!(verdict("WaitForFirstConsumer", &["a", "b"]), Verdict::Ok);
}
