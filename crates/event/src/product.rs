use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::field_error::FieldError;
use crate::visible::{recorded_text, visible_text};

/// A product's identifier: 1–128 bytes of visible UTF-8 text in normal form C, without leading or trailing space. Two
/// that look the same are the same product.
///
/// Cheap to clone: the text is shared.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProductId(Arc<str>);

impl ProductId {
    /// The longest identifier, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 128;

    /// Checks and takes an identifier.
    ///
    /// # Errors
    /// Empty, longer than [`ProductId::MAX_BYTES`] in normal form C, or not visible text (control, format or ignorable
    /// characters, fillers, line breaks, space at either end, another space than the plain one).
    pub fn new(text: &str) -> Result<Self, FieldError> {
        Self::of(visible_text(text, Self::MAX_BYTES))
    }

    /// Takes an identifier of an accepted sale, as the log holds it: the rules for new ones may have become stricter since.
    ///
    /// # Errors
    /// Empty, longer than [`ProductId::MAX_BYTES`], with a control character, or with space at either end.
    pub fn from_record(text: &str) -> Result<Self, FieldError> {
        Self::of(recorded_text(text, Self::MAX_BYTES))
    }

    fn of(text: Option<String>) -> Result<Self, FieldError> {
        let wrong = || FieldError::new("producto_id", "must be 1 to 128 bytes of visible text");
        text.map(|text| Self(text.into())).ok_or_else(wrong)
    }

    /// The identifier's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ProductId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_text_up_to_128_bytes_is_taken_as_it_is() {
        for text in ["P-17", "a", "café molido 500 g", "产品", &"x".repeat(128)] {
            assert_eq!(ProductId::new(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn one_product_has_one_identifier_however_it_is_composed() {
        let (composed, decomposed) = (ProductId::new("café"), ProductId::new("cafe\u{301}"));
        assert_eq!(composed, decomposed);
        assert_eq!(decomposed.expect("visible").as_str(), "café");
    }

    #[test]
    fn empty_long_or_invisible_text_is_refused() {
        let long = "x".repeat(129);
        let wide = "ñ".repeat(65);
        let huge = "x".repeat(200_000);
        for text in ["", " ", " a", "a ", "a\nb", "a\0b", "a\u{200b}b", "\u{202e}abc", &long, &wide, &huge] {
            assert_eq!(ProductId::new(text).expect_err("not visible").field, "producto_id");
        }
    }
}
