//! Why a registry did not do, or did not give, what it was asked for, sorted by what the caller can do about it.
//!
//! The client's own errors are sorted once, here: a refusal, something that is absent, something that is damaged, and the rest.

use std::io;
use std::path::PathBuf;

use blackfriday_telemetry::access::FileError;
use oci_client::Reference;
use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};

/// A registry did not do, or did not give, what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// What should name something in a registry does not.
    #[error("{text}: {reason}")]
    Reference {
        /// What was given.
        text: String,
        /// What is wanted.
        reason: &'static str,
    },
    /// No client can be made of the certificates.
    #[error("read the certificates for the registry")]
    Client(#[source] OciDistributionError),
    /// The registry wants other credentials, or some at all.
    #[error(
        "{registry} refuses to {action}: wrong or missing user name and password, or not allowed to them"
    )]
    Denied {
        /// The registry's host.
        registry: String,
        /// What was tried.
        action: String,
    },
    /// The registry does not have it.
    #[error("{reference} is not there")]
    Absent {
        /// What was asked for.
        reference: String,
    },
    /// A request failed, or was answered with an error.
    #[error("{action}")]
    Request {
        /// What was tried.
        action: String,
        /// Why it failed.
        #[source]
        source: Box<OciDistributionError>,
    },
    /// A transfer ended before all of it had come, again and again. What has come is kept for the next try.
    #[error("the transfer of {what} broke off, {received} of {size} bytes have come")]
    Cut {
        /// What was transferred.
        what: String,
        /// Bytes that have come.
        received: u64,
        /// Bytes of the whole.
        size: u64,
        /// Why it ended.
        #[source]
        source: io::Error,
    },
    /// Something is not what its digest says.
    #[error("{what} has digest {found}, not {expected}: it was changed or damaged")]
    Digest {
        /// What it is.
        what: String,
        /// What its digest should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// It is not the manifest of one image or artifact.
    #[error("{reference} is not the manifest of an image or artifact")]
    Manifest {
        /// Where it is.
        reference: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// It is a list of manifests, and not the manifest of one image or artifact.
    #[error("{reference} is an index of several manifests, and not the manifest of an image or artifact")]
    Index {
        /// Where it is.
        reference: String,
    },
    /// It is there, and is something else than what is wanted.
    #[error("{reference} is no {wanted}: {reason}")]
    OtherKind {
        /// Where it is.
        reference: String,
        /// What it should be.
        wanted: &'static str,
        /// What it is instead.
        reason: String,
    },
    /// There is a user and no password.
    #[error("--username needs a password: --password-file, or the variable {variable}")]
    NoPassword {
        /// The variable that could have it.
        variable: &'static str,
    },
    /// The file of an option cannot be used.
    #[error(transparent)]
    Setting(#[from] FileError),
    /// A file could not be read or written.
    #[error("{action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl RegistryError {
    /// Sorts a client's error; `action` is followed by the reference.
    pub fn from_client(action: &str, at: &Reference, error: OciDistributionError) -> Self {
        let action = format!("{action} {at}");
        match status(&error) {
            Some(401 | 403) => Self::Denied { registry: at.registry().to_owned(), action },
            Some(404) => Self::Absent { reference: at.whole() },
            _ => match error {
                OciDistributionError::DigestError(DigestError::VerificationError { expected, actual }) => {
                    Self::Digest { what: at.whole(), expected, found: actual }
                }
                error => Self::Request { action, source: Box::new(error) },
            },
        }
    }

    /// The exit code of sysexits.h that says of which kind it is: 64 for wrong arguments, 65 for damaged data, 69 for a registry
    /// that cannot be reached or does not have it, 77 for a refusal.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Reference { .. }
            | Self::Client(_)
            | Self::NoPassword { .. }
            | Self::Setting(_)
            | Self::File { .. } => 64,
            Self::Denied { .. } => 77,
            Self::Absent { .. } | Self::Request { .. } | Self::Cut { .. } => 69,
            Self::Digest { .. } | Self::Manifest { .. } | Self::Index { .. } | Self::OtherKind { .. } => 65,
        }
    }

    /// A closure for `map_err`.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

/// The status of the answer, if the error is one.
pub(crate) fn status(error: &OciDistributionError) -> Option<u16> {
    match error {
        OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => {
            Some(401)
        }
        OciDistributionError::ServerError { code, .. } => Some(*code),
        OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
        OciDistributionError::RegistryError { envelope, .. } => match envelope.errors.first()?.code {
            OciErrorCode::Unauthorized => Some(401),
            OciErrorCode::Denied => Some(403),
            OciErrorCode::BlobUnknown
            | OciErrorCode::ManifestUnknown
            | OciErrorCode::NameUnknown
            | OciErrorCode::NotFound => Some(404),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(error: OciDistributionError) -> RegistryError {
        let at = crate::client::reference("h:1/a:1").expect("a reference");
        RegistryError::from_client("read", &at, error)
    }

    #[test]
    fn refusals_are_told_from_failures() {
        let answer =
            |code| OciDistributionError::ServerError { code, url: String::new(), message: String::new() };
        assert!(matches!(sorted(answer(401)), RegistryError::Denied { .. }));
        assert!(matches!(sorted(answer(403)), RegistryError::Denied { .. }));
        assert!(matches!(sorted(answer(404)), RegistryError::Absent { .. }));
        assert!(matches!(sorted(answer(500)), RegistryError::Request { .. }));
        let refused = sorted(OciDistributionError::UnauthorizedError { url: String::new() });
        assert_eq!(
            refused.to_string(),
            "h:1 refuses to read h:1/a:1: wrong or missing user name and password, or not allowed to them"
        );
        let wrong =
            DigestError::VerificationError { expected: "sha256:a".to_owned(), actual: "sha256:b".to_owned() };
        assert!(matches!(sorted(wrong.into()), RegistryError::Digest { .. }));
    }
}
