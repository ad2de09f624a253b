//! What is written to standard output: results, and nothing else. Everything about the way there goes to standard error.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::HumanCount;

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Writes a line.
pub fn line(text: impl Display) {
    if writeln!(io::stdout().lock(), "{text}").is_err() {
        CLOSED.store(true, Ordering::Relaxed);
    }
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

/// Writes a table with a head.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY).set_header(head);
    for row in rows {
        table.add_row(row);
    }
    line(table);
}

/// A number with thousands apart, as progress bars write it.
pub fn grouped(number: u64) -> String {
    HumanCount(number).to_string()
}
