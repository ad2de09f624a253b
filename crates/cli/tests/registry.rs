//! `registry` and `workload` as a user runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blackfriday_stack::free_port;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

/// `blackfriday registry`, and a folder for everything.
struct Fixture {
    folder: TempDir,
    host: String,
    server: Child,
}

impl Fixture {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let host = format!("127.0.0.1:{}", free_port()?);
        let server = serve(folder.path(), &host).await?;
        Ok(Self { folder, host, server })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    async fn output(&self, arguments: &[&str], password: &str) -> Result<Output> {
        let mut command = blackfriday();
        command.args(arguments).env("BLACKFRIDAY_REGISTRY_USERNAME", "blackfriday");
        command.env("BLACKFRIDAY_REGISTRY_CA", self.path("ca.crt"));
        command.env("BLACKFRIDAY_REGISTRY_PASSWORD", password);
        timeout(LIMIT, command.output()).await?.context("run blackfriday")
    }

    async fn run_to(&self, code: i32, arguments: &[&str]) -> Result<String> {
        let password = fs::read_to_string(self.path("password"))?;
        let Output { status, stdout, stderr } = self.output(arguments, &password).await?;
        let (stdout, stderr) = (String::from_utf8(stdout)?, String::from_utf8(stderr)?);
        ensure!(status.code() == Some(code), "{arguments:?}: {status}\n{stdout}\n{stderr}");
        ensure!(!stdout.contains(&password) && !stderr.contains(&password), "the password is printed");
        Ok(if code == 0 { stdout } else { stderr })
    }
}

fn blackfriday() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackfriday"));
    command.kill_on_drop(true).env("NO_PROXY", "127.0.0.1");
    command
}

/// Waits until it has said everything.
async fn serve(folder: &Path, host: &str) -> Result<Child> {
    let mut command = blackfriday();
    command.args(["registry", "--listen", host, "--directory"]).arg(folder).stdout(Stdio::piped());
    let mut server = command.spawn()?;
    let mut said = BufReader::new(server.stdout.take().context("piped")?).lines();
    let ready = async {
        while let Some(line) = said.next_line().await? {
            if line.contains("BLACKFRIDAY_REGISTRY_PASSWORD_FILE") {
                return Ok(line);
            }
        }
        anyhow::bail!("the registry ended")
    };
    timeout(LIMIT, ready).await??;
    Ok(server)
}

async fn interrupt(mut server: Child) -> Result<Option<i32>> {
    let pid = server.id().context("runs")?;
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?).context("a process id")?;
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    Ok(timeout(LIMIT, server.wait()).await??.code())
}

#[tokio::test]
async fn a_workload_is_made_pushed_inspected_and_pulled() -> Result<()> {
    let fixture = Fixture::start().await?;
    let (made, pulled) = (fixture.text("made.toml"), fixture.text("pulled.toml"));
    let digest = fixture.run_to(0, &["workload", "make", "--seed", "7", "--products", "20", &made]).await?;
    ensure!(
        fixture.run_to(0, &["workload", "make", "--seed", "7", "--products", "20"]).await?
            == fs::read_to_string(&made)?
    );

    let at = format!("{}/workloads/friday:1", fixture.host);
    let pinned = fixture.run_to(0, &["workload", "push", &at, &made]).await?;
    let pinned = pinned.trim();
    ensure!(pinned.starts_with(&format!("oci://{}/workloads/friday@sha256:", fixture.host)), "{pinned}");
    let reference = fixture.text("reference");
    let again = ["workload", "push", &at, &made, "--reference-file", &reference];
    ensure!(fixture.run_to(0, &again).await?.trim() == pinned);
    ensure!(fs::read_to_string(&reference)?.trim() == pinned, "the file has the same reference");

    let table = fixture.run_to(0, &["workload", "inspect", &at]).await?;
    ensure!(table.contains(digest.trim()) && table.contains(pinned), "{table}");
    let json: Value =
        serde_json::from_str(&fixture.run_to(0, &["workload", "inspect", "--json", pinned]).await?)?;
    ensure!(json["manifest"]["annotations"]["vnd.blackfriday.workload.products"] == "80", "{json}");

    fixture.run_to(0, &["workload", "pull", pinned, &pulled]).await?;
    ensure!(fs::read(&made)? == fs::read(&pulled)?);

    // What needs a workload takes it from there, and says so; it has no gateway here.
    let away = ["load", "--url", "http://127.0.0.1:1", "--workload", pinned];
    let told = fixture.run_to(69, &away).await?;
    ensure!(told.contains(pinned) && told.contains("cannot be reached"), "{told}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_has_its_exit_code() -> Result<()> {
    let fixture = Fixture::start().await?;
    let made = fixture.text("made.toml");
    fixture.run_to(0, &["workload", "make", &made]).await?;
    let at = format!("{}/a:1", fixture.host);

    let denied = fixture.output(&["workload", "push", &at, &made], "hunter2").await?;
    let told = String::from_utf8(denied.stderr)?;
    ensure!(denied.status.code() == Some(77) && told.contains("refuses to"), "{}: {told}", denied.status);
    ensure!(!told.contains("hunter2"), "{told}");
    let absent = fixture.run_to(69, &["workload", "pull", &at]).await?;
    ensure!(absent.contains("is not there"), "{absent}");

    fs::write(fixture.path("empty"), "")?;
    for wrong in [
        &["workload", "push", "a:1", &made][..],
        &["workload", "push", &at, "/nonexistent"],
        &["workload", "push", &at, &fixture.text("ca.crt")],
        &["workload", "pull", &at, "--ca", "/nonexistent"],
        &["workload", "pull", &at, "--password-file", &fixture.text("empty")],
        &["workload", "make", "/nonexistent/file"],
        // It is there, and another one.
        &["workload", "make", "--seed", "18", &made],
    ] {
        fixture.run_to(64, wrong).await?;
    }
    let before = fs::read(&made)?;
    fixture.run_to(0, &["workload", "make", &made]).await?;
    ensure!(fs::read(&made)? == before, "the same again is no matter");
    fixture.run_to(0, &["workload", "make", "--seed", "18", "--force", &made]).await?;
    ensure!(fs::read(&made)? != before, "replaced as asked for");
    fixture.run_to(69, &["workload", "pull", "127.0.0.1:1/a:1"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_registry_keeps_what_it_was_given_and_stops_at_a_signal() -> Result<()> {
    let fixture = Fixture::start().await?;
    let (made, pulled) = (fixture.text("made.toml"), fixture.text("pulled.toml"));
    fixture.run_to(0, &["workload", "make", "--products", "1", &made]).await?;
    let pinned = fixture.run_to(0, &["workload", "push", &format!("{}/a:1", fixture.host), &made]).await?;

    let second = blackfriday().args(["registry", "--directory"]).arg(fixture.folder.path()).output().await?;
    ensure!(second.status.code() == Some(69), "{}", String::from_utf8_lossy(&second.stderr));

    let Fixture { folder, host, server } = fixture;
    ensure!(interrupt(server).await? == Some(0));
    let server = serve(folder.path(), &host).await?;
    let fixture = Fixture { folder, host, server };
    fixture.run_to(0, &["workload", "pull", pinned.trim(), &pulled]).await?;
    ensure!(fs::read(&made)? == fs::read(&pulled)?);
    Ok(())
}
