use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use blackfriday_terminal::failure::{Unavailable, Usage};
use blackfriday_terminal::output;

use super::Run;
use super::apply::is_ours;
use crate::deploy::query;
use crate::deploy::release::{NAMESPACES, Release};
use crate::line::words;

impl Run<'_> {
    pub(super) async fn delete(&self, words: &[String]) -> Result<()> {
        let done = self.shell.attempt(words, None).await?;
        if done.is_unknown_kind() {
            output::note("  the cluster knows no such kind");
            return Ok(());
        }
        let is_late = done.stderr.contains("timed out");
        let done = self.shell.checked(words, done);
        let done = if is_late { done.with_context(stuck)? } else { done? };
        let lines = String::from_utf8_lossy(&done.stdout);
        let count = lines.lines().filter(|line| line.contains(" deleted")).count();
        output::note(format_args!("  deleted {count} objects"));
        Ok(())
    }

    pub(super) async fn release_topics(&self) -> Result<()> {
        let done = self.shell.attempt(&query::release_topics(), None).await?;
        if done.is_unknown_kind()
            || done.stderr.contains("no objects")
            || done.stderr.contains("resources were provided")
        {
            return Ok(());
        }
        self.shell.checked(&query::release_topics(), done).map(drop)
    }

    pub(super) async fn uninstall(&self, release: &'static Release) -> Result<()> {
        let definition = self.shell.json(&release.find(), None).await?;
        if !definition.is_object() || !is_ours(release, &definition) {
            output::note(format_args!("  {} was not installed by this command: left as it is", release.name));
            return Ok(());
        }
        let query = words(["get", release.resource(), "--all-namespaces", "-o", "json"]);
        let used = self.shell.json(&query, None).await?;
        let elsewhere = used["items"].as_array().into_iter().flatten().find_map(|object| {
            let namespace = object["metadata"]["namespace"].as_str()?;
            (namespace != release.used_in)
                .then(|| format!("{namespace}/{}", object["metadata"]["name"].as_str().unwrap_or("?")))
        });
        if let Some(elsewhere) = elsewhere {
            output::note(format_args!("  {elsewhere} needs {}: left as it is", release.name));
            return Ok(());
        }
        for words in query::uninstall(release) {
            self.delete(&words).await?;
        }
        Ok(())
    }

    pub(super) async fn remove_namespace(&self, name: &str) -> Result<()> {
        let found = self.shell.json(&query::foreign_in(name), None).await?;
        let items = found["items"].as_array().into_iter().flatten();
        let names: Vec<_> = items.filter_map(|object| object["metadata"]["name"].as_str()).collect();
        if !names.is_empty() {
            let names = names.join(", ");
            output::note(format_args!(
                "  not ours, and in it: {names}. Left as it is, with its claims and Secrets"
            ));
            return Ok(());
        }
        debug_assert!(NAMESPACES.contains(&name), "only what the base brings is removed");
        self.delete(&words(["delete", "namespace", name, "--ignore-not-found"])).await
    }
}

fn stuck() -> Unavailable {
    let advice =
        "an operator that should let go of it does not run, perhaps; type: kubectl get pods --all-namespaces";
    Unavailable(format!("something is not let go of: {advice}"))
}

pub(super) fn remove_secrets(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Ok(()) => {
            output::note(format_args!("  removed {}", folder.display()));
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).context(Usage(format!("remove {}", folder.display()))),
    }
}
