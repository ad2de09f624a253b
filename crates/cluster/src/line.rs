//! Commands as one would type them, to print them and to run them.

use std::fmt;

/// Around the name of what is known only when a command runs: an id, a pod. Both are for private use in Unicode, so no word has
/// them otherwise.
const HOLE: [char; 2] = ['\u{e000}', '\u{e001}'];

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

    /// Whether one of its commands has these words, whatever fills its holes.
    pub(crate) fn says(&self, words: &[String]) -> bool {
        let is_this = |stage: &Vec<String>| {
            stage.len() == words.len() && stage.iter().zip(words).all(|(said, word)| fits(said, word))
        };
        self.0.iter().any(is_this)
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

/// Part of a word that is known only when the command runs.
pub(crate) fn hole(name: &str) -> String {
    format!("{}{name}{}", HOLE[0], HOLE[1])
}

/// Whether a word is what was said. A hole takes any text.
fn fits(said: &str, word: &str) -> bool {
    let parts = said.split_once(HOLE[0]).and_then(|(head, rest)| Some((head, rest.split_once(HOLE[1])?.1)));
    match parts {
        None => said == word,
        Some((head, tail)) => word.strip_prefix(head).is_some_and(|rest| rest.ends_with(tail)),
    }
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let word = &word.replace(HOLE, "");
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
        assert_eq!(quoted(&format!("--id={}", hole("ID"))), "--id=ID");
        let line =
            Line::new(["kustomize", "build", "my k8s"]).pipe(Line::new(["kubectl", "apply", "-f", "-"]));
        assert_eq!(line.to_string(), "kustomize build 'my k8s' | kubectl apply -f -");
    }

    #[test]
    fn a_line_says_its_commands_and_leaves_holes_open() {
        let line = Line::new(["kustomize", "build", "k8s"]).pipe(Line::new(["kubectl", "apply"]));
        let patch = Line::new(["kubectl".to_owned(), format!("{{\"id\":\"{}\"}}", hole("ID"))]);
        let says = |line: &Line, command: &str| line.says(&words(command.split(' ')));
        assert!(says(&line, "kustomize build k8s") && says(&line, "kubectl apply"));
        assert!(
            !says(&line, "kubectl delete") && !says(&line, "kubectl") && !says(&line, "kubectl apply -f")
        );
        assert!(says(&patch, "kubectl {\"id\":\"MkU3\"}") && says(&patch, "kubectl {\"id\":\"\"}"));
        assert!(!says(&patch, "kubectl {\"id\":\"MkU3\"") && !says(&patch, "kubectl {\"id\":\""));
    }
}
