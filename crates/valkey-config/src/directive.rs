//! Lines of Valkey's configuration, which it takes apart into words as sdssplitargs of its `sds.c` does.

use std::path::{Path, PathBuf};

/// A line of these words.
pub(crate) fn directive(words: &[&str]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// The text of a file.
pub(crate) fn text(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

/// A folder that can be named in a line.
pub(crate) fn folder(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("a path without control characters is wanted".to_owned());
    }
    Ok(text.into())
}

/// A path that [`folder()`] took, below which something may be named.
pub(crate) fn path(path: &Path) -> &str {
    path.to_str().expect("it was made of text")
}

/// As it is, if that is one word; else in quotes, so that it is one and nothing follows it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\');
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let mut quoted = String::from('"');
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(directive(&["bind", "*", "-::*"]), "bind * -::*");
        assert_eq!(directive(&["save", ""]), "save \"\"");
        assert_eq!(directive(&["dir", "/a b"]), "dir \"/a b\"");
        assert_eq!(directive(&["x", "a\"b\\c'd"]), r#"x "a\"b\\c'd""#);
        assert_eq!(directive(&["x", "a\nuser y"]), "x \"a\\nuser y\"");
    }

    #[test]
    fn a_folder_is_on_one_line() {
        assert!(folder("/var/lib/my valkey").is_ok());
        for wrong in ["", "/a\nprotected-mode no", "/a\0"] {
            assert!(folder(wrong).is_err(), "{wrong:?}");
        }
    }
}
