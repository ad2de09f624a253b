//! What is written to standard output: results, and nothing else. Everything about the way there goes to standard error.
//!
//! Numbers are written in one way, thousands apart, and words of a verdict have a colour where a terminal shows it (`console`
//! knows `NO_COLOR`, `CLICOLOR` and terminals without colours).

use std::fmt::Display;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::ContentArrangement;
use console::{Term, measure_text_width, style};
use indicatif::HumanCount;

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Digits of a digest that people are shown.
const DIGITS: usize = 12;

/// Writes a line.
pub fn line(text: impl Display) {
    if writeln!(io::stdout().lock(), "{text}").is_err() {
        CLOSED.store(true, Ordering::Relaxed);
    }
}

/// Writes prose: on a terminal in lines that end between words, elsewhere in one.
pub fn prose(text: impl Display) {
    let terminal = Term::stdout();
    let columns = if terminal.is_term() { usize::from(terminal.size().1) } else { usize::MAX };
    line(wrapped(&text.to_string(), columns));
}

fn wrapped(text: &str, columns: usize) -> String {
    let mut lines = String::new();
    let mut taken = 0;
    for word in text.split(' ') {
        let width = measure_text_width(word);
        let fits = taken + 1 + width <= columns;
        lines.push_str(if taken == 0 {
            ""
        } else if fits {
            " "
        } else {
            "\n"
        });
        taken = if taken > 0 && fits { taken + 1 + width } else { width };
        lines.push_str(word);
    }
    lines
}

/// Whether standard output has no reader any more, as in `blackfriday tail | head`.
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Writes a line about the way to the result, to standard error.
pub fn note(text: impl Display) {
    // A closed standard error cannot be reported anywhere.
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// Writes a table with a head. On a terminal its cells are wrapped until it fits.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY).set_header(head);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    for row in rows {
        table.add_row(row);
    }
    line(table);
}

/// The word of a verdict that is as it should be, for standard output.
pub fn good(word: &str) -> String {
    style(word).green().bold().to_string()
}

/// The word of a verdict that is not as it should be, for standard output.
pub fn bad(word: &str) -> String {
    style(word).red().bold().to_string()
}

/// The word of a verdict that leaves something open, for standard output.
pub fn doubtful(word: &str) -> String {
    style(word).yellow().bold().to_string()
}

/// One of these words of a verdict, for standard output.
pub fn verdict(holds: bool, good_word: &str, bad_word: &str) -> String {
    if holds { good(good_word) } else { bad(bad_word) }
}

/// A number with thousands apart, as progress bars write it.
pub fn grouped(number: u64) -> String {
    HumanCount(number).to_string()
}

/// A whole number next to this one, with thousands apart: a rate for people.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub fn rounded(number: f64) -> String {
    grouped(number.round() as u64)
}

/// So many of something, by its name for one and for more.
pub fn count(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { more })
}

/// What somebody else said, for people: in one line, without what a terminal takes for commands, and with so many characters
/// at the most.
pub fn in_a_line(text: &str, most: usize) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let words = words.join(" ");
    let mut visible = words.chars().filter(|character| !character.is_control());
    let mut shown: String = visible.by_ref().take(most).collect();
    shown.extend(visible.next().map(|_| '…'));
    shown
}

/// A digest, or a reference that ends with one, as people tell it from others: with its first twelve digits.
pub fn short_digest(text: &str) -> &str {
    let digits = text.rfind("sha256:").map(|at| at + "sha256:".len());
    digits.and_then(|at| text.get(..at + DIGITS)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_one_way() {
        assert_eq!((&*grouped(1_234_567), &*rounded(1234.5), &*rounded(-1.0)), ("1,234,567", "1,235", "0"));
        assert_eq!(count(1, "event", "events"), "1 event");
        assert_eq!(count(1_000, "event", "events"), "1,000 events");
    }

    #[test]
    fn prose_is_wrapped_between_words() {
        let green = style("holds").green().force_styling(true).to_string();
        let told = format!("{green}: all of it is there");
        assert_eq!(wrapped(&told, 13), format!("{green}: all of\nit is there"));
        assert_eq!(wrapped(&told, usize::MAX), told);
        assert_eq!(wrapped("a-word-that-is-long is", 8), "a-word-that-is-long\nis");
    }

    #[test]
    fn what_others_say_is_told_in_a_line() {
        assert_eq!(in_a_line(" a\n  b\u{1b}[2J ", 20), "a b[2J");
        assert_eq!((&*in_a_line("ññññ", 4), &*in_a_line("ñññññ", 4)), ("ññññ", "ññññ…"));
    }

    #[test]
    fn digests_are_cut_wherever_they_end() {
        let digits = "0123456789abcdef".repeat(4);
        assert_eq!(short_digest(&format!("sha256:{digits}")), "sha256:0123456789ab");
        assert_eq!(short_digest(&format!("r:5000/w@sha256:{digits}")), "r:5000/w@sha256:0123456789ab");
        for whole in ["", "sha256:", "sha256:0123", "r:5000/w:1"] {
            assert_eq!(short_digest(whole), whole);
        }
    }
}
