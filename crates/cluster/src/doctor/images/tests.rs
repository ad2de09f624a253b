use serde_json::json;

use super::super::report::Verdict;
use super::*;

fn pods(image: &str, image_id: &str, waiting: &Value) -> Answer<List<Pod>> {
    let status = json!({"image": image, "imageID": image_id, "state": waiting});
    let pod = json!({
        "metadata": {"name": "gateway-1", "namespace": "blackfriday"}, "spec": {},
        "status": {"phase": "Pending", "containerStatuses": [status]},
    });
    Answer::Is(serde_json::from_value(json!({ "items": [pod] })).expect("pods"))
}

fn object(kind: &str, spec: &Value) -> Object {
    serde_json::from_value(json!({"apiVersion": "x/v1", "kind": kind, "spec": spec})).expect("an object")
}

#[test]
fn a_failed_pull_says_what_is_missing() {
    // As containerd and CRI-O put it.
    for (message, expected) in [
        (
            "failed to pull and unpack image \"r:5000/a@sha256:0\": failed to resolve reference: failed to do request: \
            Head \"https://r:5000/v2/a/manifests/x\": tls: failed to verify certificate: x509: certificate signed by \
            unknown authority",
            Pull::Untrusted,
        ),
        ("reading manifest 1 in r:5000/a: manifest unknown: not found", Pull::Trusted),
        ("failed to authorize: failed to fetch anonymous token: 401 Unauthorized", Pull::Trusted),
        ("Head \"https://r:5000/v2/\": dial tcp: lookup r on 10.0.0.1:53: no such host", Pull::Unreachable),
        ("dial tcp 10.0.0.7:5000: connect: connection refused", Pull::Unreachable),
        ("", Pull::Unreachable),
    ] {
        assert_eq!(pull(message), expected, "{message}");
    }
}

#[test]
fn nodes_are_judged_by_what_they_pulled() {
    let waiting = |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    let verdict = |pods: &Answer<List<Pod>>| by_nodes("r.example:5000", pods).verdict;
    let image = "r.example:5000/blackfriday/gateway@sha256:0";
    assert_eq!(verdict(&pods(image, "sha256:1", &json!({"running": {}}))), Verdict::Ok);
    assert_eq!(verdict(&pods(image, "", &waiting("ErrImagePull", "x509: bad"))), Verdict::Problem);
    assert_eq!(verdict(&pods(image, "", &waiting("ContainerCreating", ""))), Verdict::Warning);
    // Otherwise nothing could be deployed that repairs it.
    for message in ["401 Unauthorized", "dial tcp 10.0.0.7:5000: connect: connection refused"] {
        let refused = by_nodes("r.example:5000", &pods(image, "", &waiting("ImagePullBackOff", message)));
        assert_eq!(refused.verdict, Verdict::Warning, "{refused:?}");
        assert!(refused.seen.contains("gateway-1: ") && refused.seen.contains(message), "{refused:?}");
    }
    assert_eq!(
        verdict(&pods("other.example/x:1", "", &waiting("ErrImagePull", "x509: bad"))),
        Verdict::Warning
    );
    assert_eq!(verdict(&Answer::Absent), Verdict::Warning);
    let found =
        by_nodes("r.example:5000", &pods(image, "", &waiting("ImagePullBackOff", "tls: unknown authority")));
    assert!(found.seen.contains("does not trust the certificate of r.example:5000"), "{found:?}");
}

#[test]
fn images_stand_in_pods_and_in_machines() {
    let pod = json!({"containers": [{"image": "r:5000/a:1"}], "initContainers": [{"image": "b:1"}]});
    let machine =
        json!({"template": {"spec": {"volumes": [{"containerDisk": {"image": "r:5000/disk:1"}}, {}]}}});
    let cron = json!({"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"image": "c/d:1"}]}}}}});
    let objects = [
        object("Deployment", &json!({"template": {"spec": pod}})),
        object("VirtualMachine", &machine),
        object("CronJob", &cron),
    ];
    let found: Vec<_> = images(&objects).into_iter().collect();
    assert_eq!(found, ["b:1", "c/d:1", "r:5000/a:1", "r:5000/disk:1"]);
    let hosts: Vec<_> = found.iter().filter_map(|image| host(image)).collect();
    assert_eq!(hosts, ["r:5000", "r:5000"]);
}

#[test]
fn an_import_wants_certificates_of_its_own() {
    let source = |certificates: Option<&str>| {
        let registry = json!({"url": "docker://r.example:5000/disk:1", "certConfigMap": certificates});
        [object("DataVolume", &json!({"source": {"registry": registry}}))]
    };
    assert_eq!(
        by_cdi(&source(Some("registry-ca")), &Answer::Absent).expect("an import").verdict,
        Verdict::Ok
    );
    let found = by_cdi(&source(None), &Answer::Absent).expect("an import");
    assert!(found.verdict == Verdict::Warning && found.seen.contains("r.example:5000 name no"), "{found:?}");
    let blank = object("DataVolume", &json!({"source": {"blank": {}}}));
    assert_eq!(by_cdi(&[blank], &Answer::Absent), None);
}
