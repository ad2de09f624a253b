//! Which folders of the manifests a place takes in.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use blackfriday_terminal::failure::Usage;

const COMPONENTS: &str = "../../components/";
/// As a component names another one.
const BESIDE: &str = "../";
/// Every image of ours.
const IMAGES: [&str; 15] = [
    "blackfriday/gateway",
    "blackfriday/relay",
    "blackfriday/writer",
    "blackfriday/consumer",
    "blackfriday/dashboard",
    "blackfriday/verify",
    "blackfriday/load",
    "blackfriday/valkey-config",
    "blackfriday/kafka",
    "blackfriday/valkey",
    "blackfriday/rabbitmq",
    "blackfriday/redis",
    "blackfriday/valkey-disk",
    "blackfriday/locust",
    "blackfriday/grafana",
];

/// A place to deploy to: a folder in `overlays/`, and what it takes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overlay {
    pub(crate) name: String,
    /// Where base, components, operators and overlays are.
    pub(crate) manifests: PathBuf,
    components: BTreeSet<String>,
}

impl Overlay {
    pub(crate) fn read(manifests: &Path, name: &str) -> Result<Self> {
        ensure!(
            !name.is_empty() && !name.contains('/') && !name.starts_with('.'),
            Usage(format!("--overlay {name:?}: the name of a folder in {} is wanted", manifests.display()))
        );
        let file = manifests.join("overlays").join(name).join("kustomization.yaml");
        let text = fs::read_to_string(&file).with_context(|| {
            let known = known(manifests).join(", ");
            Usage(format!("--overlay {name}: read {} (overlays there: {known})", file.display()))
        })?;
        let mut overlay = Self::parse(manifests, name, &text);
        overlay.add_nested();
        ensure!(
            overlay.is_kafka_strimzi() != overlay.has("kafka-plain")
                && overlay.is_valkey_kubevirt() != overlay.has("valkey-plain"),
            Usage(format!("{}: one component kafka-* and one valkey-* are wanted", file.display()))
        );
        let weather =
            (overlay.is_rabbitmq_operator() != overlay.has("rabbitmq-plain")) && overlay.has("redis");
        ensure!(
            weather || !overlay.has_weather(),
            Usage(format!("{}: clima wants one component rabbitmq-*, and redis", file.display()))
        );
        Ok(overlay)
    }

    /// A component is a line of the list, as Kustomize's own `edit` writes it.
    fn parse(manifests: &Path, name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            manifests: manifests.to_owned(),
            components: listed(text, COMPONENTS).collect(),
        }
    }

    /// What its components take in themselves.
    fn add_nested(&mut self) {
        let mut found: Vec<_> = self.components.iter().cloned().collect();
        while let Some(component) = found.pop() {
            let file = self.manifests.join("components").join(component).join("kustomization.yaml");
            // One that is not there, Kustomize names.
            let text = fs::read_to_string(file).unwrap_or_default();
            found.extend(listed(&text, BESIDE).filter(|nested| self.components.insert(nested.clone())));
        }
    }

    pub(crate) fn has(&self, component: &str) -> bool {
        self.components.contains(component)
    }

    pub(crate) fn is_kafka_strimzi(&self) -> bool {
        self.has("kafka-strimzi")
    }

    pub(crate) fn is_valkey_kubevirt(&self) -> bool {
        self.has("valkey-kubevirt")
    }

    pub(crate) fn is_rabbitmq_operator(&self) -> bool {
        self.has("rabbitmq-operator")
    }

    /// Whether there is a RabbitMQ, by whomever.
    pub(crate) fn has_rabbitmq(&self) -> bool {
        self.is_rabbitmq_operator() || self.has("rabbitmq-plain")
    }

    /// Whether weather has two logs and two stores.
    pub(crate) fn has_weather(&self) -> bool {
        self.has("clima")
    }

    /// A folder below the manifests, as a word of a command.
    pub(crate) fn folder(&self, below: &str) -> String {
        self.manifests.join(below).display().to_string()
    }

    pub(crate) fn own_folder(&self) -> String {
        self.folder(&format!("overlays/{}", self.name))
    }

    /// Whether an image of ours, such as `blackfriday/kafka`, is in it.
    pub(crate) fn uses(&self, image: &str) -> bool {
        match image {
            "blackfriday/valkey-disk" => self.is_valkey_kubevirt(),
            "blackfriday/kafka" => self.has("kafka-plain"),
            "blackfriday/rabbitmq" => self.has("rabbitmq-plain"),
            "blackfriday/redis" => self.has("redis"),
            "blackfriday/locust" => self.has("locust"),
            "blackfriday/grafana" => self.has("grafana-image"),
            _ => true,
        }
    }

    /// The images of ours that are in it.
    pub(crate) fn images(&self) -> impl Iterator<Item = &'static str> {
        IMAGES.into_iter().filter(move |image| self.uses(image))
    }
}

/// The folders of a list whose entries begin like this.
fn listed<'a>(text: &'a str, begin: &'a str) -> impl Iterator<Item = String> + 'a {
    let entries = text.lines().filter_map(move |line| line.trim().strip_prefix("- ")?.strip_prefix(begin));
    entries.filter_map(|entry| entry.split_whitespace().next()).map(str::to_owned)
}

