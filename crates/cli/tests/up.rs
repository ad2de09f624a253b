//! `blackfriday up` as somebody keeps it: killed and started again under load it loses and doubles nothing, a folder has one
//! owner, SIGTERM drains, and servers that are there already are used and left alone.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_stack::{Kafka, KeptPort, Valkey, eventually};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{sleep, timeout};

const ME: &str = env!("CARGO_BIN_EXE_blackfriday");
/// Two logs and two stores start, on a machine that others may fill.
const LIMIT: Duration = Duration::from_secs(200);
/// How often it is killed under load.
const KILLS: usize = 2;

/// Ports that are the same at each start, and the variables by which other commands find them.
struct Site {
    flags: Vec<String>,
    variables: Vec<(&'static str, String)>,
    files: TempDir,
    _ports: [KeptPort; 7],
}

struct Up {
    process: Child,
    lines: Lines<BufReader<ChildStderr>>,
    seen: Vec<String>,
}

impl Site {
    fn new() -> Result<Self> {
        let files = tempfile::tempdir()?;
        let kept = [(); 7].map(|()| KeptPort::new());
        let [gateway, dashboard, admin, kafka, valkey, rabbitmq, redis] = kept;
        let ports = [gateway?, dashboard?, admin?, kafka?, valkey?, rabbitmq?, redis?];
        let [gateway, dashboard, admin, kafka, valkey, rabbitmq, redis] =
            ports.each_ref().map(KeptPort::number);
        let flags = vec![
            format!("--data={}", files.path().join("data").display()),
            format!("--gateway-listen=127.0.0.1:{gateway}"),
            format!("--dashboard-listen=127.0.0.1:{dashboard}"),
            format!("--admin-listen=127.0.0.1:{admin}"),
            format!("--kafka-port={kafka}"),
            format!("--valkey-port={valkey}"),
            format!("--rabbitmq-port={rabbitmq}"),
            format!("--redis-port={redis}"),
        ];
        let variables = vec![
            ("BLACKFRIDAY_GATEWAY_URL", format!("http://127.0.0.1:{gateway}")),
            ("BLACKFRIDAY_KAFKA_BROKERS", format!("127.0.0.1:{kafka}")),
            ("BLACKFRIDAY_VALKEY_URL", format!("redis://127.0.0.1:{valkey}")),
            ("BLACKFRIDAY_RABBITMQ_SERVERS", format!("127.0.0.1:{rabbitmq}")),
            ("BLACKFRIDAY_ADMIN_LISTEN", format!("127.0.0.1:{admin}")),
            ("BLACKFRIDAY_REDIS_URL", format!("redis://127.0.0.1:{redis}")),
        ];
        Ok(Self { flags, variables, files, _ports: ports })
    }

    fn variable(&self, name: &str) -> Result<&str> {
        let found = self.variables.iter().find(|(known, _)| *known == name);
        Ok(&found.context("a variable of the site")?.1)
    }

    fn start(&self, more: &[&str]) -> Result<Up> {
        self.start_with(&[], more)
    }

    fn start_with(&self, variables: &[(&str, &str)], more: &[&str]) -> Result<Up> {
        let name = |flag: &str| flag.split('=').next().map(str::to_owned);
        let is_other = |flag: &&String| more.iter().all(|other| name(other) != name(flag));
        let mut command = Command::new(ME);
        // `up` does not take its own servers, which these name, for somebody else's.
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.envs(variables.iter().copied());
        command
            .arg("up")
            .args(self.flags.iter().filter(is_other))
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.kill_on_drop(true).spawn().context("run blackfriday up")?;
        let lines = BufReader::new(process.stderr.take().context("standard error is piped")?).lines();
        Ok(Up { process, lines, seen: Vec::new() })
    }

    async fn started(&self, more: &[&str]) -> Result<Up> {
        let mut up = self.start(more)?;
        up.until("ready").await?;
        Ok(up)
    }

    /// The status of what a probe asks, and what is answered.
    async fn probe(&self, path: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.variable("BLACKFRIDAY_ADMIN_LISTEN")?).await?;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: up\r\nConnection: close\r\n\r\n").as_bytes())
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let status = answer.split(' ').nth(1).context("a status")?.parse()?;
        Ok((status, answer))
    }

