use std::fmt;

use crate::field_error::FieldError;

/// A price in cents, fixed-point, `0 … 10⁹` cents (`0 … 10⁷` units of currency).
///
/// A decimal on the wire is rounded to the nearest cent, halves away from zero: `0.005` becomes `0.01`.
/// The rounding works on the shortest decimal text that denotes the `f64`, not on its binary value, so
/// `1.005` becomes `1.01` as its sender meant it, although the nearest `f64` is a little below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Money(u32);

impl Money {
    /// The highest price, in cents.
    pub const MAX_CENTS: u32 = 1_000_000_000;

    /// A price from whole cents.
    ///
    /// # Errors
    /// More than [`Money::MAX_CENTS`].
    pub fn from_cents(cents: u64) -> Result<Self, FieldError> {
        u32::try_from(cents).ok().filter(|cents| *cents <= Self::MAX_CENTS).map(Self).ok_or_else(out_of_range)
    }

    /// A price from a decimal number, rounded as the type says.
    ///
    /// # Errors
    /// Not finite, below 0 or above 10⁷.
    pub fn from_f64(price: f64) -> Result<Self, FieldError> {
        if !(0.0..=f64::from(Self::MAX_CENTS) / 100.0).contains(&price) {
            return Err(out_of_range());
        }
        let scaled = price * 100.0;
        let nearest = scaled.round();
        // Far enough from a half, the error of the multiplication (under one unit in the last place)
        // cannot change the result.
        if ((scaled - scaled.floor()) - 0.5).abs() > 1e-6 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 ≤ nearest ≤ 10⁹"
            )]
            return Ok(Self(nearest as u32));
        }
        Self::from_decimal_text(&format!("{price}"))
    }

    /// The price in cents.
    pub const fn cents(self) -> u32 {
        self.0
    }

    /// The nearest `f64`. [`Money::from_f64`] gives the same price back.
    pub fn to_f64(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    fn from_decimal_text(text: &str) -> Result<Self, FieldError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let mut cents = whole.parse::<u64>().map_err(|_| out_of_range())? * 100;
        let digit = |at: usize| fraction.as_bytes().get(at).map_or(0, |d| u64::from(d - b'0'));
        cents += digit(0) * 10 + digit(1) + u64::from(digit(2) >= 5);
        Self::from_cents(cents)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

fn out_of_range() -> FieldError {
    FieldError::new("precio", "must be a finite number from 0 to 10000000")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_rounded_half_away_from_zero_as_written() {
        for (price, cents) in [
            (0.0, 0),
            (-0.0, 0),
            (0.005, 1),
            (0.0049, 0),
            (1.005, 101),
            (1.015, 102),
            (2.675, 268),
            (499.99, 49_999),
            (0.1 + 0.2, 30),
            (1e-300, 0),
            (10_000_000.0, 1_000_000_000),
        ] {
            assert_eq!(Money::from_f64(price).expect("in range").cents(), cents, "{price}");
        }
    }

    #[test]
    fn what_is_not_a_price_is_refused() {
        for price in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.01, 10_000_000.01, 1e300] {
            assert_eq!(Money::from_f64(price).expect_err("out of range").field, "precio");
        }
        assert!(Money::from_cents(1_000_000_001).is_err());
    }

    proptest! {
        #[test]
        fn cents_survive_the_trip_over_f64(cents in 0..=Money::MAX_CENTS) {
            let money = Money::from_cents(u64::from(cents)).expect("in range");
            prop_assert_eq!(Money::from_f64(money.to_f64()), Ok(money));
            prop_assert_eq!(Money::from_f64(money.to_string().parse().expect("a number")), Ok(money));
        }

        #[test]
        fn three_decimals_round_as_written(mills in 0_u64..10_000_000_000) {
            let price: f64 = format!("{}.{:03}", mills / 1000, mills % 1000).parse().expect("a number");
            prop_assert_eq!(u64::from(Money::from_f64(price).expect("in range").cents()), (mills + 5) / 10);
        }
    }
}
