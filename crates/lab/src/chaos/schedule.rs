//! Which fault comes when: a pure function of the seed, the number of faults and the kinds.

use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::kind::Kind;

/// One step in so many, in percent, has two faults at once, where two that go together are next.
const PAIRS_PERCENT: u32 = 70;
const LULL_MS: [u64; 2] = [50, 600];

/// A fault that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Of which kind.
    pub(crate) kind: Kind,
    /// Chooses what it hits, among those of its kind.
    pub(crate) pick: u32,
    /// From its begin to its end.
    pub(crate) lasts: Duration,
}

/// One or two faults that begin together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// They hit different parts.
    pub(crate) faults: Vec<Planned>,
    /// From the recovery of the step before to its begin.
    pub(crate) lull: Duration,
}

/// `number` faults of these kinds, each kind as often as any other, within one.
///
/// ChaCha8 gives the same on every machine and in every version (rand_chacha's portability guarantee).
#[must_use]
pub(crate) fn schedule(seed: u64, number: usize, kinds: &[Kind]) -> Vec<Step> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut faults = planned(&mut rng, number, kinds).into_iter().peekable();
    let mut steps = Vec::new();
    while let Some(fault) = faults.next() {
        let lull = between(&mut rng, LULL_MS);
        let mut step = Step { faults: vec![fault], lull };
        let pairs = rng.random_range(0..100) < PAIRS_PERCENT;
        let second = faults.next_if(|next| pairs && next.kind.part().goes_with(fault.kind.part()));
        step.faults.extend(second);
        steps.push(step);
    }
    steps
}

fn planned(rng: &mut ChaCha8Rng, number: usize, kinds: &[Kind]) -> Vec<Planned> {
    let mut planned = Vec::with_capacity(number);
    let mut round = kinds.to_vec();
    while planned.len() < number && !round.is_empty() {
        round.shuffle(rng);
        for kind in round.iter().take(number - planned.len()) {
            let (pick, lasts) = (rng.random(), between(rng, kind.lasts_ms()));
            planned.push(Planned { kind: *kind, pick, lasts });
        }
    }
    planned
}

fn between(rng: &mut ChaCha8Rng, [least, most]: [u64; 2]) -> Duration {
    Duration::from_millis(rng.random_range(least..=most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_gives_another() {
        let of = |seed| schedule(seed, 60, &Kind::ALL);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn every_kind_comes_as_often_as_any_other_and_pairs_hit_different_parts() {
        let steps = schedule(3, 101, &Kind::ALL);
        let faults: Vec<_> = steps.iter().flat_map(|step| &step.faults).collect();
        assert_eq!(faults.len(), 101);
        for kind in Kind::ALL {
            let times = faults.iter().filter(|fault| fault.kind == kind).count();
            assert!((101 / Kind::ALL.len()..=101 / Kind::ALL.len() + 1).contains(&times), "{kind}: {times}");
        }
        assert!(steps.iter().any(|step| step.faults.len() == 2), "no two at once");
        for step in &steps {
            if let [one, other] = &step.faults[..] {
                assert!(one.kind.part().goes_with(other.kind.part()), "{one:?} {other:?}");
            }
        }
        assert!(schedule(3, 5, &[]).is_empty());
    }
}