    /// Another command, which finds the system by the variables; its exit code and what it said.
    async fn run(&self, words: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = Command::new(ME);
        command.args(words).envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = timeout(LIMIT, command.kill_on_drop(true).output()).await.context("in time")??;
        let told = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8_lossy(&told).into_owned()))
    }

    fn receipts(&self, name: &str) -> String {
        self.files.path().join(format!("{name}.receipts")).display().to_string()
    }

    /// What these clients were told is what is counted.
    async fn verify(&self, receipts: &[String], more: &[&str]) -> Result<()> {
        let mut words = vec!["verify", "--wait", "60s"];
        words.extend((!receipts.is_empty()).then_some("--only-these"));
        words.extend(receipts.iter().flat_map(|file| ["--receipts", file]));
        words.extend(more);
        let (code, told) = self.run(&words).await?;
        ensure!(code == Some(0), "{told}");
        Ok(())
    }
}

impl Up {
    /// Reads on until a line begins with this text, and returns it.
    async fn until(&mut self, text: &str) -> Result<String> {
        let read = async {
            while let Some(line) = self.lines.next_line().await? {
                self.seen.push(line.clone());
                if line.starts_with(text) {
                    return Ok(line);
                }
            }
            anyhow::bail!("it ended before")
        };
        let found = timeout(LIMIT, read).await.context("in time").and_then(|found| found);
        found.with_context(|| format!("{text:?} after:\n{}", self.seen.join("\n")))
    }

    fn id(&self) -> Result<u32> {
        self.process.id().context("it runs")
    }

    async fn kill(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    /// SIGTERM; the exit code.
    async fn terminate(&mut self) -> Result<Option<i32>> {
        kill_process(Pid::from_raw(i32::try_from(self.id()?)?).context("a process id")?, Signal::TERM)?;
        self.end().await
    }

    async fn end(&mut self) -> Result<Option<i32>> {
        Ok(timeout(LIMIT, self.process.wait()).await.context("it ends")??.code())
    }

    /// The process ids of its servers that run this program.
    fn servers(&self, program: &str) -> Result<Vec<i32>> {
        let mut found = Vec::new();
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.id()?))? {
            // A thread may have ended meanwhile.
            let children = std::fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace() {
                let name = std::fs::read_to_string(format!("/proc/{child}/comm"))?;
                if name.trim().starts_with(program) {
                    found.push(child.parse()?);
                }
            }
        }
        Ok(found)
    }
}

#[tokio::test]
async fn killed_under_load_and_started_again_it_counts_each_sale_once() -> Result<()> {
    let site = Site::new()?;
    let mut receipts = Vec::new();
    for round in 0..KILLS {
        let up = site.started(&[]).await?;
        receipts.push(site.receipts(&round.to_string()));
        let load = ["load", "--rate", "800", "--duration", "3s", "--timeout", "2s", "--receipts"];
        let words = [&load[..], &[&receipts[round]]].concat();
        let kill = async {
            sleep(Duration::from_millis(1500)).await;
            up.kill().await
        };
        let (loaded, killed) = tokio::join!(site.run(&words), kill);
        killed?;
        let (code, told) = loaded?;
        ensure!(code == Some(1), "it was killed while the load ran: {told}");
    }
    let mut up = site.started(&[]).await?;

    ensure!(site.probe("/livez").await?.0 == 200, "it lives");
    let is_ready = async || site.probe("/readyz").await.is_ok_and(|(status, _)| status == 200);
    eventually(LIMIT, is_ready).await.context("as it says")?;
    let (_, metrics) = site.probe("/metrics").await?;
    for sample in
        ["process_open_fds{service=\"up\"} ", "blackfriday_consumer_batches_total{service=\"consumer\"} "]
    {
        ensure!(metrics.lines().any(|line| line.starts_with(sample)), "no {sample}: {metrics}");
    }
    for family in ["# TYPE process_open_fds ", "# TYPE blackfriday_limit "] {
        ensure!(metrics.matches(family).count() == 1, "{family} once: {metrics}");
    }

    // A server that dies is started again, and told of.
    let valkey = up.servers("valkey")?;
    ensure!(valkey.len() == 1, "{valkey:?}");
    kill_process(Pid::from_raw(valkey[0]).context("a process id")?, Signal::KILL)?;
    up.until("Valkey ended by itself").await?;
    up.until("Valkey serves again").await?;
    site.verify(&receipts, &[]).await?;

    ensure!(up.terminate().await? == Some(0), "it drains");
    up.until("everything is stopped; the data stays in").await?;
    Ok(())
}

