//! A report has no number of its own: what somebody measured stands in a result.

use anyhow::{Result, ensure};

use super::report::{CLOSE, OPEN};

/// What a number in a sentence is counted in, when somebody measured it.
const UNITS: [&str; 8] = ["ms", "µs", "s", "%", "MiB", "GiB", "ventas/s", "veces"];

/// A number with a unit that no result has.
pub(super) fn refuse(line: &str) -> Result<()> {
    let mut text = String::new();
    let mut rest = line;
    // Neither code nor placeholders.
    while let Some(at) = rest.find(['`', '{']) {
        let (before, found) = rest.split_at(at);
        text.push_str(before);
        let (open, close) = if found.starts_with('`') { ("`", "`") } else { (OPEN, CLOSE) };
        let inside = found.strip_prefix(open).and_then(|inside| Some((inside, inside.find(close)?)));
        match inside {
            Some((inside, end)) => rest = &inside[end + close.len()..],
            None => rest = found.get(1..).unwrap_or_default(),
        }
        text.push(' ');
    }
    text.push_str(rest);
    let words: Vec<_> = text.split([' ', '\u{a0}', '\u{202f}']).collect();
    for (at, word) in words.iter().enumerate() {
        let word = word.trim_matches(|edge: char| !edge.is_alphanumeric() && edge != '%' && edge != 'µ');
        let digits = word.trim_end_matches(|end: char| !end.is_ascii_digit());
        let is_number = word.starts_with(|first: char| first.is_ascii_digit()) && !digits.is_empty();
        if !is_number {
            continue;
        }
        let next = words.get(at + 1).map_or("", |next| next.trim_end_matches(['.', ',', ';', ':', ')']));
        let unit = if word.len() > digits.len() { &word[digits.len()..] } else { next };
        ensure!(!UNITS.contains(&unit), "{digits} {unit} is in no result: name the placeholder that has it");
    }
    Ok(())
}
