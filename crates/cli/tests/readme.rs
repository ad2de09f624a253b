//! README's five minutes as they are printed: every command of its shell blocks, in a second terminal, against a demo that goes on
//! running. Only what starts a demo is left out, and Nix.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const ME: &str = env!("CARGO_BIN_EXE_blackfriday");
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
/// Two logs and two stores start, on a machine that others may fill.
const LIMIT: Duration = Duration::from_secs(200);
/// In place of the tool that would install and build first.
const DEV: &str = "#!/bin/sh\n\
    case $1 in\n\
    run) shift; exec \"$BLACKFRIDAY\" \"$@\" ;;\n\
    valkey-cli) shift; exec \"$VALKEY_CLI\" -u \"$BLACKFRIDAY_VALKEY_URL\" \"$@\" ;;\n\
    *) echo \"$1 is not for a second terminal\" >&2; exit 64 ;;\n\
    esac\n";

/// A command, its exit code, and what its output has.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    code: i32,
    said: Vec<String>,
}

/// A demo that goes on running, and the variables for a second terminal.
struct Demo {
    _process: Child,
    variables: Vec<(String, String)>,
}

#[tokio::test]
async fn five_minutes_work_as_printed() -> Result<()> {
    let steps = steps(&fs::read_to_string(README)?)?;
    ensure!(steps.len() >= 5, "the section has lost its commands: {steps:?}");
    let demo = Demo::start().await?;
    let folder = tempfile::tempdir()?;
    let dev = folder.path().join("dev");
    fs::write(&dev, DEV)?;
    fs::set_permissions(&dev, fs::Permissions::from_mode(0o755))?;
    for step in steps {
        demo.carry_out(&step, folder.path()).await?;
    }
    Ok(())
}

impl Demo {
    async fn start() -> Result<Self> {
        let mut command = Command::new(ME);
        command.args(["demo", "--keep", "--sales", "1000", "--reports", "200", "--duration", "2s"]);
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(process.stdout.take().context("it is piped")?).lines();
        let mut variables = vec![("BLACKFRIDAY".to_owned(), ME.to_owned())];
        let read = async {
            while let Some(line) = lines.next_line().await? {
                let line = line.trim();
                if let Some((name, value)) =
                    line.strip_prefix("export ").and_then(|line| line.split_once('='))
                {
                    variables.push((name.to_owned(), value.to_owned()));
                }
                if let Some((client, _)) = line.split_once(" -u redis://") {
                    variables.push(("VALKEY_CLI".to_owned(), client.to_owned()));
                    return Ok(());
                }
            }
            anyhow::bail!("the demo ended before it said what to try")
        };
        timeout(LIMIT, read).await.context("the demo takes too long")??;
        Ok(Self { _process: process, variables })
    }

    async fn carry_out(&self, step: &Step, folder: &Path) -> Result<()> {
        let gateway = self.variables.iter().find(|(name, _)| name == "BLACKFRIDAY_GATEWAY_URL");
        let (_, gateway) = gateway.context("the demo names its gateway")?;
        let mut command = Command::new("bash");
        command.arg("-c").arg(step.command.replace("http://127.0.0.1:8080", gateway)).current_dir(folder);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = timeout(LIMIT, command.kill_on_drop(true).output()).await.context("in time")??;
        let said = String::from_utf8_lossy(&output.stdout);
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(step.code),
            "{step:?} ended with {}:\n{said}{told}",
            output.status
        );
        for words in &step.said {
            ensure!(said.contains(words), "{step:?} said:\n{said}{told}");
        }
        Ok(())
    }
}

/// What is typed in a second terminal.
fn steps(readme: &str) -> Result<Vec<Step>> {
    let (_, section) = readme.split_once("\n## Five minutes\n").context("the section is there")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let mut steps = Vec::new();
    for (language, block) in
        blocks.filter(|(_, block)| !block.contains("./dev demo") && !block.contains("nix "))
    {
        match language {
            "sh" => steps.extend(block.lines().map(with_comment)),
            "console" => steps.push(with_answer(block)?),
            other => anyhow::bail!("a block of {other:?}"),
        }
    }
    Ok(steps)
}

/// `command   # exit code: what is to be seen`
fn with_comment(line: &str) -> Step {
    let (command, comment) = line.split_once(" # ").unwrap_or((line, "0"));
    let (code, said) = comment.split_once(": ").unwrap_or((comment, ""));
    Step {
        command: command.trim().to_owned(),
        code: code.parse().unwrap_or_default(),
        said: vec![said.to_owned()],
    }
}

/// One command after a prompt, and below it what is answered, up to where the text leaves something out.
fn with_answer(block: &str) -> Result<Step> {
    let typed = block.strip_prefix("$ ").context("a prompt")?;
    let mut lines = typed.lines();
    let mut command = String::new();
    for line in lines.by_ref() {
        command.push_str(line);
        command.push('\n');
        if !line.ends_with('\\') {
            break;
        }
    }
    let said = lines.map(|line| line.split('…').next().unwrap_or_default().to_owned()).collect();
    Ok(Step { command: command.trim_end().to_owned(), code: 0, said })
}

#[test]
fn comments_and_answers_are_what_is_expected() -> Result<()> {
    let readme = "\n## Five minutes\n```sh\n./dev demo # x\n```\n```sh\n./dev run verify  # 1: lost\n```\n\
        ```console\n$ curl a \\\n    -d b\nHTTP/1.1 202\n{\"id\":\"01…\"}\n```\n## Next\n```sh\nrm\n```\n";
    let step = |command: &str, code, said: &[&str]| Step {
        command: command.to_owned(),
        code,
        said: said.iter().map(|&words| words.to_owned()).collect(),
    };
    let expected = [
        step("./dev run verify", 1, &["lost"]),
        step("curl a \\\n    -d b", 0, &["HTTP/1.1 202", "{\"id\":\"01"]),
    ];
    ensure!(steps(readme)? == expected, "{:?}", steps(readme)?);
    Ok(())
}