#[tokio::test]
async fn a_folder_has_one_owner_and_is_told_by_its_process() -> Result<()> {
    let site = Site::new()?;
    let mut up = site.start(&[])?;
    up.until("starting on the data in").await?;
    let mut second = site.start(&[])?;
    let told = second.until("blackfriday: ").await?;
    let folder = site.files.path().join("data").canonicalize()?;
    let expected = format!("blackfriday: {} is in use by process {}", folder.display(), up.id()?);
    ensure!(told == expected, "{told}");
    ensure!(second.end().await? == Some(69), "it is refused");
    ensure!(up.terminate().await? == Some(0), "it was not ready yet");

    let mut of_another_kind = site.start(&["--weather"])?;
    let told = of_another_kind.until("blackfriday: ").await?;
    ensure!(told.contains("was begun without --weather"), "{told}");
    ensure!(of_another_kind.end().await? == Some(64), "its store cannot change that");

    let other = Site::new()?;
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let port = format!("--valkey-port={}", taken.local_addr()?.port());
    let mut third = other.start(&[&port])?;
    let told = third.until("blackfriday: another process listens on").await?;
    ensure!(told.contains("--valkey-url") && third.end().await? == Some(69), "{told}");
    Ok(())
}

/// They are neither started nor stopped, and what is counted is theirs.
#[tokio::test]
async fn servers_that_are_there_are_used_and_left_alone() -> Result<()> {
    let site = Site::new()?;
    let (kafka, valkey) = tokio::try_join!(Kafka::start(), Valkey::start())?;
    let theirs = ["--kafka-brokers", kafka.bootstrap(), "--valkey-url", valkey.url()];
    let mut up = site.started(&theirs).await?;
    ensure!(up.servers("")?.is_empty(), "it has no children");
    let (receipts, gateway) = (site.receipts("theirs"), site.variable("BLACKFRIDAY_GATEWAY_URL")?);
    let load = ["load", "--url", gateway, "--rate", "500", "--duration", "2s", "--receipts", &receipts];
    let (code, told) = site.run(&load).await?;
    ensure!(code == Some(0), "{told}");
    // What is counted is counted by it: nobody else goes on.
    site.verify(&[receipts], &theirs).await?;
    // A server that is away is named to whoever asks.
    valkey.kill()?;
    let is_told = async || {
        let probed = site.probe("/readyz").await;
        probed.is_ok_and(|(status, answer)| status == 503 && answer.contains("not ready: "))
    };
    eventually(LIMIT, is_told).await.context("its services are not ready")?;
    valkey.restart().await?;
    let is_well = async || site.probe("/readyz").await.is_ok_and(|(status, _)| status == 200);
    eventually(LIMIT, is_well).await.context("ready again")?;
    ensure!(up.terminate().await? == Some(0), "it drains");
    ensure!(kafka.pid().is_some() && valkey.command(&["PING"]).await? == "PONG", "they go on");
    Ok(())
}

/// A line of the log for every Nth sale, in the words of the assignment's reports; none unless it is asked for.
#[tokio::test]
async fn every_nth_sale_has_a_line_where_it_is_asked_for() -> Result<()> {
    let site = Site::new()?;
    for (every, lines) in [("0", 0), ("10", 3)] {
        let variables = [("BLACKFRIDAY_LOG_EVERY", every), ("BLACKFRIDAY_LOG_FILTER", "info")];
        let mut up = site.start_with(&variables, &[])?;
        up.until("ready").await?;
        let (code, told) = site.run(&["load", "--sales", "30", "--connections", "1"]).await?;
        ensure!(code == Some(0), "{told}");
        site.verify(&[], &[]).await?;
        ensure!(up.terminate().await? == Some(0), "it drains");
        up.until("everything is stopped").await?;
        let count = |words: &str| up.seen.iter().filter(|line| line.contains(words)).count();
        let counts = [count("Mensaje enviado a Kafka [partition="), count("Procesado: ")];
        ensure!(counts == [lines; 2], "{counts:?} in {:?}", up.seen);
        let sold = up.seen.iter().find(|line| line.contains("Procesado: "));
        ensure!(sold.is_none_or(|line| line.contains("(Cant: ") && line.contains(", $")), "{sold:?}");
    }
    Ok(())
}

/// Both logs and both stores are where they were, too.
#[tokio::test]
async fn weather_is_kept_as_well() -> Result<()> {
    let site = Site::new()?;
    let receipts = site.receipts("weather");
    let up = site.started(&["--weather"]).await?;
    let (code, told) = site
        .run(&["load", "--route", "input", "--rate", "50", "--reports", "100", "--receipts", &receipts])
        .await?;
    ensure!(code == Some(0), "{told}");
    up.kill().await?;
    let mut up = site.started(&["--weather"]).await?;
    let receipts = [receipts];
    site.verify(&receipts, &["--both-logs"]).await?;
    site.verify(&receipts, &["--topics", "clima", "--log", "rabbitmq"]).await?;
    let redis = site.variable("BLACKFRIDAY_REDIS_URL")?;
    site.verify(&receipts, &["--topics", "clima", "--valkey-url", redis]).await?;
    ensure!(up.terminate().await? == Some(0), "it drains");
    Ok(())
}
