use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::digest::first_eight;
use crate::field_error::FieldError;
use crate::idempotency::IdempotencyKey;

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

    /// The partition for a keyed event with this identity, below `keyed_partitions`: the first 8 bytes of the SHA-256 of
    /// its 16 bytes, as a big-endian number, modulo `keyed_partitions`.
    ///
    /// Every writer of a topic must be given the same number, for as long as keys are remembered. It does not depend on how
    /// many partitions the topic has: adding some moves no key.
    pub fn keyed_partition(&self, keyed_partitions: NonZeroU16) -> i32 {
        let hash = u64::from_be_bytes(first_eight(&Sha256::digest(self.as_bytes())));
        let partition = hash % u64::from(keyed_partitions.get());
        i32::try_from(partition).expect("below 2^16")
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

    /// An identity and its partition of 1, 3, 4, 12, 50 and 65535; the last two are those of keys `order-17` and `a`.
    const VECTORS: [(&str, [i32; 6]); 4] = [
        ("00000000-0000-0000-0000-000000000000", [0, 0, 1, 9, 19, 54669]),
        ("0192f0c1-7b2a-7cde-8f01-23456789abcd", [0, 0, 0, 0, 6, 3366]),
        ("72a90ea3-da8b-8dd0-9bde-2f27314e02e2", [0, 0, 0, 0, 16, 38106]),
        ("ca978112-ca1b-8dca-bac2-31b39a23dc4d", [0, 1, 3, 7, 45, 11680]),
    ];

    #[test]
    fn a_key_has_one_identity_and_different_keys_have_different_ones() {
        let key = |text| IdempotencyKey::new(text).expect("a key");
        assert_eq!(EventId::of_key(&key("a")), EventId::of_key(&key("a")));
        assert_ne!(EventId::of_key(&key("a")), EventId::of_key(&key("b")));
        assert_eq!(EventId::of_key(&key("a")).as_uuid().get_version_num(), 8);
        assert_eq!(EventId::new_v7().as_uuid().get_version_num(), 7);
    }

    /// The vectors are fixed: a writer that decides otherwise counts a key twice.
    #[test]
    fn a_keyed_event_has_one_partition_for_good() {
        let of = |id: &str, of: u16| {
            let id: EventId = id.parse().expect("a UUID");
            id.keyed_partition(NonZeroU16::new(of).expect("not 0"))
        };
        for (id, expected) in VECTORS {
            assert_eq!([1, 3, 4, 12, 50, u16::MAX].map(|modulus| of(id, modulus)), expected, "{id}");
        }
    }

    #[test]
    fn keyed_events_are_spread_evenly_over_the_keyed_partitions() {
        let mut counts = [0_u32; 5];
        for at in 0..10_000_u32 {
            let ids =
                [EventId::of_key(&IdempotencyKey::new(&format!("k{at}")).expect("a key")), EventId::new_v7()];
            for id in ids {
                let partition = id.keyed_partition(NonZeroU16::new(5).expect("not 0"));
                counts[usize::try_from(partition).expect("not negative")] += 1;
            }
        }
        assert!(counts.iter().all(|count| (3_700..4_300).contains(count)), "{counts:?}");
    }

    #[test]
    fn text_and_bytes_round_trip() {
        let id = EventId::new_v7();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(EventId::from_slice(id.as_bytes()), Ok(id));
        assert_eq!(EventId::from_slice(b"short").expect_err("too short").field, "id");
    }
}
