//! What goes wrong with a connection, and which of it somebody has to mend.

use std::io;
use std::time::Duration;

use super::codes::Code;
use super::wire::Truncated;

/// A frame cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a frame ends in the middle of a value")]
    Truncated,
    #[error("a frame is of the kind {key:#06x}, which is not expected")]
    Unknown { key: u16 },
    #[error("a frame of {bytes} bytes is larger than the {most} that were agreed on")]
    TooLarge { bytes: u32, most: u32 },
}

impl From<Truncated> for FrameError {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

/// Why a connection cannot be made, does not answer or has ended.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum LinkError {
    #[error("cannot find the address of {address}: {reason}")]
    Resolve { address: String, reason: String },
    #[error("cannot connect to {address}: {reason}")]
    Connect { address: String, reason: String },
    #[error("cannot agree on TLS with {address}: {reason}")]
    Tls { address: String, reason: String },
    #[error("{address} refuses the login of {user}: {code}")]
    Login { address: String, user: String, code: Code },
    #[error("{address} does not speak the stream protocol with us: {reason}")]
    Handshake { address: String, reason: String },
    #[error("{address} ended the connection: {reason}")]
    Ended { address: String, reason: String },
    #[error("{address} said nothing for {} s", after.as_secs())]
    Silent { address: String, after: Duration },
    #[error("{address} did not answer in {} ms", after.as_millis())]
    NoAnswer { address: String, after: Duration },
    #[error("{what}: {code}")]
    Refused { what: String, code: Code },
    #[error("{address} sent what cannot be read: {source}")]
    Frame { address: String, source: FrameError },
    #[error("the connection to {address} was closed by us")]
    Closed { address: String },
}

impl LinkError {
    pub(super) fn ended(address: &str, error: &io::Error) -> Self {
        Self::Ended { address: address.to_owned(), reason: error.to_string() }
    }

    /// What to look at, if this does not pass by itself.
    pub(super) fn check(&self) -> Option<&'static str> {
        match self {
            Self::Resolve { .. } => {
                Some("--rabbitmq-servers, and the names that the servers advertise (stream.advertised_host)")
            }
            Self::Tls { .. } => {
                Some("--rabbitmq-tls, --rabbitmq-ca, --rabbitmq-certificate and --rabbitmq-key")
            }
            Self::Login { code: Code::VHOST_REFUSED, .. } => {
                Some("--rabbitmq-vhost, and the user's permissions in it")
            }
            Self::Login { .. } => Some("--rabbitmq-username and --rabbitmq-password-file"),
            Self::Handshake { .. } => {
                Some("whether --rabbitmq-servers names the port of the stream protocol (5552, with TLS 5551)")
            }
            Self::Refused { code: Code::ACCESS_REFUSED, .. } => Some("the user's permissions"),
            Self::Refused { code: Code::NO_STREAM, .. } => Some("the topic's name, and whether it was made"),
            _ => None,
        }
    }
}
