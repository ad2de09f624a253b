//! References and manifests: what is where in a registry, under which name.

pub(crate) mod blobs;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE, OciImageIndex, OciImageManifest,
};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};

use crate::digest;
use crate::error::RegistryError;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// For the next bytes of an answer.
const READ_LIMIT: Duration = Duration::from_secs(30);
const SCHEME: &str = "oci://";

/// How a registry is reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// Certificates, in PEM, of the authorities that may vouch for the registry; the machine's own without them.
    pub ca: Option<Vec<u8>>,
    /// Who asks.
    pub auth: RegistryAuth,
    /// Neither encryption nor a proof of who answers: the password goes over the wire as it is.
    pub plain_http: bool,
}

/// A client of the registries that one [`Access`] is good for.
#[derive(Clone)]
pub struct RegistryClient {
    client: Client,
    auth: RegistryAuth,
}

/// What a reference names in a registry.
pub enum Found {
    /// The manifest of one image or artifact, OCI's or Docker's.
    Manifest(Box<OciImageManifest>),
    /// A list of manifests.
    Index(OciImageIndex),
}

/// Reads `host[:port]/path:tag`, `…@sha256:…`, or both, with or without `oci://` before it.
///
/// # Errors
/// It is no reference, names no host, or has neither tag nor digest: nothing is filled in by guessing.
pub fn reference(text: &str) -> Result<Reference, RegistryError> {
    let wrong = |reason| RegistryError::Reference { text: text.to_owned(), reason };
    let bare = text.strip_prefix(SCHEME).unwrap_or(text);
    let (host, path) = bare.split_once('/').ok_or(wrong("host[:port]/path:tag is wanted"))?;
    if !(host == "localhost" || host.contains(['.', ':'])) {
        return Err(wrong("it must begin with the registry's host, such as registry.example:5000"));
    }
    if !path.rsplit('/').next().is_some_and(|name| name.contains([':', '@'])) {
        return Err(wrong("a tag or a digest is wanted"));
    }
    bare.parse().map_err(|_| wrong("host[:port]/path:tag or host[:port]/path@sha256:… is wanted"))
}

/// As [`reference()`], for a push: a digest is the outcome of a push and cannot be asked for.
///
/// # Errors
/// As [`reference()`], or it has a digest.
pub fn tagged(text: &str) -> Result<Reference, RegistryError> {
    let reference = reference(text)?;
    if reference.digest().is_some() {
        let reason = "a tag is wanted, and no digest: that is what the push gives";
        return Err(RegistryError::Reference { text: text.to_owned(), reason });
    }
    Ok(reference)
}

/// `oci://host/path@sha256:…`: what a reference will always stand for.
pub fn pinned(reference: &Reference, digest: &str) -> String {
    format!("{SCHEME}{}/{}@{digest}", reference.registry(), reference.repository())
}

