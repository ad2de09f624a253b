use std::fmt;

use crate::digest::of_fields;
use crate::field_error::{FieldError, FieldErrors};
use crate::visible::{recorded_text, visible_text};

/// A valid weather report that has not been accepted yet: what a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeatherDraft {
    /// Free text.
    pub description: String,
    /// Country, by name or code, in normal form C.
    pub country: String,
    /// The kind of weather, in normal form C.
    pub weather: String,
}

impl WeatherDraft {
    /// The longest description, in bytes of UTF-8.
    pub const MAX_DESCRIPTION_BYTES: usize = 1024;
    /// The longest country and kind of weather, in bytes of UTF-8.
    pub const MAX_NAME_BYTES: usize = 64;

    /// Checks and takes a report.
    ///
    /// # Errors
    /// Every wrong field: a description over 1024 bytes or with control characters other than line breaks
    /// and tabs; a country or weather that is not 1–64 bytes of visible text.
    pub fn new(description: &str, country: &str, weather: &str) -> Result<Self, FieldErrors> {
        Self::of(description, country, weather, visible_text)
    }

    /// Takes an accepted report, as the log holds it: the rules for new ones may have become stricter since.
    ///
    /// # Errors
    /// As [`WeatherDraft::new`], but names need only be without control characters and without space at either end.
    pub fn from_record(description: &str, country: &str, weather: &str) -> Result<Self, FieldErrors> {
        Self::of(description, country, weather, recorded_text)
    }

    fn of(
        description: &str,
        country: &str,
        weather: &str,
        text: impl Fn(&str, usize) -> Option<String>,
    ) -> Result<Self, FieldErrors> {
        let mut errors = Vec::new();
        let stray = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if description.len() > Self::MAX_DESCRIPTION_BYTES || description.contains(stray) {
            errors.push(FieldError::new("description", "must be at most 1024 bytes of text"));
        }
        let mut name = |field, given| {
            let name = text(given, Self::MAX_NAME_BYTES);
            if name.is_none() {
                errors.push(FieldError::new(field, "must be 1 to 64 bytes of visible text"));
            }
            name
        };
        match (name("country", country), name("weather", weather)) {
            (Some(country), Some(weather)) if errors.is_empty() => {
                Ok(Self { description: description.into(), country, weather })
            }
            _ => Err(FieldErrors(errors)),
        }
    }
}

/// In one line: `Nubes bajas (GT) - Nublado`.
impl fmt::Display for WeatherDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { description, country, weather } = self;
        let description: Vec<_> = description.split_whitespace().collect();
        write!(f, "{} ({country}) - {weather}", description.join(" "))
    }
}

impl WeatherDraft {
    /// What distinguishes this report from another one under the same idempotency key.
    pub fn digest(&self) -> [u8; 8] {
        let Self { description, country, weather } = self;
        of_fields("weather", &[description.as_bytes(), country.as_bytes(), weather.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wrong_fields_are_named_at_once() {
        let errors = WeatherDraft::new(&"x".repeat(1025), "", "a\u{7}").expect_err("everything is wrong");
        let fields: Vec<_> = errors.0.iter().map(|error| &*error.field).collect();
        assert_eq!(fields, ["description", "country", "weather"]);
    }

    #[test]
    fn names_are_the_same_however_they_are_composed() {
        let report = |country, weather| WeatherDraft::new("", country, weather).expect("visible");
        assert_eq!(report("Me\u{301}xico", "Niebla densi\u{301}sima"), report("México", "Niebla densísima"));
        assert_eq!(report("México", "x").country, "México");
        for country in ["GT\u{3164}", "G\u{fe0f}T", "\u{2800}"] {
            assert_eq!(
                WeatherDraft::new("", country, country).expect_err("fillers").0.len(),
                2,
                "{country:?}"
            );
        }
    }

    /// Nothing but the whole report is repeated under its key.
    #[test]
    fn every_field_tells_a_report_from_another() {
        let of = |description, country, weather| {
            WeatherDraft::new(description, country, weather).expect("valid").digest()
        };
        let one = of("a", "b", "c");
        assert_eq!(one, of("a", "b", "c"));
        for other in
            [of("x", "b", "c"), of("a", "x", "c"), of("a", "b", "x"), of("ab", "b", "c"), of("", "ab", "c")]
        {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_description_may_be_empty_or_have_lines() {
        assert!(WeatherDraft::new("", "GT", "lluvioso").is_ok());
        let report = WeatherDraft::new("Llueve\n mucho", "Guatemala", "Rainy").expect("valid");
        assert_eq!(report.to_string(), "Llueve mucho (Guatemala) - Rainy", "in one line");
    }
}
