//! `blackfriday demo` as a user runs it: it proves its counts, verify finds what is changed by hand, and nothing is left.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_stack::eventually;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(150);
const ME: &str = env!("CARGO_BIN_EXE_blackfriday");

struct Demo {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    seen: Vec<String>,
}

impl Demo {
    fn start(arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(ME);
        command.arg("demo").args(arguments).stdout(Stdio::piped()).kill_on_drop(true);
        // The demo is about its own servers, whatever the environment says of others.
        command
            .env("BLACKFRIDAY_KAFKA_BROKERS", "127.0.0.1:1")
            .env("BLACKFRIDAY_EVENT_LOG", "rabbitmq")
            .env("BLACKFRIDAY_RABBITMQ_SERVERS", "127.0.0.1:1")
            .env("BLACKFRIDAY_VALKEY_KEY_PREFIX", "other:");
        let mut process = command.spawn().context("run blackfriday demo")?;
        let lines = BufReader::new(process.stdout.take().context("standard output is piped")?).lines();
        Ok(Self { process, lines, seen: Vec::new() })
    }

    /// Reads on until a line holds this text, and returns it.
    async fn until(&mut self, text: &str) -> Result<String> {
        let read = async {
            while let Some(line) = self.lines.next_line().await? {
                self.seen.push(line.clone());
                if line.contains(text) {
                    return Ok(line);
                }
            }
            anyhow::bail!("it ended before")
        };
        let found = timeout(LIMIT, read).await.context("in time").and_then(|found| found);
        found.with_context(|| format!("{text:?} after:\n{}", self.seen.join("\n")))
    }

    /// The variables for a second terminal, as far as they were read: the ports of the servers are not always the usual ones.
    fn exports(&self) -> Vec<(String, String)> {
        let said = self.seen.iter().filter_map(|line| line.trim().strip_prefix("export ")?.split_once('='));
        said.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn pid(&self) -> Result<Pid> {
        let id = self.process.id().context("it runs")?;
        Pid::from_raw(i32::try_from(id)?).context("a process id")
    }

    /// The servers.
    fn children(&self) -> Result<Vec<Pid>> {
        let id = self.pid()?.as_raw_nonzero();
        let mut children = Vec::new();
        for thread in std::fs::read_dir(format!("/proc/{id}/task"))? {
            let of_thread = std::fs::read_to_string(thread?.path().join("children"))?;
            let pids = of_thread.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
            children.extend(pids);
        }
        Ok(children)
    }

    /// Sends a signal, and returns the exit code.
    async fn end(&mut self, signal: Signal) -> Result<i32> {
        kill_process(self.pid()?, signal)?;
        let status = timeout(LIMIT, self.process.wait()).await.context("it ends")??;
        status.code().context("it is not killed by the signal")
    }
}

async fn all_are_gone(children: &[Pid], at_least: usize) -> Result<()> {
    ensure!(children.len() >= at_least, "the servers ran as {children:?}");
    let gone = async || children.iter().all(|child| test_kill_process(*child).is_err());
    Ok(eventually(Duration::from_secs(10), gone).await?)
}

/// The words of a command line that the demo printed, after the program's name.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().skip(1).collect()
}

async fn exit_code(words: &[&str]) -> Result<(Option<i32>, String)> {
    exit_code_with(&[], words).await
}

/// Of a command in a second terminal, with the variables that the demo said.
async fn exit_code_with(variables: &[(String, String)], words: &[&str]) -> Result<(Option<i32>, String)> {
    let variables = variables.iter().map(|(name, value)| (name, value));
    let output = Command::new(ME).envs(variables).args(words).output().await?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?))
}

