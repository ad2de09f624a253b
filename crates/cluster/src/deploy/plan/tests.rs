use std::time::Duration;

use super::*;
use crate::overlay::tests::real;
use crate::shell::Shell;

/// As if the nodes had the images.
pub(crate) fn request(overlay: &str) -> Request {
    Request {
        overlay: real(overlay),
        registry: None,
        domain: None,
        emulation: false,
        preflight: true,
        images: Vec::new(),
        workload: None,
        access: NodeAccess::default(),
        run: "1".to_owned(),
        data: false,
        rollback: false,
        mirror: None,
    }
}

fn with_registry(overlay: &str) -> Request {
    let image = |name: &str| (PathBuf::from(format!("/i/{name}")), format!("blackfriday/{name}:0.2.0"));
    Request {
        registry: Some("registry.test:5000".to_owned()),
        images: ["gateway", "kafka", "locust", "valkey-disk"].map(image).to_vec(),
        workload: Some(PathBuf::from("w.toml")),
        access: NodeAccess {
            username: Some("blackfriday".to_owned()),
            password_file: Some(PathBuf::from("password")),
            ca: Some(PathBuf::from("ca.crt")),
        },
        ..request(overlay)
    }
}

fn text(request: &Request) -> String {
    let shell = Shell::new(None, None, Duration::ZERO);
    deploy(request).iter().flat_map(|step| step.commands(&shell)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_plain_overlay_is_brought_up_by_these_commands() {
    let expected = include_str!("plain.txt");
    let found = text(&with_registry("plain"));
    assert!(found == expected, "crates/cluster/src/deploy/plan/plain.txt should be:\n{found}");
}

#[test]
fn the_minikube_overlay_is_brought_up_by_these_commands() {
    let expected = include_str!("minikube.txt");
    let found = text(&with_registry("minikube"));
    assert!(found == expected, "crates/cluster/src/deploy/plan/minikube.txt should be:\n{found}");
}

#[test]
fn gke_differs_from_minikube_by_its_folder_alone() {
    let minikube = text(&with_registry("minikube"));
    assert_eq!(text(&with_registry("gke")), minikube.replace("minikube", "gke"));
}

#[test]
fn only_what_the_overlay_has_is_pushed() {
    let pushed = |overlay| {
        let is_push = |step: &Step| match step {
            Step::Push { to, .. } | Step::PushWorkload { to, .. } => Some(to.clone()),
            _ => None,
        };
        deploy(&with_registry(overlay)).iter().filter_map(is_push).collect::<Vec<_>>().join(" ")
    };
    let at = "registry.test:5000/blackfriday";
    assert_eq!(pushed("plain"), format!("{at}/gateway:0.2.0 {at}/kafka:0.2.0 {at}/workload:0.2.0"));
    assert_eq!(pushed("gke"), format!("{at}/gateway:0.2.0 {at}/valkey-disk:0.2.0 {at}/workload:0.2.0"));
    assert!(!text(&request("plain")).contains("push"));
}

#[test]
fn what_others_made_is_copied_before_anything_is_applied() {
    let mirrored = Request { mirror: Some("linux/arm64".to_owned()), ..with_registry("plain") };
    let (with, without) = (text(&mirrored), text(&with_registry("plain")));
    let generated = without.lines().find(|line| line.contains("generate.sh")).expect("it generates");
    let copied = "kustomize build k8s/overlays/plain | blackfriday image mirror registry.test:5000 --kustomize \
                  k8s/generated/images --mirror-platform linux/arm64";
    assert_eq!(with, without.replace(generated, &format!("{generated}\n{copied}\n{generated}")));
}

#[test]
fn what_operators_bring_is_copied_before_they_are_installed() {
    let mirrored = Request { mirror: Some("linux/amd64".to_owned()), ..with_registry("minikube") };
    let with = text(&mirrored);
    let at = |what: &str| with.find(what).unwrap_or_else(|| panic!("{what} is not in\n{with}"));
    let installed = at("kubectl get crd kafkas.kafka.strimzi.io");
    for name in ["strimzi", "rabbitmq", "kubevirt"] {
        let fetched = at(&format!("bash k8s/operators/fetch.sh {name}\n"));
        let copied = at(&format!("kustomize build k8s/operators/{name} | blackfriday image mirror"));
        assert!(fetched < copied && copied < installed, "{name}");
    }
    let taken = with.rfind("bash k8s/generate.sh").expect("it generates");
    assert!(with.rfind("image mirror").is_some_and(|copied| copied < taken) && taken < installed, "{with}");
}

#[test]
fn a_rollback_takes_the_images_of_before_and_is_a_deployment_otherwise() {
    let back = text(&Request { rollback: true, ..request("plain") });
    assert_eq!(
        back,
        text(&request("plain")).replace("bash k8s/generate.sh\n", "bash k8s/generate.sh --rollback\n")
    );
    assert!(back.contains("generate.sh --rollback\n"), "{back}");
}

#[test]
fn a_password_from_the_environment_goes_by_standard_input() {
    let mut request = with_registry("plain");
    request.access.password_file = None;
    let Step::Generate { line, .. } = generate(&request) else { panic!("it generates") };
    assert_eq!(
        line.to_string(),
        "printenv BLACKFRIDAY_REGISTRY_PASSWORD | env BLACKFRIDAY_REGISTRY_USERNAME=blackfriday \
         BLACKFRIDAY_REGISTRY_PASSWORD_FILE=/dev/stdin BLACKFRIDAY_REGISTRY_CA=ca.crt bash k8s/generate.sh \
         --registry registry.test:5000"
    );
    request.access = NodeAccess::default();
    request.domain = Some("shop.test".to_owned());
    let Step::Generate { line, .. } = generate(&request) else { panic!("it generates") };
    assert_eq!(line.to_string(), "bash k8s/generate.sh --domain shop.test");
}

#[test]
fn emulation_changes_kubevirt_alone() {
    let with = text(&Request { emulation: true, ..with_registry("minikube") });
    let without = with.replace("kubevirt-cr-emulation", "kubevirt-cr").replace(" --emulation", "");
    assert_eq!(without, text(&with_registry("minikube")));
    assert!(with.contains("k8s/operators/kubevirt-cr-emulation"), "{with}");
}

#[test]
fn everything_that_is_waited_for_comes_after_it_was_applied() {
    for overlay in ["plain", "minikube", "gke"] {
        let steps = deploy(&request(overlay));
        let at = |wanted: &dyn Fn(&Step) -> bool| steps.iter().position(wanted).expect("a step");
        let applied = at(&|step| matches!(step, Step::Apply { force: true, .. }));
        let first =
            at(&|step| matches!(step, Step::Await(target) if target.namespace == Some("blackfriday")));
        let smoke = at(&|step| matches!(step, Step::Try { cron_job: "smoke", .. }));
        let generated = at(&|step| matches!(step, Step::Generate { .. }));
        assert!(generated < applied && applied < first && first < smoke, "{overlay}");
        assert_eq!(steps.last(), Some(&Step::Addresses));
    }
}
