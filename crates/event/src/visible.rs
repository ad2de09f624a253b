//! Text that people see, as identifiers and names are: what looks the same is the same.
//!
//! It is stored in Unicode's normal form C, so that `é` in one code point and in two is one text. What cannot be seen is
//! refused: it would make two texts of what looks like one.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_normalization::UnicodeNormalization;

/// How many times longer than its normal form C a text may be, in UTF-8 (<https://unicode.org/faq/normalization.html>).
const MOST_EXPANSION: usize = 3;

/// Characters that have no ink although Unicode calls them letters, marks or symbols: the Braille pattern without dots, the
/// note without a head, the Khitan filler, the Egyptian blanks.
const WITHOUT_INK: [char; 5] = ['\u{2800}', '\u{1d159}', '\u{16fe4}', '\u{13441}', '\u{13442}'];

/// The space, and each character of the basic plane that is never seen, as they stand in a class of a regular expression.
macro_rules! space_and_unseen {
    () => {
        concat!(
            r"\u0000-\u0020\u007f-\u00a0\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u115f-\u1160",
            r"\u1680\u17b4-\u17b5\u180b-\u180f\u2000-\u200f",
            r"\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufdd0-\ufdef",
            r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe-\uffff"
        )
    };
}

/// What `visible_text` takes, but for the length: words with plain spaces between them, as a regular expression of
/// ECMA-262. Beyond the basic plane, where not every dialect can name a character, it does not tell them apart.
pub const VISIBLE_TEXT: &str = concat!("^[^", space_and_unseen!(), "]+(?: +[^", space_and_unseen!(), "]+)*$");

/// The text in normal form C, if that is `1 … max_bytes` bytes long and can be seen: no character of it is invisible, and no
/// space is at an end. Inside, the plain space is the only one.
pub(crate) fn visible_text(text: &str, max_bytes: usize) -> Option<String> {
    if text.is_empty() || text.len() > max_bytes * MOST_EXPANSION {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return (text.len() <= max_bytes).then(|| text.to_owned());
    }
    let normal: String = text.nfc().collect();
    let is_seen = normal.trim().len() == normal.len() && !normal.chars().any(is_invisible);
    (is_seen && normal.len() <= max_bytes).then_some(normal)
}

/// The text in normal form C, if the log may hold it: 1 to `max_bytes` bytes as it was written, without control characters
/// or space at an end. What was accepted once is counted, also where [`visible_text`] would refuse it today.
pub(crate) fn recorded_text(text: &str, max_bytes: usize) -> Option<String> {
    let is_sound = (1..=max_bytes).contains(&text.len())
        && text.trim().len() == text.len()
        && !text.contains(char::is_control);
    is_sound.then(|| text.nfc().collect())
}

fn is_invisible(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    matches!(category, GeneralCategory::Control | GeneralCategory::Format)
        || c.is_whitespace()
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || WITHOUT_INK.contains(&c)
        || is_noncharacter(c)
}

/// Never a character, in any version of Unicode.
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_is_taken_in_normal_form_c() {
        for (text, stored) in [
            ("P-17", "P-17"),
            ("café molido 500 g", "café molido 500 g"),
            ("cafe\u{301}", "café"),
            ("\u{212b}ngstro\u{308}m", "Ångström"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("q\u{307}\u{323}", "q\u{323}\u{307}"),
            ("产品", "产品"),
            ("🎁", "🎁"),
            ("हिन्दी", "हिन्दी"),
            ("สวัสดี", "สวัสดี"),
        ] {
            assert_eq!(visible_text(text, 128).as_deref(), Some(stored), "{text:?}");
        }
    }

    #[test]
    fn the_expression_names_what_is_never_seen() {
        let is_unseen = |c: &char| *c == ' ' || visible_text(&format!("a{c}b"), 128).is_none();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for c in ('\0'..='\u{ffff}').filter(is_unseen).map(u32::from) {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == c => *last = c,
                _ => ranges.push((c, c)),
            }
        }
        let range = |(first, last)| match first == last {
            true => format!("\\u{first:04x}"),
            false => format!("\\u{first:04x}-\\u{last:04x}"),
        };
        let unseen: String = ranges.into_iter().map(range).collect();
        assert_eq!(VISIBLE_TEXT, format!("^[^{unseen}]+(?: +[^{unseen}]+)*$"));
    }

    #[test]
    fn what_was_accepted_once_is_read_back() {
        for text in ["\u{2764}\u{fe0f}", "\u{3164}", "\u{2800}", "P-17", "cafe\u{301}"] {
            assert!(recorded_text(text, 128).is_some(), "{text:?}");
        }
        assert_eq!(recorded_text("cafe\u{301}", 128).as_deref(), Some("café"));
        assert_eq!(recorded_text(&"\u{958}".repeat(42), 128).map(|text| text.len()), Some(252));
        for text in ["", " a", "a ", "a\nb", "\u{85}", &"x".repeat(129)] {
            assert_eq!(recorded_text(text, 128), None, "{text:?}");
        }
    }

    #[test]
    fn the_length_is_that_of_the_normal_form() {
        let decomposed = "e\u{301}".repeat(64);
        assert_eq!(visible_text(&decomposed, 128), Some("é".repeat(64)));
        assert_eq!(visible_text(&decomposed, 127), None);
        // It is longer in normal form C.
        assert_eq!(visible_text("\u{958}", 3), None);
        assert_eq!(visible_text("\u{958}", 6).map(|text| text.len()), Some(6));
        assert_eq!(visible_text(&"x".repeat(129), 128), None);
        assert_eq!(visible_text(&"ñ".repeat(200_000), 128), None);
    }

    #[test]
    fn what_cannot_be_seen_is_refused_wherever_it_stands() {
        let fillers =
            ['\u{3164}', '\u{115f}', '\u{1160}', '\u{ffa0}', '\u{2800}', '\u{34f}', '\u{17b4}', '\u{17b5}'];
        let selectors =
            ('\u{fe00}'..='\u{fe0f}').chain('\u{e0100}'..='\u{e01ef}').chain('\u{180b}'..='\u{180f}');
        let formats = "\u{ad}\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{202a}\u{202e}\u{2060}\u{2064}\u{2066}\u{206f}\u{feff}\u{fff9}\u{fffb}\u{1bca0}\u{1d173}\u{e0001}\u{e007f}\u{110bd}";
        let spaces = "\u{a0}\u{1680}\u{2000}\u{2003}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{85}\t\n\0\u{7f}\u{9f}";
        let others =
            "\u{1d159}\u{16fe4}\u{13441}\u{13442}\u{fdd0}\u{fffe}\u{ffff}\u{10ffff}\u{fff0}\u{2065}\u{e0fff}";
        let all = fillers.into_iter().chain(selectors).chain(formats.chars()).chain(spaces.chars());
        for c in all.chain(others.chars()) {
            for text in [format!("a{c}b"), format!("{c}ab"), format!("ab{c}"), c.to_string()] {
                assert_eq!(visible_text(&text, 128), None, "U+{:04X} in {text:?}", u32::from(c));
            }
        }
        for text in ["", " ", " a", "a "] {
            assert_eq!(visible_text(text, 128), None, "{text:?}");
        }
    }
}
