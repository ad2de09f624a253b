//! Runs `kubectl`, `kustomize` and `generate.sh`, and sorts their failures.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_terminal::failure::{Denied, Unavailable};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::line::Line;

/// Which programs, with which words before all others.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    kubectl: Vec<String>,
    kustomize: Vec<String>,
    /// For one command.
    limit: Duration,
    /// All that may be run, where that was said before.
    said: Option<Vec<Line>>,
}

/// What a program did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) is_ok: bool,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Shell {
    pub(crate) fn new(context: Option<&str>, kubeconfig: Option<&Path>, limit: Duration) -> Self {
        let mut kubectl = vec!["kubectl".to_owned()];
        if let Some(kubeconfig) = kubeconfig {
            kubectl.extend(["--kubeconfig".to_owned(), kubeconfig.display().to_string()]);
        }
        if let Some(context) = context {
            kubectl.extend(["--context".to_owned(), context.to_owned()]);
        }
        Self { kubectl, kustomize: vec!["kustomize".to_owned(), "build".to_owned()], limit, said: None }
    }

    /// With a stand-in for kubectl.
    #[cfg(test)]
    pub(crate) fn of(kubectl: &[&str], limit: Duration) -> Self {
        let kubectl = kubectl.iter().map(|word| (*word).to_owned()).collect();
        Self { kubectl, ..Self::new(None, None, limit) }
    }

    /// kubectl has a Kustomize inside, which does when there is no other.
    pub(crate) fn with_what_is_there(mut self) -> Self {
        if !is_on_path("kustomize") {
            self.kustomize = vec!["kubectl".to_owned(), "kustomize".to_owned()];
        }
        self
    }

    /// Runs the commands of these lines and no other: what a dry run prints is what there is to run.
    pub(crate) fn only(&self, lines: Vec<Line>) -> Self {
        Self { said: Some(lines), ..self.clone() }
    }

    /// What goes to kubectl before every other word.
    pub(crate) fn flags(&self) -> &[String] {
        &self.kubectl[1..]
    }

    pub(crate) fn line<W: Into<String>>(&self, words: impl IntoIterator<Item = W>) -> Line {
        Line::new(self.kubectl.iter().cloned().chain(words.into_iter().map(Into::into)))
    }

    pub(crate) fn build_line(&self, folder: &str) -> Line {
        Line::new(self.kustomize.iter().cloned().chain([folder.to_owned()]))
    }

    /// Renders a folder. What comes holds secrets: it goes to kubectl and nowhere else.
    pub(crate) async fn build(&self, folder: &str) -> Result<Vec<u8>> {
        let words: Vec<_> = self.kustomize.iter().cloned().chain([folder.to_owned()]).collect();
        let done = self.run(&words, None, &BTreeMap::new()).await?;
        if done.is_ok {
            return Ok(done.stdout);
        }
        let why = last_lines(&done.stderr);
        Err(Unavailable(format!("{}: {why}", words.join(" "))).into())
    }

    /// Runs a script of the manifests.
    pub(crate) async fn script(&self, line: &Line) -> Result<()> {
        let words = line.stages().last().expect("a line has a command");
        let done = self.run(words, None, &BTreeMap::new()).await?;
        ensure!(done.is_ok, Unavailable(format!("{line}: {}", last_lines(&done.stderr))));
        Ok(())
    }

    /// Runs kubectl, whatever comes of it.
    pub(crate) async fn attempt<W: AsRef<str>>(&self, words: &[W], input: Option<&[u8]>) -> Result<Done> {
        let all: Vec<_> =
            self.kubectl.iter().cloned().chain(words.iter().map(|word| word.as_ref().to_owned())).collect();
        self.run(&all, input, &BTreeMap::new()).await
    }

    /// Runs kubectl; a failure is an error.
    pub(crate) async fn kubectl<W: AsRef<str>>(&self, words: &[W], input: Option<&[u8]>) -> Result<Done> {
        self.checked(words, self.attempt(words, input).await?)
    }

    /// What a failure means.
    pub(crate) fn checked<W: AsRef<str>>(&self, words: &[W], done: Done) -> Result<Done> {
        if done.is_ok {
            return Ok(done);
        }
        let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
        Err(refusal(&self.line(words).to_string(), &done.stderr))
    }

    /// The JSON that kubectl prints; null if it prints nothing, or if the cluster does not know what is asked for.
    pub(crate) async fn json<W: AsRef<str>>(&self, words: &[W], input: Option<&[u8]>) -> Result<Value> {
        let done = self.attempt(words, input).await?;
        if done.is_unknown_kind() {
            return Ok(Value::Null);
        }
        let done = self.checked(words, done)?;
        let values =
            serde_json::Deserializer::from_slice(&done.stdout).into_iter().collect::<Result<Vec<_>, _>>();
        let mut values: Vec<Value> = values.with_context(|| {
            let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
            Unavailable(format!("{}: no JSON came", self.line(words)))
        })?;
        // Some of kubectl's commands make a list of several objects, others write one after the other.
        Ok(match values.len() {
            0 => Value::Null,
            1 => values.remove(0),
            _ => json!({"items": values}),
        })
    }

    /// Runs any program with these variables.
    pub(crate) async fn run(
        &self,
        words: &[String],
        input: Option<&[u8]>,
        variables: &BTreeMap<&str, OsString>,
    ) -> Result<Done> {
        let is_said = self.said.as_ref().is_none_or(|lines| lines.iter().any(|line| line.says(words)));
        ensure!(is_said, "a step is about to run what it does not say: {}", words.join(" "));
        let (program, arguments) = words.split_first().expect("a command has a first word");
        let mut command = Command::new(program);
        command.args(arguments).envs(variables).kill_on_drop(true);
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| missing(program))?;
        let stdin = child.stdin.take();
        let feed = async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A program that stops reading says on standard error why.
                stdin.write_all(input).await.ok();
            }
        };
        let both = async { tokio::join!(feed, child.wait_with_output()).1 };
        let limit = self.limit.as_secs_f64();
        let late = || Unavailable(format!("{} did not end within {limit} s", words.join(" ")));
        let output = timeout(self.limit, both).await.with_context(late)?.with_context(|| missing(program))?;
        Ok(Done {
            is_ok: output.status.success(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

impl Done {
    pub(crate) fn is_unknown_kind(&self) -> bool {
        !self.is_ok && self.stderr.contains("doesn't have a resource type")
    }
}

/// Whether a command did not end in time. What could not be run, or was refused, is something else.
pub(crate) fn is_late(error: &anyhow::Error) -> bool {
    error.is::<Elapsed>()
}

fn missing(program: &str) -> Unavailable {
    Unavailable(format!("run {program} (`nix develop` has it, with all else that deploy needs)"))
}

/// A failure of this command, sorted by what kubectl says: refused by the cluster, or not there.
pub fn refusal(command: &str, stderr: &str) -> anyhow::Error {
    let why = last_lines(stderr);
    let said = stderr.to_ascii_lowercase();
    if said.contains("(forbidden)") || said.contains("unauthorized") || said.contains("must be logged in") {
        return Denied(format!("the cluster refuses: {command}: {why}")).into();
    }
    let away = ["connection refused", "no such host", "i/o timeout", "unable to connect to the server"];
    if away.iter().any(|word| said.contains(word)) {
        let advice = "type: kubectl cluster-info";
        return Unavailable(format!("the cluster cannot be reached: {why}\n  {advice}")).into();
    }
    Unavailable(format!("{command}: {why}")).into()
}

pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(20)..].join("\n  ")
}

pub(crate) fn is_on_path(program: &str) -> bool {
    which::which(program).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blackfriday_terminal::failure::exit_code;

    #[test]
    fn refusals_are_told_from_absence() {
        let code = |stderr| exit_code(&refusal("kubectl get pods", stderr), &[]);
        assert_eq!(code("Error from server (Forbidden): pods is forbidden: User \"x\" cannot list"), 77);
        assert_eq!(code("error: You must be logged in to the server (Unauthorized)"), 77);
        let away = "The connection to the server 10.0.0.1:6443 was refused - connection refused";
        assert_eq!(code(away), 69);
        assert!(refusal("k", away).to_string().contains("cannot be reached"));
        assert_eq!(code("error: no matches for kind \"Kafka\""), 69);
    }

    #[tokio::test]
    async fn what_was_not_said_is_not_run() {
        let shell = Shell::new(None, None, Duration::from_secs(60));
        let only = shell.only(vec![Line::new(["true"])]);
        let run = async |word: &str| only.run(&[word.to_owned()], None, &BTreeMap::new()).await;
        assert!(run("true").await.expect("it was said").is_ok);
        let error = run("false").await.expect_err("it was not");
        assert_eq!(exit_code(&error, &[]), 70, "{error:#}");
    }

    #[test]
    fn context_and_kubeconfig_go_before_every_word() {
        let shell = Shell::new(Some("kind-x"), Some(Path::new("/k c")), Duration::from_secs(1));
        let line = shell.build_line("k8s/x").pipe(shell.line(["apply", "-f", "-"]));
        let expected = "kustomize build k8s/x | kubectl --kubeconfig '/k c' --context kind-x apply -f -";
        assert_eq!(line.to_string(), expected);
    }
}
