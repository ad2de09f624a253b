use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::{FieldError, IdempotencyKey};

/// The identity of one accepted event.
///
/// A UUIDv7 (RFC 9562) where the sender gave no idempotency key; otherwise a UUIDv8 made from the key's
/// SHA-256, so that every retry under one key has one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Uuid);

impl EventId {
    /// A new identity, ordered by time of creation.
    pub fn new_v7() -> Self {
        Self(Uuid::now_v7())
    }

    /// The identity that belongs to an idempotency key, always the same one.
    pub fn of_key(key: &IdempotencyKey) -> Self {
        let digest = Sha256::digest(key.as_str());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// From its 16 bytes.
    ///
    /// # Errors
    /// Any other length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, FieldError> {
        Uuid::from_slice(bytes).map(Self).map_err(|_| malformed())
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// As a UUID.
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl FromStr for EventId {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        text.parse().map(Self).map_err(|_| malformed())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

fn malformed() -> FieldError {
    FieldError::new("id", "must be a UUID")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_identity_and_different_keys_have_different_ones() {
        let key = |text| IdempotencyKey::new(text).expect("a key");
        assert_eq!(EventId::of_key(&key("a")), EventId::of_key(&key("a")));
        assert_ne!(EventId::of_key(&key("a")), EventId::of_key(&key("b")));
        assert_eq!(EventId::of_key(&key("a")).as_uuid().get_version_num(), 8);
        assert_eq!(EventId::new_v7().as_uuid().get_version_num(), 7);
    }

    #[test]
    fn text_and_bytes_round_trip() {
        let id = EventId::new_v7();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(EventId::from_slice(id.as_bytes()), Ok(id));
        assert_eq!(EventId::from_slice(b"short").expect_err("too short").field, "id");
    }
}
