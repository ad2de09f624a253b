//! Whether what is scaled can be.

use blackfriday_event::SALES;

use super::capacity::most;
use super::object::{Container, Object};
use super::report::Check;

/// More consumers than partitions would have nothing to do.
pub(super) fn partitions(objects: &[Object]) -> Option<Check> {
    let is_consumer = |object: &&Object| object.kind == "Deployment" && object.metadata.name == "consumer";
    let replicas = objects.iter().find(is_consumer)?.spec["replicas"].as_u64().unwrap_or(1);
    let scales = |object: &&Object| object.part::<String>("/scaleTargetRef/name") == "consumer";
    let consumers = objects.iter().filter(scales).map(most).fold(replicas, u64::max);
    let Some(partitions) = objects.iter().find_map(declared) else {
        let seen = format!("of {SALES}: the overlay does not say how many");
        return Some(Check::warning("partitions", seen, "blackfriday topics create --partitions 6"));
    };
    let seen = format!("{partitions} of {SALES}, at the most {consumers} consumers");
    Some(if partitions >= consumers {
        Check::ok("partitions", seen)
    } else {
        let remedy = format!(
            "# in the overlay: {consumers} partitions of {SALES}, before the first sale; or fewer consumers"
        );
        Check::warning("partitions", format!("{seen}: some would have nothing to do"), remedy)
    })
}

/// By a `KafkaTopic`, or by the arguments of the job that makes it.
fn declared(object: &Object) -> Option<u64> {
    match object.kind.as_str() {
        "KafkaTopic" if object.metadata.name == SALES => object.spec["partitions"].as_u64(),
        "Job" => {
            let pods = object.pods();
            pods.init_containers.iter().chain(&pods.containers).find_map(by_arguments)
        }
        _ => None,
    }
}

fn by_arguments(container: &Container) -> Option<u64> {
    let after = |flag: &str| container.args.iter().skip_while(|word| *word != flag).nth(1);
    let is_create = container.args.iter().any(|word| word == "--create");
    (is_create && after("--topic").is_some_and(|topic| topic == SALES))
        .then(|| after("--partitions")?.parse().ok())?
}

/// Use is measured in parts of the request: without one nothing can be said.
pub(super) fn autoscalers(objects: &[Object]) -> Vec<Check> {
    objects
        .iter()
        .filter(|object| object.kind == "HorizontalPodAutoscaler")
        .map(|scaler| autoscaler(scaler, objects))
        .collect()
}

fn autoscaler(scaler: &Object, objects: &[Object]) -> Check {
    let name = scaler.part::<String>("/scaleTargetRef/name");
    let is_target = |object: &&Object| {
        object.kind == scaler.part::<String>("/scaleTargetRef/kind")
            && object.metadata.name == name
            && object.metadata.namespace == scaler.metadata.namespace
    };
    let (least, most) = (scaler.spec["minReplicas"].as_u64().unwrap_or(1), most(scaler));
    let remedy = format!(
        "# in the overlay: a request of cpu for each container of {name}, and minReplicas ≤ maxReplicas"
    );
    let Some(target) = objects.iter().find(is_target) else {
        return Check::problem("autoscaler", format!("{name} is not in the overlay"), remedy);
    };
    let asks = |container: &&Container| container.resources.requests.contains_key("cpu");
    let pods = target.pods();
    if let Some(silent) = pods.containers.iter().find(|container| !asks(container)) {
        let seen = format!("container {} of {name} asks for no CPU: it is never scaled", silent.name);
        return Check::problem("autoscaler", seen, remedy);
    }
    if least > most {
        return Check::problem("autoscaler", format!("{name} from {least} to {most}"), remedy);
    }
    Check::ok("autoscaler", format!("{name} from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::report::Verdict;
    use super::*;

    fn object(kind: &str, name: &str, spec: &Value) -> Object {
        let object = json!({"apiVersion": "x/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        serde_json::from_value(object).expect("an object")
    }

    fn verdict(objects: &[Object]) -> Verdict {
        partitions(objects).expect("it has consumers").verdict
    }

    #[test]
    fn there_are_partitions_for_all_consumers() {
        let consumer = object("Deployment", "consumer", &json!({"replicas": 2}));
        let topic = |partitions: u64| object("KafkaTopic", "ventas", &json!({ "partitions": partitions }));
        let scaled = json!({"scaleTargetRef": {"name": "consumer"}, "maxReplicaCount": 6});
        let scaled = object("ScaledObject", "consumer", &scaled);
        assert_eq!(verdict(&[consumer.clone(), topic(6), scaled.clone()]), Verdict::Ok);
        assert_eq!(verdict(&[consumer.clone(), topic(4), scaled]), Verdict::Warning);
        assert_eq!(verdict(&[consumer.clone(), topic(1)]), Verdict::Warning);
        assert_eq!(verdict(std::slice::from_ref(&consumer)), Verdict::Warning);
        let create = |topic: &str, partitions: &str| json!({"args": ["--create", "--topic", topic, "--partitions", partitions]});
        let containers = json!([create("ventas", "6"), create("ventas.dlq", "1")]);
        let job =
            object("Job", "kafka-setup", &json!({"template": {"spec": {"initContainers": containers}}}));
        assert_eq!(verdict(&[job, consumer]), Verdict::Ok);
        assert_eq!(partitions(&[topic(1)]), None);
    }

    #[test]
    fn what_is_scaled_asks_for_cpu() {
        let gateway = |requests: &Value| {
            let containers = json!([{"name": "gateway", "resources": {"requests": requests}}]);
            object("Deployment", "gateway", &json!({"template": {"spec": {"containers": containers}}}))
        };
        let scaler = |least: u64| {
            let target = json!({"kind": "Deployment", "name": "gateway"});
            let spec = json!({"scaleTargetRef": target, "minReplicas": least, "maxReplicas": 3});
            object("HorizontalPodAutoscaler", "gateway", &spec)
        };
        let verdict = |objects: &[Object]| autoscalers(objects)[0].verdict;
        let asking = gateway(&json!({"cpu": "250m"}));
        assert_eq!(verdict(&[asking.clone(), scaler(1)]), Verdict::Ok);
        assert_eq!(verdict(&[asking, scaler(4)]), Verdict::Problem);
        assert_eq!(verdict(&[gateway(&json!({"memory": "64Mi"})), scaler(1)]), Verdict::Problem);
        assert_eq!(verdict(&[scaler(1)]), Verdict::Problem);
    }
}
