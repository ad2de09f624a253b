use super::*;
use crate::deploy::plan::tests::request;
use crate::shell::Shell;

fn text(overlay: &str, data: bool) -> String {
    let shell = Shell::new(None, None, std::time::Duration::ZERO);
    let steps = delete(&Request { data, ..request(overlay) });
    steps.iter().flat_map(|step| step.commands(&shell)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn without_data_neither_claims_nor_secrets_nor_topics_go() {
    for overlay in ["plain", "minikube", "gke"] {
        let text = text(overlay, false);
        for kept in ["persistentvolumeclaims", "datavolumes", "secrets", "rm ", "delete namespace "] {
            assert!(!text.contains(kept), "{overlay}, {kept}:\n{text}");
        }
    }
    let text = text("minikube", false);
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} is not in\n{text}"));
    assert!(at("create configmap kafka-cluster-id") < at("strimzi.io/managed=false"));
    assert!(at("strimzi.io/managed=false") < at("delete kafkatopics"));
    assert!(
        at("delete rabbitmqclusters.rabbitmq.com --all --cascade=orphan")
            < at("-l app.kubernetes.io/part-of=rabbitmq")
    );
    assert!(at("-l app.kubernetes.io/part-of=rabbitmq") < at("-n rabbitmq-system delete deployments"));
}

#[test]
fn who_uses_goes_before_who_is_used_and_operators_go_last() {
    let text = text("minikube", true);
    let order = [
        "-n blackfriday delete cronjobs",
        "-n kafka delete kafkatopics.kafka.strimzi.io --all",
        "-n kafka delete kafkausers",
        "-n kafka delete kafkas.kafka",
        "-n kafka delete kafkanodepools",
        "-n rabbitmq delete rabbitmqclusters.rabbitmq.com --all --cascade=foreground",
        "-n valkey delete virtualmachines",
        "-n kubevirt delete kubevirt kubevirt",
        "-n kubevirt delete deployments",
        "-n rabbitmq-system delete deployments",
        "-n kafka delete deployments,configmaps,serviceaccounts,roles,rolebindings -l blackfriday/operator=strimzi",
        "-n kafka delete persistentvolumeclaims --all",
        "-n rabbitmq delete persistentvolumeclaims --all",
        "-n redis delete persistentvolumeclaims --all",
        "-n valkey delete datavolumes.cdi.kubevirt.io --all",
        "-n valkey delete persistentvolumeclaims --all",
        "delete namespace valkey",
        "rm -r k8s/generated/secrets",
        "rm -r k8s/generated/operators",
    ];
    let found = order.map(|what| text.find(what).unwrap_or_else(|| panic!("{what} is not in\n{text}")));
    assert!(found.is_sorted(), "{found:?}\n{text}");
    assert!(!text.contains("managed=false"), "with the data, topics go as well");
}

#[test]
fn the_question_names_what_is_lost() {
    let kept = losses(&request("plain"));
    assert!(kept.contains("Kept: claims"), "{kept}");
    let lost = losses(&Request { data: true, ..request("plain") });
    for what in [
        "every accepted event",
        "k8s/generated/secrets",
        "blackfriday, kafka, monitoring, rabbitmq, redis, valkey",
    ] {
        assert!(lost.contains(what), "{lost}");
    }
}