fn known(manifests: &Path) -> Vec<String> {
    let entries = fs::read_dir(manifests.join("overlays")).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One of the repository's own, as if it lay in `k8s`.
    pub(crate) fn real(name: &str) -> Overlay {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s");
        let overlay = Overlay::read(&path, name).expect("an overlay");
        Overlay { manifests: PathBuf::from("k8s"), ..overlay }
    }

    /// With nothing but this one.
    pub(crate) fn of_component(name: &str) -> Overlay {
        Overlay::parse(Path::new("k8s"), "mine", &format!("  - {COMPONENTS}{name}\n"))
    }

    #[test]
    fn the_overlays_are_what_their_components_say() {
        assert!(!real("plain").is_kafka_strimzi() && !real("plain").is_valkey_kubevirt());
        for name in ["minikube", "gke"] {
            assert!(real(name).is_kafka_strimzi() && real(name).is_valkey_kubevirt(), "{name}");
            assert!(real(name).has("grafana") && !real(name).has("locust"), "{name}");
            assert!(real(name).is_rabbitmq_operator() && !real(name).uses("blackfriday/rabbitmq"), "{name}");
        }
        for name in ["minikube", "gke", "plain"] {
            assert!(real(name).has_weather() && real(name).uses("blackfriday/redis"), "{name}");
        }
        assert!(real("plain").uses("blackfriday/rabbitmq") && !real("plain").is_rabbitmq_operator());
        assert!(real("plain").uses("blackfriday/kafka") && !real("plain").uses("blackfriday/valkey-disk"));
        assert_eq!(real("plain").own_folder(), "k8s/overlays/plain");
    }

    #[test]
    fn every_image_that_manifests_name_is_known() {
        let checks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/tests/render.sh");
        let text = fs::read_to_string(checks).expect("it is there");
        let line = text.lines().find_map(|line| line.strip_prefix("images=(")?.strip_suffix(')'));
        let named: Vec<_> =
            line.expect("it lists them").split(' ').map(|name| format!("blackfriday/{name}")).collect();
        assert_eq!(named, IMAGES);
        let needed =
            |name| real(name).images().map(|image| image.replace("blackfriday/", "")).collect::<Vec<_>>();
        let services =
            ["gateway", "relay", "writer", "consumer", "dashboard", "verify", "load", "valkey-config"];
        assert_eq!(needed("gke"), [&services[..], &["valkey", "redis", "valkey-disk", "grafana"]].concat());
        assert_eq!(needed("plain"), [&services[..], &["kafka", "valkey", "rabbitmq", "redis"]].concat());
    }

    #[test]
    fn what_a_component_takes_in_is_in_the_overlay() {
        let (folder, real) = (tempfile::tempdir().expect("a folder"), real("plain"));
        let components = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/components");
        std::os::unix::fs::symlink(components, folder.path().join("components")).expect("a link");
        let file = folder.path().join("overlays/mine/kustomization.yaml");
        fs::create_dir_all(file.parent().expect("it has one")).expect("make it");
        let names = ["kafka-plain", "valkey-plain", "gateway-gke", "grafana-helm"];
        let lines = names.map(|name| format!("  - ../../components/{name}\n"));
        fs::write(file, lines.concat()).expect("write it");
        let overlay = Overlay::read(folder.path(), "mine").expect("an overlay");
        for nested in ["gateway-api", "grafana", "grafana-redis", "valkey-common"] {
            assert!(overlay.has(nested), "{nested}: {:?}", overlay.components);
        }
        assert!(real.has("valkey-common") && !real.has("gateway-api") && !overlay.has("redis"));
    }

    #[test]
    fn weather_wants_a_rabbitmq_and_a_redis() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = |components: &[&str]| {
            let lines = components.iter().map(|name| format!("  - ../../components/{name}\n"));
            let text = ["kafka-plain", "valkey-plain"].map(|name| format!("  - ../../components/{name}\n"));
            let file = folder.path().join("overlays/mine/kustomization.yaml");
            fs::create_dir_all(file.parent().expect("it has one")).expect("make it");
            fs::write(file, text.into_iter().chain(lines).collect::<String>()).expect("write it");
            Overlay::read(folder.path(), "mine").is_ok()
        };
        assert!(read(&[]) && read(&["redis", "rabbitmq-plain"]));
        assert!(
            read(&["redis", "rabbitmq-operator", "clima"]) && read(&["redis", "rabbitmq-plain", "clima"])
        );
        assert!(!read(&["clima"]) && !read(&["rabbitmq-plain", "clima"]) && !read(&["redis", "clima"]));
        assert!(!read(&["redis", "rabbitmq-plain", "rabbitmq-operator", "clima"]));
    }

    #[test]
    fn an_overlay_that_is_none_is_a_wrong_argument() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s");
        for name in ["", "../base", "mars"] {
            let error = Overlay::read(&path, name).expect_err(name);
            assert_eq!(blackfriday_terminal::failure::exit_code(&error, &[]), 64, "{error:#}");
        }
        let error = Overlay::read(&path, "mars").expect_err("none");
        assert!(format!("{error:#}").contains("minikube"), "{error:#}");
    }
}
