use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blackfriday_cluster::refusal;
use blackfriday_terminal::failure::Unavailable;
use blackfriday_terminal::output;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const PROGRAM: &str = "kubectl";
/// For one command; what waits itself is told a shorter time.
const LIMIT: Duration = Duration::from_secs(330);
const FORWARD_LIMIT: Duration = Duration::from_secs(30);
/// How long undoing waits for an answer: nothing else goes on meanwhile.
const UNDO_LIMIT: &str = "--request-timeout=30s";
/// Between two looks at the cluster: `kubectl` costs more than the look.
const EVERY: Duration = Duration::from_millis(500);

/// `kubectl` against one cluster.
#[derive(Debug, Clone)]
pub(super) struct Kubectl(PathBuf);

/// A port of a pod on this machine, for as long as this is kept.
pub(super) struct Forward {
    pub(super) address: SocketAddr,
    /// It says a line for each connection, and dies of SIGPIPE once nobody could read it.
    _told: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

/// Undoes something when it goes, whatever happened in between.
pub(super) struct Undo {
    kubectl: Kubectl,
    words: Vec<String>,
}

impl Kubectl {
    pub(super) fn new(kubeconfig: &Path) -> Self {
        Self(kubeconfig.to_owned())
    }

    /// What it prints.
    ///
    /// # Errors
    /// It is missing, or what it is asked fails: the error is what it says.
    pub(super) async fn run(&self, words: &[&str], input: Option<&str>) -> Result<String> {
        let mut command = self.command(words);
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(missing)?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // What stops reading says on standard error why.
            stdin.write_all(input.as_bytes()).await.ok();
        }
        let late = || Unavailable(format!("kubectl {} did not end in {LIMIT:?}", words.join(" ")));
        let output =
            timeout(LIMIT, child.wait_with_output()).await.with_context(late)?.with_context(missing)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(refusal(&format!("kubectl {}", words.join(" ")), &String::from_utf8_lossy(&output.stderr)))
    }

    /// The JSON that it prints.
    pub(super) async fn json(&self, words: &[&str]) -> Result<Value> {
        let printed = self.run(words, None).await?;
        let unreadable = || Unavailable(format!("kubectl {}: no JSON came", words.join(" ")));
        serde_json::from_str(&printed).with_context(unreadable)
    }

    /// Changes an object; it is changed back when what this gives goes.
    pub(super) async fn patch(&self, namespace: &str, object: &str, patch: &str, back: &str) -> Result<Undo> {
        let words = |patch: &str| {
            ["-n", namespace, "patch", object, "--type", "merge", "--patch", patch].map(str::to_owned)
        };
        let undo = Undo { kubectl: self.clone(), words: words(back).into() };
        let typed = words(patch);
        self.run(&typed.each_ref().map(String::as_str), None).await?;
        Ok(undo)
    }

    /// Types this when what it gives goes.
    pub(super) fn at_the_end(&self, words: &[&str]) -> Undo {
        Undo { kubectl: self.clone(), words: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    /// Forwards a port of a pod.
    pub(super) async fn forward(&self, namespace: &str, pod: &str, port: u16) -> Result<Forward> {
        let mut command = self.command(&["-n", namespace, "port-forward", pod, &format!(":{port}")]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().with_context(missing)?;
        let mut lines = BufReader::new(process.stdout.take().context("it is piped")?).lines();
        let no_way = || Unavailable(format!("port {port} of {pod} cannot be forwarded"));
        let line = timeout(FORWARD_LIMIT, lines.next_line()).await.with_context(no_way)??;
        let line = line.with_context(no_way)?;
        let address =
            line.strip_prefix("Forwarding from ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        Ok(Forward { address: address.with_context(no_way)?, _told: lines, _process: process })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--kubeconfig").arg(&self.0).args(words).kill_on_drop(true);
        command
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let mut command = std::process::Command::new(PROGRAM);
        command.arg("--kubeconfig").arg(&self.kubectl.0).args(&self.words).arg(UNDO_LIMIT);
        let done = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !done.is_ok_and(|status| status.success()) {
            let quoted =
                |word: &String| if word.starts_with('{') { format!("'{word}'") } else { word.clone() };
            let words: Vec<_> = self.words.iter().map(quoted).collect();
            // Without the file it would be another cluster.
            let (file, words) = (self.kubectl.0.display(), words.join(" "));
            output::note(format_args!("not changed back; type: kubectl --kubeconfig {file} {words}"));
        }
    }
}

fn missing() -> Unavailable {
    Unavailable("run kubectl (`nix develop` has it)".to_owned())
}

/// Waits until something is so, with a word on what it is.
pub(super) async fn until(
    limit: Duration,
    what: &str,
    mut is_so: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let begun = tokio::time::Instant::now();
    while !is_so().await? {
        ensure!(begun.elapsed() < limit, Unavailable(format!("it is not so after {limit:?} that {what}")));
        tokio::time::sleep(EVERY).await;
    }
    Ok(())
}
