//! The stream protocol's commands and response codes, as `PROTOCOL.adoc` of the plugin numbers them.

use std::fmt;

/// What a frame asks for or tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub(super) enum Key {
    DeclarePublisher = 1,
    Publish = 2,
    PublishConfirm = 3,
    PublishError = 4,
    DeletePublisher = 6,
    Subscribe = 7,
    Deliver = 8,
    Credit = 9,
    Unsubscribe = 12,
    Create = 13,
    Delete = 14,
    Metadata = 15,
    MetadataUpdate = 16,
    PeerProperties = 17,
    SaslHandshake = 18,
    SaslAuthenticate = 19,
    Tune = 20,
    Open = 21,
    Close = 22,
    Heartbeat = 23,
    ConsumerUpdate = 26,
}

impl Key {
    pub(super) fn of(number: u16) -> Option<Self> {
        const ALL: [Key; 21] = [
            Key::DeclarePublisher,
            Key::Publish,
            Key::PublishConfirm,
            Key::PublishError,
            Key::DeletePublisher,
            Key::Subscribe,
            Key::Deliver,
            Key::Credit,
            Key::Unsubscribe,
            Key::Create,
            Key::Delete,
            Key::Metadata,
            Key::MetadataUpdate,
            Key::PeerProperties,
            Key::SaslHandshake,
            Key::SaslAuthenticate,
            Key::Tune,
            Key::Open,
            Key::Close,
            Key::Heartbeat,
            Key::ConsumerUpdate,
        ];
        ALL.into_iter().find(|key| *key as u16 == number)
    }
}

/// How a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(pub(super) u16);

impl Code {
    pub(super) const OK: Self = Self(1);
    pub(super) const NO_STREAM: Self = Self(2);
    pub(super) const STREAM_EXISTS: Self = Self(5);
    pub(super) const STREAM_NOT_AVAILABLE: Self = Self(6);
    pub(super) const VHOST_REFUSED: Self = Self(12);
    pub(super) const FRAME_TOO_LARGE: Self = Self(14);
    pub(super) const INTERNAL_ERROR: Self = Self(15);
    pub(super) const ACCESS_REFUSED: Self = Self(16);
    pub(super) const PRECONDITION_FAILED: Self = Self(17);
    pub(super) const NO_PUBLISHER: Self = Self(18);

    fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "done",
            2 => "the stream does not exist",
            3 => "the subscription id is taken",
            4 => "there is no such subscription",
            5 => "the stream exists already",
            6 => "the stream is not available",
            7 => "the server does not take passwords",
            8 => "the user or the password is wrong",
            9 => "the login is malformed",
            10 => "the server asks for more than a password",
            11 => "the user may log in over loopback only",
            12 => "the user may not use the virtual host",
            13 => "the server does not know the command",
            14 => "the frame is too large",
            15 => "the server met an internal error",
            16 => "the user may not do that",
            17 => "a precondition is not met",
            18 => "there is no such publisher",
            19 => "no offset is stored",
            _ => return None,
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "response code {}", self.0),
        }
    }
}
