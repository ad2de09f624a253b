//! Quantities as Kubernetes writes them: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Sum;
use std::ops::Add;

const GIB: u64 = 1 << 30;
/// Suffix, and how many thousandths it stands for.
const SUFFIXES: [(&str, u128); 13] = [
    ("Ki", 1_000 << 10),
    ("Mi", 1_000 << 20),
    ("Gi", 1_000 << 30),
    ("Ti", 1_000 << 40),
    ("Pi", 1_000 << 50),
    ("k", 1_000_000),
    ("M", 1_000_000_000),
    ("G", 1_000_000_000_000),
    ("T", 1_000_000_000_000_000),
    ("P", 1_000_000_000_000_000_000),
    ("m", 1),
    // Below a thousandth: rounded up.
    ("u", 0),
    ("n", 0),
];

/// What a pod asks for, or what a node has left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) cpu_millis: u64,
    pub(super) memory: u64,
}

impl Amount {
    /// Of requests, or of what is allocatable. What cannot be read counts as nothing.
    pub(super) fn of(quantities: &BTreeMap<String, String>) -> Self {
        let thousandths = |name: &str| quantities.get(name).and_then(|text| thousandths(text)).unwrap_or(0);
        Self { cpu_millis: thousandths("cpu"), memory: thousandths("memory").div_ceil(1_000) }
    }

    pub(super) fn times(self, count: u64) -> Self {
        Self { cpu_millis: self.cpu_millis.saturating_mul(count), memory: self.memory.saturating_mul(count) }
    }

    pub(super) fn max(self, other: Self) -> Self {
        Self { cpu_millis: self.cpu_millis.max(other.cpu_millis), memory: self.memory.max(other.memory) }
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_sub(other.cpu_millis),
            memory: self.memory.saturating_sub(other.memory),
        }
    }

    pub(super) fn fits(self, free: Self) -> bool {
        self.cpu_millis <= free.cpu_millis && self.memory <= free.memory
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory: self.memory.saturating_add(other.memory),
        }
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (u128::from(self.memory) * 10).div_ceil(GIB.into());
        let (cpus, millis) = (self.cpu_millis / 1_000, self.cpu_millis % 1_000);
        write!(f, "{cpus}.{:02} CPU and {}.{} GiB", millis.div_ceil(10).min(99), tenths / 10, tenths % 10)
    }
}

/// A quantity in thousandths, rounded up.
fn thousandths(text: &str) -> Option<u64> {
    let (number, unit) = match SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix)) {
        Some((suffix, unit)) => (text.strip_suffix(suffix)?, *unit),
        None => (text, 1_000),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let value = if unit == 0 { u128::from(digits > 0) } else { digits.checked_mul(unit)?.div_ceil(scale) };
    value.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_exactly() {
        for (text, expected) in [
            ("250m", 250),
            ("2", 2_000),
            ("0.5", 500),
            ("1.5Gi", 1_610_612_736_000),
            ("24581692Ki", 25_171_652_608_000),
            ("1M", 1_000_000_000),
            ("100n", 1),
        ] {
            assert_eq!(thousandths(text), Some(expected), "{text}");
        }
        for wrong in ["", "x", "1 Gi", "-1", "1e3", "999999999999Pi"] {
            assert_eq!(thousandths(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn amounts_are_shown_rounded_up() {
        let amount = Amount { cpu_millis: 2_250, memory: (3 << 30) + 1 };
        assert_eq!(amount.to_string(), "2.25 CPU and 3.1 GiB");
        assert!(amount.fits(amount) && !amount.times(2).fits(amount));
    }

    /// A cluster's or a manifest's numbers are not ours: whatever they are, a sum of them is a number.
    #[test]
    fn amounts_beyond_all_measure_stay_the_largest() {
        let most = Amount { cpu_millis: u64::MAX, memory: u64::MAX };
        assert_eq!(most + most, most);
        assert_eq!(most.times(u64::MAX), most);
        assert!(most.to_string().ends_with("17179869184.0 GiB"), "{most}");
    }
}
