//! Quantities as Kubernetes writes them: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Sum;
use std::ops::Add;

const GIB: u64 = 1 << 30;
/// Suffix, and what it multiplies by: a factor, and a power of ten.
const SUFFIXES: [(&str, u128, i32); 16] = [
    ("", 1, 0),
    ("n", 1, -9),
    ("u", 1, -6),
    ("m", 1, -3),
    ("k", 1, 3),
    ("M", 1, 6),
    ("G", 1, 9),
    ("T", 1, 12),
    ("P", 1, 15),
    ("E", 1, 18),
    ("Ki", 1 << 10, 0),
    ("Mi", 1 << 20, 0),
    ("Gi", 1 << 30, 0),
    ("Ti", 1 << 40, 0),
    ("Pi", 1 << 50, 0),
    ("Ei", 1 << 60, 0),
];

/// What a pod asks for, or what a node has left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) cpu_millis: u64,
    pub(crate) memory: u64,
}

impl Amount {
    /// Of requests, or of what is allocatable. What cannot be read counts as nothing.
    pub(crate) fn of(quantities: &BTreeMap<String, String>) -> Self {
        let thousandths = |name: &str| quantities.get(name).and_then(|text| thousandths(text)).unwrap_or(0);
        let most = |amount: u128| amount.try_into().unwrap_or(u64::MAX);
        Self { cpu_millis: most(thousandths("cpu")), memory: most(thousandths("memory").div_ceil(1_000)) }
    }

    pub(crate) fn times(self, count: u64) -> Self {
        Self { cpu_millis: self.cpu_millis.saturating_mul(count), memory: self.memory.saturating_mul(count) }
    }

    pub(crate) fn max(self, other: Self) -> Self {
        Self { cpu_millis: self.cpu_millis.max(other.cpu_millis), memory: self.memory.max(other.memory) }
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_sub(other.cpu_millis),
            memory: self.memory.saturating_sub(other.memory),
        }
    }

    pub(crate) fn fits(self, free: Self) -> bool {
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

/// A quantity in thousandths, rounded up; the largest number that there is for one beyond it.
pub fn thousandths(text: &str) -> Option<u128> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let is_of_suffix = |c: char| !(c.is_ascii_digit() || c == '.');
    let (number, suffix) = text.split_at(text.find(is_of_suffix).unwrap_or(text.len()));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let (factor, power) = scale(suffix)?;
    let power = power.saturating_add(3).saturating_sub(i32::try_from(fraction.len()).ok()?);
    let (value, ten) = (digits.saturating_mul(factor), 10_u128.saturating_pow(power.unsigned_abs()));
    Some(if power < 0 { value.div_ceil(ten) } else { value.saturating_mul(ten) })
}

/// Of a suffix, or of an exponent as in `1e3`.
fn scale(suffix: &str) -> Option<(u128, i32)> {
    if let Some((_, factor, power)) = SUFFIXES.iter().find(|(known, ..)| *known == suffix) {
        return Some((*factor, *power));
    }
    Some((1, suffix.strip_prefix(['e', 'E'])?.parse().ok()?))
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
            ("5000001n", 6),
            ("1500u", 2),
            ("1e3", 1_000_000),
            ("1.5E-1", 150),
            ("12E+2", 1_200_000),
            ("+.5", 500),
            ("2.", 2_000),
            ("1E", 1_000_000_000_000_000_000_000),
            ("1Ei", 1_152_921_504_606_846_976_000),
        ] {
            assert_eq!(thousandths(text), Some(expected), "{text}");
        }
        for wrong in ["", "x", "1 Gi", "-1", ".", "1.2.3", "1e", "1e1.5", "1Kib"] {
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
        let of = |text: &str| Amount::of(&BTreeMap::from([("memory".to_owned(), text.to_owned())])).memory;
        assert_eq!(of("1Ei"), 1 << 60);
        assert_eq!([of("999999999999999999999999999999Ei"), of("1e99")], [u64::MAX; 2]);
    }
}
