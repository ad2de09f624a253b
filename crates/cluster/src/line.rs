//! Commands as one would type them, to print them and to run them.

use std::fmt;

/// A command as one would type it: one program, or several of which each reads what the one before writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line(Vec<Vec<String>>);

impl Line {
    pub(crate) fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self(vec![words.into_iter().map(Into::into).collect()])
    }

    /// The commands, each with its words.
    pub(crate) fn stages(&self) -> &[Vec<String>] {
        &self.0
    }

    /// What reads the output of this one.
    pub(crate) fn pipe(mut self, to: Self) -> Self {
        self.0.extend(to.0);
        self
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, words) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" | ")?;
            }
            f.write_str(&words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))?;
        }
        Ok(())
    }
}

/// The words of a command, owned.
pub(crate) fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_is_printed() {
        for (word, expected) in [
            ("-n", "-n"),
            ("app=a,b!=c", "'app=a,b!=c'"),
            ("", "''"),
            ("it's", r"'it'\''s'"),
            ("$HOME *", "'$HOME *'"),
            ("h:5000/a@sha256:0", "h:5000/a@sha256:0"),
        ] {
            assert_eq!(quoted(word), expected);
        }
        let line =
            Line::new(["kustomize", "build", "my k8s"]).pipe(Line::new(["kubectl", "apply", "-f", "-"]));
        assert_eq!(line.to_string(), "kustomize build 'my k8s' | kubectl apply -f -");
    }
}
