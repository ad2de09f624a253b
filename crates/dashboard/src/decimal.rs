//! Exact decimals as text. The store holds sums by category; a total over all of them must stay exact, too.

/// Whether `text` is a number with so many decimal places, and no sign.
pub(crate) fn is_readable(text: &str, places: usize) -> bool {
    read(text, places).is_some()
}

/// The exact sum. `None` if there is nothing to add, or if any term is missing or cannot be read: no total is better than
/// a wrong one.
pub(crate) fn sum<'a>(terms: impl Iterator<Item = Option<&'a str>>, places: usize) -> Option<String> {
    let mut sum = None;
    for term in terms {
        sum = Some(sum.unwrap_or(0_u128).checked_add(read(term?, places)?)?);
    }
    sum.map(|value| write(value, places))
}

/// In units of the last place.
pub(crate) fn read(text: &str, places: usize) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || fraction.len() != places || text.ends_with('.') {
        return None;
    }
    let digits = [whole, fraction].concat();
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Of units of the last place.
pub(crate) fn write(value: u128, places: usize) -> String {
    let digits = format!("{value:0>width$}", width = places + 1);
    match digits.split_at(digits.len() - places) {
        (whole, "") => whole.to_owned(),
        (whole, fraction) => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(terms: &[&str], places: usize) -> Option<String> {
        sum(terms.iter().map(|term| Some(*term)), places)
    }

    #[test]
    fn totals_are_exact() {
        assert_eq!(total(&["0.01", "0.02"], 2).as_deref(), Some("0.03"));
        assert_eq!(
            total(&["99999999999999999999.99", "0.01"], 2).as_deref(),
            Some("100000000000000000000.00")
        );
        assert_eq!(total(&["7", "18446744073709551615"], 0).as_deref(), Some("18446744073709551622"));
        assert_eq!(total(&["0.00"], 2).as_deref(), Some("0.00"));
    }

    #[test]
    fn what_cannot_be_read_has_no_total() {
        assert_eq!(total(&[], 2), None);
        for wrong in
            ["", ".50", "1", "1.", "1.5", "1.234", "-1.00", "x", "1e3", "1.0x", "+1.00", " 1.00", "1.2.3"]
        {
            assert_eq!(total(&["1.00", wrong], 2), None, "{wrong}");
        }
        assert!(!is_readable("1.", 0) && !is_readable("1.00", 0));
        assert_eq!(sum([Some("1"), None].into_iter(), 0), None, "one is missing");
        assert_eq!(total(&[&u128::MAX.to_string(), "1"], 0), None, "no overflow");
    }
}
