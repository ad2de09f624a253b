use serde_json::Value;

use super::{Fault, Patience, items, text, warning};

/// What is wrong with the claims that a pod names.
pub(crate) fn of_claims(pod: &Value, claims: &[Value], events: &[Value]) -> Vec<Fault> {
    let namespace = text(pod, "/metadata/namespace");
    let named = items(&pod["spec"]["volumes"]).map(|volume| text(volume, "/persistentVolumeClaim/claimName"));
    let named = named.filter(|claim| !claim.is_empty());
    let find = |name: &str| {
        claims.iter().find(|claim| {
            text(claim, "/metadata/name") == name && text(claim, "/metadata/namespace") == namespace
        })
    };
    named.filter_map(|name| find(name).and_then(|claim| of_claim(claim, events))).collect()
}

fn of_claim(claim: &Value, events: &[Value]) -> Option<Fault> {
    let (namespace, name) = (text(claim, "/metadata/namespace"), text(claim, "/metadata/name"));
    let object = format!("claim {namespace}/{name}");
    let look = format!("type: kubectl -n {namespace} describe pvc {name}");
    match text(claim, "/status/phase") {
        "Lost" => {
            let fault = Fault::new(object, "Lost", "its volume is gone");
            Some(fault.advise(look).lasting(Patience::None))
        }
        "Pending" => {
            let class = text(claim, "/spec/storageClassName");
            // A class that waits for the pod leaves the claim pending, too, but warns of nothing.
            let event = warning(events, claim, &["ProvisioningFailed", "FailedBinding"]);
            let (message, advice) = match event {
                Some(event) => (text(event, "/message").to_owned(), look),
                None if class.is_empty() => {
                    let advice = "make one the default: kubectl get storageclass, then kubectl patch storageclass NAME -p \
                        '{\"metadata\":{\"annotations\":{\"storageclass.kubernetes.io/is-default-class\":\"true\"}}}'";
                    (
                        "no storage class is set, and the cluster has no default one".to_owned(),
                        advice.to_owned(),
                    )
                }
                None => return None,
            };
            Some(Fault::new(object, "Pending", &message).advise(advice).lasting(Patience::Long))
        }
        _ => None,
    }
}
