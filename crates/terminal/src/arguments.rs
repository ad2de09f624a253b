//! Values of arguments that several commands take.

/// A whole number above 0.
///
/// # Errors
/// It is another text.
pub fn positive(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "must be a whole number above 0".to_owned())
}
