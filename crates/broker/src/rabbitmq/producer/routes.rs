//! Which lane a record goes to.

use std::collections::HashMap;
use std::sync::Arc;

use super::lane::Lane;
use crate::record::OutgoingRecord;

/// The way to a partition.
#[derive(Clone)]
pub(super) enum Route {
    Up(Arc<Lane>),
    /// The server does not let us write there, for this reason.
    Refused(String),
    /// It has no leader, or its server is away.
    Down,
}

/// The ways to the partitions of each topic.
#[derive(Default)]
pub(super) struct Routes(pub(super) HashMap<String, Vec<Route>>);

impl Routes {
    /// A record's way: to its fixed partition, to that of its key, or in turn to one that is up.
    pub(super) fn of(&self, record: &OutgoingRecord, turn: usize) -> Option<&Route> {
        let routes = self.0.get(&record.topic)?;
        if let Some(partition) = record.partition {
            return routes.get(usize::try_from(partition).ok()?);
        }
        if let Some(key) = &record.key {
            return routes.get(partition_of(key, routes.len()));
        }
        let in_turn = (0..routes.len()).map(|at| &routes[(turn + at) % routes.len()]);
        let is_up = |route: &&Route| matches!(route, Route::Up(lane) if !lane.is_closed());
        in_turn.clone().find(is_up).or_else(|| in_turn.clone().next())
    }
}

/// As Kafka's clients have it, so that a key has the same partition in both logs.
fn partition_of(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions.max(1)
}

/// Murmur2 as Kafka's `Utils.murmur2` has it.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c_u32 ^ length;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(M);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(M) ^ mixed.wrapping_mul(M);
    }
    for (at, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * at);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `UtilsTest` in Kafka's sources has it.
    #[test]
    fn a_key_has_the_partition_that_it_has_in_kafka() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash.cast_unsigned(), "{key}");
        }
    }
}
