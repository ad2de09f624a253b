use serde_json::json;

use super::super::report::Verdict;
use super::*;

fn object(kind: &str, rest: &Value) -> Object {
    let mut object =
        json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "ventas", "namespace": "kafka"}});
    let members = object.as_object_mut().expect("an object");
    members.extend(rest.as_object().expect("an object").clone());
    serde_json::from_value(object).expect("an object")
}

fn topic(replicas: u64, config: &Value) -> Object {
    object("KafkaTopic", &json!({"spec": {"replicas": replicas, "config": config}}))
}

fn job(arguments: &[&str]) -> Object {
    let containers = json!([{"name": "topic", "image": "blackfriday/kafka:0.2.0", "args": arguments}]);
    object("Job", &json!({"spec": {"template": {"spec": {"containers": containers}}}}))
}

#[test]
fn an_acknowledged_record_must_have_two_copies_where_there_are_three() {
    let verdict = |objects: &[Object]| {
        let found = copies(objects);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].verdict
    };
    let least = |least: u64| json!({ "min.insync.replicas": least });
    assert_eq!(verdict(&[topic(3, &least(2))]), Verdict::Ok);
    assert_eq!(verdict(&[topic(1, &least(1))]), Verdict::Ok);
    assert_eq!(verdict(&[topic(1, &json!({}))]), Verdict::Ok);
    assert_eq!(verdict(&[topic(3, &least(1))]), Verdict::Problem);
    assert_eq!(verdict(&[topic(3, &json!({}))]), Verdict::Problem, "the broker's default is 1");
    assert_eq!(verdict(&[topic(3, &least(3))]), Verdict::Warning);
    assert_eq!(verdict(&[topic(1, &least(2))]), Verdict::Problem);
    assert_eq!(verdict(&[topic(3, &json!({"min.insync.replicas": "2"}))]), Verdict::Ok, "as a text");

    let broker = object("Kafka", &json!({"spec": {"kafka": {"config": {"min.insync.replicas": 2}}}}));
    assert_eq!(verdict(&[broker, topic(3, &json!({}))]), Verdict::Ok, "the broker says it");
    let make = ["--create", "--topic", "ventas", "--replication-factor", "3", "--config", "x=y"];
    assert_eq!(verdict(&[job(&make)]), Verdict::Problem);
    assert_eq!(verdict(&[job(&[&make[..], &["--config", "min.insync.replicas=2"]].concat())]), Verdict::Ok);
    assert!(copies(&[job(&["--describe", "--topic", "ventas"])]).is_empty());
}

#[test]
fn topics_that_keep_the_producers_times_are_told() {
    let log_time = json!({"message.timestamp.type": "LogAppendTime"});
    assert_eq!(times(&[topic(1, &log_time)])[0].verdict, Verdict::Ok);
    let found = times(&[topic(1, &log_time), topic(1, &json!({}))]);
    assert!(found[0].verdict == Verdict::Warning && found[0].seen.starts_with("ventas keep"), "{found:?}");
    assert_eq!(
        times(&[topic(1, &json!({"message.timestamp.type": "CreateTime"}))])[0].verdict,
        Verdict::Warning
    );
    let file =
        json!({"data": {"server.properties": "node.id=0\nlog.message.timestamp.type=LogAppendTime\n"}});
    assert_eq!(times(&[object("ConfigMap", &file), topic(1, &json!({}))])[0].verdict, Verdict::Ok);
    assert!(times(&[]).is_empty());
}

#[test]
fn a_store_that_may_drop_keys_is_a_problem() {
    let file = |line: &str| {
        object("ConfigMap", &json!({"data": {"valkey.conf": format!("maxmemory 1gb\n{line}\n")}}))
    };
    let verdict = |object: Object| eviction(&[object]).map(|check| check.verdict);
    assert_eq!(verdict(file("maxmemory-policy noeviction")), Some(Verdict::Ok));
    assert_eq!(verdict(file("maxmemory-policy allkeys-lru")), Some(Verdict::Problem));
    assert_eq!(verdict(file("# maxmemory-policy allkeys-lru")), None);
    assert_eq!(
        verdict(job(&["valkey-server", "--maxmemory-policy", "volatile-lru"])),
        Some(Verdict::Problem)
    );
    let init = json!([{"name": "configure", "image": "r.test:5000/blackfriday/valkey-config@sha256:0"}]);
    let containers = json!([{"name": "valkey", "image": "r.test:5000/blackfriday/valkey:0.2.0"}]);
    let pod = json!({"spec": {"template": {"spec": {"initContainers": init, "containers": containers}}}});
    assert_eq!(verdict(object("StatefulSet", &pod)), Some(Verdict::Ok));
    assert_eq!(verdict(object("VirtualMachine", &json!({"spec": {}}))), Some(Verdict::Ok));
    let containers = json!([{"name": "store", "image": "docker.io/valkey/valkey:8.1"}]);
    let foreign = object("StatefulSet", &json!({"spec": {"template": {"spec": {"containers": containers}}}}));
    let found = eviction(&[foreign]).expect("a store of others");
    assert!(found.verdict == Verdict::Warning && found.seen.contains("kafka/ventas"), "{found:?}");
}
