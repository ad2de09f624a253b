use std::fs;
use std::path::Path;

use super::*;
use crate::deploy::plan::tests::request;
use crate::overlay::tests::of_component;
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

/// What operators make goes with their own objects.
const OF_OPERATORS: [&str; 3] = ["kafka.strimzi.io", "kubevirt.io", "rabbitmq.com"];
/// With every cluster; the label takes them.
const BUILT_IN: [&str; 8] = [
    "apps",
    "autoscaling",
    "batch",
    "kustomize.config.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "v1",
];

#[test]
fn every_kind_that_a_component_brings_is_removed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/components");
    let mut seen = 0;
    for component in fs::read_dir(folder).expect("it is there") {
        let component = component.expect("it can be read").path();
        let name = component.file_name().expect("it has one").to_string_lossy().into_owned();
        let overlay = of_component(&name);
        let removed: Vec<_> = optional(&overlay).iter().map(|step| format!("{step:?}")).collect();
        for file in fs::read_dir(component).into_iter().flatten().flatten() {
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            let word = |begin: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(begin))?;
                Some(line.trim().to_owned())
            };
            let (Some(version), Some(kind)) = (word("apiVersion:"), word("kind:")) else { continue };
            let group = version.split('/').next().expect("it has a first part");
            let is_patch = file.file_name().to_string_lossy().contains(".patch.");
            if is_patch || BUILT_IN.contains(&group) || OF_OPERATORS.contains(&group) {
                continue;
            }
            let namespace = word("  namespace:").unwrap_or_default();
            // In the plural.
            let begin = kind.to_lowercase();
            let wanted = [begin.trim_end_matches('y'), group, &namespace];
            let is_removed = removed.iter().any(|step| wanted.iter().all(|word| step.contains(word)));
            assert!(is_removed, "{name}: {kind} of {group} in {namespace}: {removed:#?}");
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen}");
}
