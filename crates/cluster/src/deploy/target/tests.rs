use serde_json::json;

use super::*;

fn waiting(standing: Standing) -> String {
    match standing {
        Standing::Waiting(why) => why,
        Standing::Ready => panic!("it counts as ready"),
    }
}

#[test]
fn a_deployment_is_ready_when_all_of_the_new_pods_serve() {
    let target = Target::new(Kind::Deployment, "blackfriday", "gateway");
    let deployment = |observed: u64, status: Value| {
        let mut object = json!({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status});
        object["status"]["observedGeneration"] = json!(observed);
        target.standing(&object)
    };
    let done = json!({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
    assert_eq!(deployment(2, done.clone()), Standing::Ready);
    assert!(waiting(deployment(1, done)).contains("not seen"));
    let begun = json!({"replicas": 3, "updatedReplicas": 1, "availableReplicas": 2});
    assert_eq!(waiting(deployment(2, begun)), "1 of 2 ready, 2 of the old ones still there");
    assert_eq!(waiting(deployment(2, json!({}))), "0 of 2 ready");
    // Scaled to nothing by an autoscaler or a hand.
    let none =
        json!({"metadata": {"generation": 1}, "spec": {"replicas": 0}, "status": {"observedGeneration": 1}});
    assert_eq!(target.standing(&none), Standing::Ready);
}

#[test]
fn a_stateful_set_counts_ready_pods_of_the_new_revision() {
    let target = Target::new(Kind::StatefulSet, "kafka", "kafka");
    let object = |updated: u64, ready: u64| {
        json!({"metadata": {"generation": 1}, "spec": {"replicas": 1},
            "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": updated, "readyReplicas": ready}})
    };
    assert_eq!(target.standing(&object(1, 1)), Standing::Ready);
    assert_eq!(waiting(target.standing(&object(1, 0))), "0 of 1 ready");
    assert_eq!(waiting(target.standing(&object(0, 1))), "0 of 1 ready, 1 of the old ones still there");
}

#[test]
fn a_custom_resource_says_itself_what_it_waits_for() {
    let target = Target::new(Kind::Kafka, "kafka", "blackfriday");
    let kafka = |conditions: Value| json!({"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": conditions}});
    assert_eq!(target.standing(&kafka(json!([{"type": "Ready", "status": "True"}]))), Standing::Ready);
    let creating = json!([{"type": "NotReady", "status": "True", "reason": "Creating",
        "message": "Kafka cluster is being deployed"}]);
    assert_eq!(waiting(target.standing(&kafka(creating))), "Kafka cluster is being deployed");
    // Without an operator there is no status.
    assert!(waiting(target.standing(&json!({"metadata": {"generation": 1}}))).contains("not seen"));
    assert_eq!(waiting(target.standing(&Value::Null)), "not there yet");

    assert_eq!(Target::new(Kind::Job, "kafka", "kafka-setup").standing(&Value::Null), Standing::Ready);

    let rabbit = Target::new(Kind::RabbitmqCluster, "rabbitmq", "clima-rabbit");
    let cluster = |ready: &str, seen: u64| {
        let conditions = json!([{"type": "AllReplicasReady", "status": ready, "reason": "NotAllPodsReady", "message": "0/1 Pods ready"}]);
        rabbit.standing(&json!({"metadata": {"generation": 2}, "status": {"observedGeneration": seen, "conditions": conditions}}))
    };
    assert_eq!(cluster("True", 2), Standing::Ready);
    assert_eq!(cluster("False", 2), Standing::Waiting("0/1 Pods ready".to_owned()));
    assert!(matches!(cluster("True", 1), Standing::Waiting(_)), "it is about the object of before");
    let machine = Target::new(Kind::VirtualMachine, "valkey", "valkey-0");
    let status = |ready: &str, printable: &str| {
        json!({"status": {"printableStatus": printable, "conditions": [{"type": "Ready", "status": ready,
            "reason": "GuestNotRunning", "message": "Guest VM is not reported as running"}]}})
    };
    assert_eq!(waiting(machine.standing(&status("False", "Starting"))), "Starting");
    assert_eq!(machine.standing(&status("True", "Running")), Standing::Ready);
}

#[test]
fn all_of_a_kind_are_ready_when_each_is_and_there_is_one() {
    let target = Target::all(Kind::KafkaTopic, "kafka");
    let topic = |name: &str, status: &str| {
        json!({"metadata": {"name": name, "generation": 1},
            "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": status}]}})
    };
    let list = |items: Vec<Value>| target.standing(&json!({"kind": "List", "items": items}));
    assert_eq!(list(vec![topic("ventas", "True"), topic("clima", "True")]), Standing::Ready);
    assert_eq!(waiting(list(vec![topic("ventas", "True"), topic("clima", "False")])), "clima: not Ready yet");
    assert_eq!(waiting(list(Vec::new())), "none there yet");
    assert_eq!(
        target.query().join(" "),
        "-n kafka get kafkatopics.kafka.strimzi.io --ignore-not-found -o json"
    );
}