impl RegistryClient {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// The certificates cannot be read.
    pub fn new(access: &Access) -> Result<Self, RegistryError> {
        let certificate =
            |data: &Vec<u8>| Certificate { encoding: CertificateEncoding::Pem, data: data.clone() };
        let config = ClientConfig {
            protocol: if access.plain_http { ClientProtocol::Http } else { ClientProtocol::Https },
            tls_certs_only: access.ca.iter().map(certificate).collect(),
            connect_timeout: Some(CONNECT_LIMIT),
            read_timeout: Some(READ_LIMIT),
            user_agent: concat!("blackfriday/", env!("CARGO_PKG_VERSION")),
            // An index is reported as what it is, not resolved by platform.
            platform_resolver: None,
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(RegistryError::Client)?;
        Ok(Self { client, auth: access.auth.clone() })
    }

    /// The manifest that a reference names, and its digest, computed from its bytes.
    ///
    /// # Errors
    /// It is not there, is no image manifest, is not what the reference's digest says, or the registry refuses.
    pub async fn manifest(&self, at: &Reference) -> Result<(OciImageManifest, String), RegistryError> {
        match self.find(at).await? {
            (Found::Manifest(manifest), digest) => Ok((*manifest, digest)),
            (Found::Index(_), _) => Err(RegistryError::Index { reference: at.whole() }),
        }
    }

    /// As [`RegistryClient::manifest`], or the index that the reference names.
    ///
    /// # Errors
    /// It is not there, is no manifest, is not what the reference's digest says, or the registry refuses.
    pub async fn find(&self, at: &Reference) -> Result<(Found, String), RegistryError> {
        let bytes = self.bytes(at).await?;
        // A media type may be left out: what it is, its members say.
        let found = match serde_json::from_slice(&bytes) {
            Ok(index) => Ok(Found::Index(index)),
            Err(_) => serde_json::from_slice(&bytes).map(|manifest| Found::Manifest(Box::new(manifest))),
        };
        let found = found.map_err(|source| RegistryError::Manifest { reference: at.whole(), source })?;
        Ok((found, digest::sha256(&bytes)))
    }

    /// As [`RegistryClient::find`], as it came.
    ///
    /// # Errors
    /// It is not there, is not what the reference's digest says, or the registry refuses.
    pub async fn bytes(&self, at: &Reference) -> Result<Bytes, RegistryError> {
        let failed = |error| RegistryError::from_client("read the manifest of", at, error);
        let accepted = [
            OCI_IMAGE_MEDIA_TYPE,
            OCI_IMAGE_INDEX_MEDIA_TYPE,
            IMAGE_MANIFEST_MEDIA_TYPE,
            IMAGE_MANIFEST_LIST_MEDIA_TYPE,
        ];
        let (bytes, _) = self.client.pull_manifest_raw(at, &self.auth, &accepted).await.map_err(failed)?;
        Ok(bytes)
    }

    /// Gives the manifest its name in the registry, as these very bytes.
    ///
    /// # Errors
    /// The registry refuses it, or keeps another one.
    pub async fn push_manifest(&self, at: &Reference, bytes: Bytes) -> Result<(), RegistryError> {
        self.push_as(at, bytes, OCI_IMAGE_MEDIA_TYPE).await
    }

    /// As [`RegistryClient::push_manifest`], for a list of manifests that are there already.
    ///
    /// # Errors
    /// As [`RegistryClient::push_manifest`].
    pub async fn push_index(&self, at: &Reference, bytes: Bytes) -> Result<(), RegistryError> {
        self.push_as(at, bytes, OCI_IMAGE_INDEX_MEDIA_TYPE).await
    }

    async fn push_as(
        &self,
        at: &Reference,
        bytes: Bytes,
        media_type: &'static str,
    ) -> Result<(), RegistryError> {
        let expected = digest::sha256(&bytes);
        let failed = |error| RegistryError::from_client("write the manifest of", at, error);
        self.sign_in(at).await;
        let media_type = HeaderValue::from_static(media_type);
        self.client.push_manifest_raw(at, bytes, media_type).await.map_err(failed)?;
        let found = self.client.fetch_manifest_digest(at, &self.auth).await.map_err(failed)?;
        if found == expected {
            return Ok(());
        }
        Err(RegistryError::Digest { what: format!("the manifest of {at}"), expected, found })
    }

    /// The client asks for its credentials only where they were deposited before.
    async fn sign_in(&self, at: &Reference) {
        self.client.store_auth_if_needed(at.resolve_registry(), &self.auth).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_host_and_version() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for text in [
            "localhost/a:1",
            "oci://127.0.0.1:5000/a/b:v1.0",
            &format!("oci://registry.example/a@{digest}"),
            &format!("registry.example:5000/a:1@{digest}"),
        ] {
            assert!(reference(text).is_ok(), "{text}");
        }
        for text in ["a", "a:1", "library/a:1", "localhost:5000/a", "oci://", "h:1/A:1", "h:1/a@sha256:12"] {
            let error = reference(text).expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
        let found = reference(&format!("oci://h:1/a:1@{digest}")).expect("a reference");
        assert_eq!(pinned(&found, &digest), format!("oci://h:1/a@{digest}"));
        assert!(tagged("h:1/a:1").is_ok() && tagged(&format!("h:1/a@{digest}")).is_err());
    }

    #[test]
    fn a_password_is_not_printed() {
        let auth = RegistryAuth::Basic("me".to_owned(), "hunter2".to_owned());
        let access = Access { ca: None, auth, plain_http: false };
        assert!(!format!("{access:?}").contains("hunter2"));
    }

    #[test]
    fn certificates_that_are_none_are_told() {
        let ca = Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec());
        let access = Access { ca, auth: RegistryAuth::Anonymous, plain_http: false };
        assert!(matches!(RegistryClient::new(&access), Err(RegistryError::Client(_))));
    }
}
