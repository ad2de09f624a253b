use std::fmt;

use serde::Serialize;

/// How much something matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Ok,
    /// It would work, but not as well as it could; or it cannot be seen from here.
    Warning,
    /// It could not work.
    Problem,
}

/// What was looked at, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) seen: String,
    /// What to type, unless all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

/// All that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    pub(crate) checks: Vec<Check>,
}

impl Check {
    pub(super) fn ok(name: &'static str, seen: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, seen: seen.into(), remedy: None }
    }

    pub(super) fn warning(name: &'static str, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warning, seen: seen.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    pub(super) fn problem(name: &'static str, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Problem, seen: seen.into(), remedy: Some(remedy.into()) }
    }
}

impl Report {
    /// Whether a deployment could work.
    pub(crate) fn works(&self) -> bool {
        self.count(Verdict::Problem) == 0
    }

    pub(super) fn add(&mut self, checks: impl IntoIterator<Item = Check>) {
        self.checks.extend(checks);
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        })
    }
}

/// A line for each check, and below it what to type.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
        for Check { name, verdict, seen, remedy } in &self.checks {
            writeln!(f, "{verdict:7}  {name:width$}  {}", seen.replace('\n', "\n           "))?;
            for (at, line) in remedy.iter().flat_map(|remedy| remedy.lines()).enumerate() {
                let head = if at == 0 { "type:" } else { "" };
                writeln!(f, "         {head:5} {line}")?;
            }
        }
        let (problems, warnings) = (self.count(Verdict::Problem), self.count(Verdict::Warning));
        write!(f, "{} checks; problems: {problems}, warnings: {warnings}", self.checks.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_aligned_and_says_what_to_type() {
        let mut report = Report::default();
        report.add([Check::ok("nodes", "1 ready"), Check::warning("metrics-server", "not there", "a\nb")]);
        assert!(report.works());
        report.add([Check::problem("storage", "no class", "c")]);
        assert!(!report.works());
        let expected = "ok       nodes           1 ready\n\
            warning  metrics-server  not there\n         type: a\n               b\n\
            problem  storage         no class\n         type: c\n\
            3 checks; problems: 1, warnings: 1";
        assert_eq!(report.to_string(), expected);
        let json = serde_json::to_value(&report).expect("JSON");
        assert_eq!(json["checks"][2]["verdict"], "problem");
        assert_eq!(json["checks"][0].get("remedy"), None);
    }
}
