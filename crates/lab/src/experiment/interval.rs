//! What rounds say about a difference: the median of the rounds' ratios, and how far it may be chance.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::median::median;

/// The same rounds have the same interval, whenever it is computed.
const SEED: u64 = 18;
const SAMPLES: usize = 10_000;
/// Of 10,000 sorted samples, those between which 95 of 100 lie.
const LOW: usize = 249;
const HIGH: usize = 9_750;

/// By how much one variant is more than another, with a 95 % bootstrap interval (percentile method, Efron 1979).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Ratio {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Ratio {
    /// Out of pairs of one round each; nothing without a pair, or with a zero to divide by.
    pub(super) fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        if pairs.is_empty() || pairs.iter().any(|(_, against)| *against <= 0.0) {
            return None;
        }
        let ratios: Vec<_> = pairs.iter().map(|(value, against)| value / against).collect();
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut sample = || {
            let drawn = (0..ratios.len()).map(|_| ratios[random.random_range(0..ratios.len())]);
            median(drawn)
        };
        let mut medians: Vec<_> = (0..SAMPLES).map(|_| sample()).collect();
        medians.sort_by(f64::total_cmp);
        Some(Self { median: median(ratios.iter().copied()), low: medians[LOW], high: medians[HIGH] })
    }

    /// Whether the two differ at all: both ends of the interval are on the same side of 1.
    pub(super) fn is_a_difference(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_twice_as_much_in_each_round_differs_and_what_goes_either_way_does_not() {
        let twice: Vec<_> = (1..=6).map(f64::from).map(|round| (2.0 * round, round)).collect();
        let ratio = Ratio::of(&twice).expect("pairs");
        assert_eq!((ratio.median, ratio.low, ratio.high), (2.0, 2.0, 2.0));
        assert!(ratio.is_a_difference());
        let either = [(1.0, 1.1), (1.1, 1.0), (1.0, 1.05), (1.05, 1.0), (1.0, 1.2), (1.2, 1.0)];
        let ratio = Ratio::of(&either).expect("pairs");
        assert!(ratio.low < 1.0 && ratio.high > 1.0 && !ratio.is_a_difference(), "{ratio:?}");
        assert_eq!(Ratio::of(&[]), None);
        assert_eq!(Ratio::of(&[(1.0, 0.0)]), None);
    }

    #[test]
    fn an_interval_holds_its_median_and_is_the_same_each_time() {
        let pairs: Vec<_> = (0..6).map(|at| (100.0 + f64::from(at * at), 90.0)).collect();
        let ratio = Ratio::of(&pairs).expect("pairs");
        assert!(
            ratio.low <= ratio.median && ratio.median <= ratio.high && ratio.low < ratio.high,
            "{ratio:?}"
        );
        assert_eq!(Ratio::of(&pairs), Some(ratio));
    }
}