#[tokio::test]
async fn it_proves_its_counts_on_every_way_and_lets_itself_be_caught() -> Result<()> {
    let short =
        ["--sales", "3000", "--reports", "600", "--duration", "3s", "--keep", "--carnet", "202100017"];
    let mut demo = Demo::start(&short)?;
    let page = demo.until("the page").await?;
    for (way, times, number) in [
        ("sales: Kafka → Valkey", 3, "3,000"),
        ("weather: Kafka → Redis", 3, "600"),
        ("weather: RabbitMQ → Valkey", 3, "600"),
        ("weather in both logs", 2, "600"),
    ] {
        let row = demo.until(way).await?;
        ensure!(row.matches(number).count() == times, "{:?}", demo.seen);
    }
    demo.until("holds: ").await?;
    let verify = demo.until(" verify ").await?;
    let tamper = demo.until("valkey-cli").await?;
    let children = demo.children()?;

    let (exports, verify) = (demo.exports(), words(&verify));
    let (code, table) = exit_code_with(&exports, &verify).await?;
    ensure!(code == Some(0), "{exports:?}: {table}");
    page_is_served(&page).await?;

    let url = words(&tamper)[1].trim_start_matches("redis://").to_owned();
    let mut valkey = TcpStream::connect(url.trim_end_matches('/')).await.context("Valkey's URL is right")?;
    valkey.write_all(b"INCR reportes:total:Ropa\r\n").await?;
    ensure!(valkey.read_u8().await? == b':', "a number comes back");
    let (code, table) = exit_code_with(&exports, &verify).await?;
    ensure!(code == Some(1) && table.contains("differs: reportes:total:Ropa"), "{table}");

    ensure!(demo.end(Signal::INT).await? == 0, "the proof held");
    all_are_gone(&children, 4).await
}

async fn page_is_served(line: &str) -> Result<()> {
    let address = line.trim().rsplit("http://").next().context("an address")?.trim_end_matches('/');
    let mut dashboard = TcpStream::connect(address).await.context("the page is served")?;
    dashboard.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    dashboard.read_to_string(&mut answer).await?;
    ensure!(answer.contains(" 200 OK"), "{answer}");
    Ok(())
}

/// One flag, and sales take the other log and the other store; nothing else runs.
#[tokio::test]
async fn sales_take_the_log_and_the_store_that_were_chosen() -> Result<()> {
    let chosen =
        ["--sales-only", "--log", "rabbitmq", "--store", "redis", "--sales", "2000", "--duration", "2s"];
    let mut demo = Demo::start(&chosen)?;
    demo.until("the page").await?;
    let children = demo.children()?;
    ensure!(children.len() == 2, "RabbitMQ and Redis ran as {children:?}");
    let row = demo.until("sales: RabbitMQ → Redis").await?;
    ensure!(row.matches("2,000").count() == 3, "{:?}", demo.seen);
    demo.until("ok, after").await?;
    all_are_gone(&children, 2).await
}

/// There is one hop, and its counts are proved like any.
#[tokio::test]
async fn sales_need_neither_relay_nor_writers() -> Result<()> {
    let mut demo =
        Demo::start(&["--sales-only", "--one-hop", "--sales", "2000", "--duration", "2s", "--keep"])?;
    let row = demo.until("sales: Kafka → Valkey").await?;
    ensure!(row.matches("2,000").count() == 3, "{:?}", demo.seen);
    demo.until("everything goes on running").await?;
    ensure!(demo.end(Signal::TERM).await? == 0, "the proof holds");
    let (code, _) = exit_code(&["demo", "--one-hop"]).await?;
    ensure!(code == Some(64), "weather has to reach both logs: {code:?}");
    Ok(())
}

#[tokio::test]
async fn weather_needs_no_sales() -> Result<()> {
    let mut demo = Demo::start(&["--weather-only", "--reports", "500", "--duration", "2s"])?;
    let row = demo.until("weather in both logs").await?;
    ensure!(row.matches("500").count() == 2, "{:?}", demo.seen);
    demo.until("ok, after").await?;
    for wrong in [
        ["--weather-only", "--sales-only"],
        ["--weather-only", "--store=redis"],
        ["--sales-only", "--reports=5"],
    ] {
        let (code, _) = exit_code(&[&["demo"], &wrong[..]].concat()).await?;
        ensure!(code == Some(64), "{wrong:?} ended with {code:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_signal_before_the_proof_ends_it_and_all_that_it_started() -> Result<()> {
    let mut demo = Demo::start(&["--duration", "1h"])?;
    demo.until("sales in").await?;
    let children = demo.children()?;
    ensure!(demo.end(Signal::TERM).await? == 130, "there is no proof");
    all_are_gone(&children, 4).await
}

/// Every command says how it is used.
#[tokio::test]
async fn every_help_has_an_example() -> Result<()> {
    let commands: [&[&str]; 8] = [
        &["demo"],
        &["load"],
        &["verify"],
        &["tail"],
        &["dead-letters"],
        &["dead-letters", "list"],
        &["dead-letters", "redrive"],
        &["topics", "create"],
    ];
    for command in commands {
        let (code, help) = exit_code(&[command, &["--help"]].concat()).await?;
        ensure!(code == Some(0) && help.contains("Example") && help.contains("  blackfriday "), "{help}");
    }
    Ok(())
}
