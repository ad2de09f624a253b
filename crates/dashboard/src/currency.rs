//! The unit of money. The pipeline counts amounts and knows no currency, so it is whoever sets up the dashboard that says it.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// An ISO 4217 code, such as `GTQ`. Whether the code is given to any money is not known here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Currency(String);

/// What a currency has to be.
#[derive(Debug, thiserror::Error)]
#[error("must be the three letters of an ISO 4217 code, such as GTQ")]
pub struct NotACurrency;

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        let is_code = text.len() == 3 && text.bytes().all(|letter| letter.is_ascii_alphabetic());
        if is_code { Ok(Self(text.to_ascii_uppercase())) } else { Err(NotACurrency) }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_letters() {
        assert_eq!("gtq".parse::<Currency>().expect("a code").to_string(), "GTQ");
        for wrong in ["", "Q", "EURO", "US$", "U D", "\u{e9}U"] {
            assert!(wrong.parse::<Currency>().is_err(), "{wrong}");
        }
    }
}
