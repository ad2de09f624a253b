use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::FieldError;

/// A product's identifier: 1–128 bytes of visible UTF-8 text, without leading or trailing space.
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
    /// Empty, longer than [`ProductId::MAX_BYTES`], or not visible text (control or format characters,
    /// line breaks, space at either end).
    pub fn new(text: &str) -> Result<Self, FieldError> {
        if is_visible_text(text, Self::MAX_BYTES) {
            Ok(Self(text.into()))
        } else {
            Err(FieldError::new("producto_id", "must be 1 to 128 bytes of visible text"))
        }
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

/// `1 … max_bytes` bytes without control characters, invisible format characters, or space at an end.
pub(crate) fn is_visible_text(text: &str, max_bytes: usize) -> bool {
    if text.is_empty() || text.len() > max_bytes {
        return false;
    }
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return true;
    }
    text.trim().len() == text.len() && !text.chars().any(is_invisible)
}

/// Control characters and the format characters that make two texts look alike (Unicode category Cf,
/// the blocks that occur in practice) or break a line.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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
    fn empty_long_or_invisible_text_is_refused() {
        let long = "x".repeat(129);
        let wide = "ñ".repeat(65);
        let huge = "x".repeat(200_000);
        for text in ["", " ", " a", "a ", "a\nb", "a\0b", "a\u{200b}b", "\u{202e}abc", &long, &wide, &huge] {
            assert_eq!(ProductId::new(text).expect_err("not visible").field, "producto_id");
        }
    }
}
