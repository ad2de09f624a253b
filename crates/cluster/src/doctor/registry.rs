//! The registry as this machine sees it.

use std::collections::BTreeSet;

use blackfriday_registry::{RegistryClient, RegistryError, reference};

use super::images::host;
use super::report::Check;

const NAME: &str = "registry";

/// Whether it answers, with a certificate that is trusted here, and has what the overlay names of it.
pub(super) async fn from_here(client: &RegistryClient, registry: &str, images: &BTreeSet<String>) -> Check {
    let wanted: Vec<_> = images.iter().filter(|image| host(image) == Some(registry)).cloned().collect();
    // Something that is not there is an answer, too.
    let asked =
        if wanted.is_empty() { vec![format!("{registry}/blackfriday/doctor:none")] } else { wanted.clone() };
    let mut absent = Vec::new();
    for image in &asked {
        let answer = match reference(image) {
            Ok(reference) => client.manifest(&reference).await.map(drop),
            Err(error) => Err(error),
        };
        match answer {
            // An index is an answer, too: of an image for several platforms.
            Ok(()) | Err(RegistryError::Manifest { .. } | RegistryError::Index { .. }) => {}
            Err(RegistryError::Absent { .. }) => absent.push(image.as_str()),
            Err(error) => return failed(registry, error),
        }
    }
    match (wanted.len(), absent.as_slice()) {
        (0, _) => Check::ok(NAME, format!("{registry} answers, and is trusted here")),
        (all, []) => Check::ok(NAME, format!("{registry} has all {all} images")),
        (all, absent) => {
            let seen = format!("{registry} lacks {} of {all} images: {}", absent.len(), absent.join(", "));
            Check::warning(NAME, seen, format!("nix run .#push -- {registry}     # `deploy` does it, too"))
        }
    }
}

fn failed(registry: &str, error: RegistryError) -> Check {
    if matches!(error, RegistryError::Denied { .. }) {
        let remedy = "export BLACKFRIDAY_REGISTRY_USERNAME=… BLACKFRIDAY_REGISTRY_PASSWORD_FILE=…";
        return Check::problem(NAME, error.to_string(), remedy);
    }
    let is_client = matches!(error, RegistryError::Reference { .. });
    let why = format!("{:#}", anyhow::Error::from(error));
    // In OpenSSL's words.
    if why.contains("certificate") {
        let remedy = "blackfriday doctor --registry-ca ca.crt     # its authority: docs/registry.md";
        return Check::problem(
            NAME,
            format!("{registry} has a certificate that is not trusted here"),
            remedy,
        );
    }
    let remedy = if is_client {
        "blackfriday doctor --registry registry.example:5000".to_owned()
    } else {
        format!(
            "curl --insecure https://{registry}/v2/     # names, firewalls; or blackfriday registry, to run one"
        )
    };
    Check::problem(NAME, why, remedy)
}

#[cfg(test)]
mod tests {
    use blackfriday_registry::{Access, RegistryAuth};
    use blackfriday_stack::{OciRegistry, free_port};

    use super::super::report::Verdict;
    use super::*;

    fn client(server: &OciRegistry, trusts: bool, password: &str) -> RegistryClient {
        let ca = server.ca().filter(|_| trusts).map(|path| std::fs::read(path).expect("its authority"));
        let auth = RegistryAuth::Basic(server.username().to_owned(), password.to_owned());
        RegistryClient::new(&Access { ca, auth, plain_http: false }).expect("a client")
    }

    #[tokio::test]
    async fn a_registry_is_wanted_that_answers_and_is_trusted() {
        let server = OciRegistry::start().await.expect("a registry");
        let password = std::fs::read_to_string(server.password_file()).expect("a password");
        let (host, none) = (server.host(), BTreeSet::new());
        let trusting = client(&server, true, password.trim());
        assert_eq!(from_here(&trusting, &host, &none).await.verdict, Verdict::Ok);
        let image = BTreeSet::from([format!("{host}/blackfriday/gateway:1"), "other/x:1".to_owned()]);
        let found = from_here(&trusting, &host, &image).await;
        assert!(found.verdict == Verdict::Warning && found.seen.contains("lacks 1 of 1"), "{found:?}");

        let found = from_here(&client(&server, true, "wrong"), &host, &none).await;
        assert!(found.verdict == Verdict::Problem && found.seen.contains("refuses"), "{found:?}");
        let found = from_here(&client(&server, false, password.trim()), &host, &none).await;
        assert!(found.verdict == Verdict::Problem && found.seen.contains("not trusted here"), "{found:?}");
        let away = format!("127.0.0.1:{}", free_port().expect("a port"));
        let found = from_here(&trusting, &away, &none).await;
        assert!(found.remedy.expect("what to type").starts_with("curl --insecure"));
    }
}
