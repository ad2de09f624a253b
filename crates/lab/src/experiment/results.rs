use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{self, PathBuf};

use anyhow::{Context as _, Result, ensure};
use blackfriday_terminal::failure::{DataError, Usage};
use blackfriday_terminal::file;

use super::declared::Experiment;
use super::outcome::Outcome;

/// Results, each by its experiment's name.
pub(super) type Results = BTreeMap<String, Outcome>;

/// Every result in a folder.
///
/// # Errors
/// It cannot be read, has no result, or has a file that is not one.
pub(super) fn read(folder: &path::Path) -> Result<Results> {
    let unreadable = || Usage(format!("read {}", folder.display()));
    let mut results = Results::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let outcome = text.parse::<Outcome>();
            let damaged = || DataError(format!("{} is not a result", path.display()));
            let outcome = outcome.with_context(damaged)?;
            results.insert(outcome.experiment.clone(), outcome);
        }
    }
    ensure!(!results.is_empty(), Usage(format!("there is no result in {}", folder.display())));
    Ok(results)
}

/// Where a result is kept.
#[derive(Debug, Clone)]
pub(super) struct Path(PathBuf);

impl Path {
    pub(super) fn of(folder: &path::Path, experiment: Experiment) -> Self {
        Self(folder.join(format!("{}.json", experiment.name())))
    }

    /// What is there, if anything.
    pub(super) fn read(&self) -> Result<Option<Outcome>> {
        match fs::read_to_string(&self.0) {
            Ok(text) => {
                let read = text.parse::<Outcome>().map(Some);
                read.with_context(|| DataError(format!("{self} is not a result: --again measures anew")))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {self}")),
        }
    }

    pub(super) fn write(&self, outcome: &Outcome) -> Result<()> {
        file::replace(&self.0, &outcome.to_text()).with_context(|| format!("write {self}"))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::example;
    use super::*;

    #[test]
    fn a_result_is_read_as_it_was_written_and_one_that_is_none_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Path::of(folder.path(), Experiment::Logs);
        assert_eq!(path.read().expect("nothing"), None);
        let outcome = example("logs", &[("kafka", &[1.0, 2.0]), ("rabbitmq", &[1.0, 3.0])]);
        path.write(&outcome).expect("written");
        assert_eq!(path.read().expect("a result"), Some(outcome));
        fs::write(folder.path().join("logs.json"), "{}").expect("written");
        let refusal = path.read().expect_err("no result").to_string();
        assert!(refusal.contains("logs.json") && refusal.contains("--again"), "{refusal}");
    }
}
