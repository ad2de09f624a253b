//! `valkey-config` as the first container of a pod runs it: what it writes starts a real primary, a replica and Sentinels,
//! which turn the roles round.

use std::cell::RefCell;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blackfriday_stack::{Process, Valkey, ValkeyKind, eventually};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);
const PASSWORD: &str = "hunter2~hunter2+/=";
const SENTINEL_PASSWORD: &str = "hunter3.hunter3.hunter3";
const PEER_PASSWORD: &str = "hunter4-hunter4-hunter4";
const DASHBOARD_PASSWORD: &str = "hunter5_hunter5_hunter5";

/// Two servers and three Sentinels, each on its default port of an address of its own: all of 127.0.0.0/8 is this machine.
struct Group {
    folder: TempDir,
    program: PathBuf,
    network: String,
    /// Whether Sentinels watch the servers.
    is_watched: bool,
}

/// A server or a Sentinel that runs.
struct Node {
    address: String,
    process: Process,
    said: String,
}

impl Group {
    fn new(kind: ValkeyKind) -> Result<Self> {
        // Tests that run at once must not meet.
        let [a, b, ..] = RandomState::new().hash_one(()).to_be_bytes();
        let network = format!("127.{}.{b}", a.max(1));
        let (folder, program) = (tempfile::tempdir()?, Valkey::program(kind)?);
        Ok(Self { folder, program, network, is_watched: kind == ValkeyKind::Valkey })
    }

    fn host(&self, name: &str) -> String {
        let last = ["", "valkey-0", "valkey-1", "sentinel-0", "sentinel-1", "sentinel-2"];
        let last = last.iter().position(|known| *known == name).expect("one of these");
        format!("{}.{last}", self.network)
    }

    fn config(&self, name: &str, files: &[(&str, String)]) -> Result<PathBuf> {
        let folder = self.folder.path().join(name).join("config");
        fs::create_dir_all(&folder)?;
        let sentinels = ["sentinel-0", "sentinel-1", "sentinel-2"].map(|name| self.host(name) + ":26379\n");
        let sentinels = if self.is_watched { sentinels.concat() } else { String::new() };
        let common = [("sentinels", sentinels), ("sentinel-group", "blackfriday".to_owned())];
        for (name, text) in common.iter().chain(files) {
            fs::write(folder.join(name), text)?;
        }
        Ok(folder)
    }

    /// As a pod does: the folder of the configuration is empty at each start, that of the data is kept.
    async fn server(&self, name: &str, role: &str) -> Result<Node> {
        let hash = |password: &str| {
            Sha256::digest(password).iter().fold("#".to_owned(), |text, byte| format!("{text}{byte:02x}"))
        };
        // As k8s/generate.sh writes them.
        let users = format!(
            "# who else\nuser dashboard on {} resetchannels -@all +ping +role +get %R~ventas:*\n\
            user sentinel on {} resetkeys resetchannels &__sentinel__:* -@all +client|kill +client|setname \
            +config|rewrite +exec +failover +hello +info +multi +ping +publish +replicaof +role +script|kill +slaveof \
            +subscribe\n",
            hash(DASHBOARD_PASSWORD),
            hash(SENTINEL_PASSWORD),
        );
        let files = [
            ("password", PASSWORD.to_owned()),
            ("role", role.to_owned()),
            ("primary", self.host("valkey-0")),
            ("announce", self.host(name)),
            ("users.acl", users),
        ];
        let config = self.config(name, &files)?;
        let (run, data) =
            (self.folder.path().join(name).join("a run"), self.folder.path().join(name).join("data"));
        if run.exists() {
            fs::remove_dir_all(&run)?;
        }
        fs::create_dir_all(&run)?;
        fs::create_dir_all(&data)?;
        let said =
            configure("server", &config, &run, &["--data", text(&data), "--max-memory-bytes", "50000000"])
                .await?;
        self.start(name, "6379", &run.join("valkey.conf"), said).await
    }

    async fn sentinel(&self, name: &str) -> Result<Node> {
        let files = [
            ("primary", self.host("valkey-0")),
            ("user", "sentinel".to_owned()),
            ("password", SENTINEL_PASSWORD.to_owned()),
            ("peer-password", PEER_PASSWORD.to_owned()),
        ];
        let config = self.config(name, &files)?;
        let data = self.folder.path().join(name).join("data");
        fs::create_dir_all(&data)?;
        let host = self.host(name);
        let limits = ["--quorum", "2", "--down-after-ms", "3000", "--failover-timeout-ms", "5000"];
        let said =
            configure("sentinel", &config, &data, &[&["--announce", &host][..], &limits].concat()).await?;
        self.start(name, "26379", &data.join("sentinel.conf"), said).await
    }

    async fn start(&self, name: &str, port: &str, conf: &Path, said: String) -> Result<Node> {
        let mut command = std::process::Command::new(&self.program);
        let host = self.host(name);
        command.arg(conf).args((port == "26379").then_some("--sentinel")).args(["--bind", &host]);
        let process = Process::spawn(command, self.folder.path().join(format!("{name}.log")))?;
        let node = Node { address: format!("{host}:{port}"), process, said };
        eventually(LIMIT, async || node.ask("PING").await.is_ok_and(|answer| answer.contains("PONG")))
            .await
            .with_context(|| format!("{name} answers: {}", node.process.log_tail()))?;
        Ok(node)
    }
}

impl Node {
    /// What it answers to the user who may do everything; to nobody in particular if it is a Sentinel.
    async fn ask(&self, command: &str) -> Result<String> {
        let login =
            if self.address.ends_with(":26379") { "PING".to_owned() } else { format!("AUTH {PASSWORD}") };
        self.say(&[&login, command]).await
    }

    /// All answers to inline commands: <https://valkey.io/topics/protocol/#inline-commands>.
    async fn say(&self, commands: &[&str]) -> Result<String> {
        let talk = async {
            let mut stream = TcpStream::connect(&self.address).await?;
            stream.write_all((commands.join("\r\n") + "\r\n").as_bytes()).await?;
            // Not everybody may QUIT.
            stream.shutdown().await?;
            let mut answers = String::new();
            stream.read_to_string(&mut answers).await?;
            Ok(answers)
        };
        timeout(LIMIT, talk).await?
    }

    async fn becomes(&self, what: &str) -> Result<()> {
        let last = RefCell::new(String::new());
        let is_so = async || {
            let answer = self.ask("INFO replication").await.unwrap_or_default();
            let is_so = what.split(' ').all(|line| answer.contains(line));
            last.replace(answer);
            is_so
        };
        let log = || format!("{what}: {}\n{}", last.borrow(), self.process.log_tail());
        eventually(LIMIT, is_so).await.with_context(log)
    }

    async fn has_the_data(&self) -> Result<()> {
        let copied =
            async || self.ask("GET ventas:x").await.is_ok_and(|answer| answer.contains("\r\n17\r\n"));
        eventually(LIMIT, copied)
            .await
            .with_context(|| format!("it has the data: {}", self.process.log_tail()))
    }

    /// Whether it is a Sentinel that knows the replica and the two other Sentinels, and takes this server for the primary.
    async fn knows(&self, primary: &str) -> bool {
        let known = self.ask("SENTINEL MASTER blackfriday").await.unwrap_or_default().replace("\r\n", " ");
        let expected =
            [format!(" {primary} "), "num-slaves $1 1 ".to_owned(), "num-other-sentinels $1 2 ".to_owned()];
        expected.iter().all(|part| known.contains(part))
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder has a name of text")
}

async fn run(kind: &str, config: &Path, directory: &Path, more: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackfriday-valkey-config"));
    command.args([kind, "--config", text(config), "--directory", text(directory)]).args(more);
    timeout(LIMIT, command.kill_on_drop(true).output()).await?.context("run blackfriday")
}

/// What it said on the way, in one line.
async fn configure(kind: &str, config: &Path, directory: &Path, more: &[&str]) -> Result<String> {
    let Output { status, stdout, stderr } = run(kind, config, directory, more).await?;
    let said = String::from_utf8(stderr)?;
    ensure!(status.success() && stdout.is_empty() && said.lines().count() == 1, "{status}: {said}");
    ensure!(!said.contains("hunter"), "{said}");
    Ok(said)
}

async fn all_know(sentinels: &[Node], primary: &str) -> Result<()> {
    let known = async || {
        for sentinel in sentinels {
            if !sentinel.knows(primary).await {
                return false;
            }
        }
        true
    };
    let logs =
        || sentinels.iter().map(|sentinel| sentinel.process.log_tail()).collect::<Vec<_>>().join("\n---\n");
    eventually(LIMIT, known).await.with_context(|| format!("they know {primary}: {}", logs()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_turn_round_and_a_former_primary_comes_back_as_a_replica() -> Result<()> {
    let group = Group::new(ValkeyKind::Valkey)?;
    let (first, second) = (group.host("valkey-0"), group.host("valkey-1"));
    let mut sentinels = Vec::new();
    for name in ["sentinel-0", "sentinel-1", "sentinel-2"] {
        sentinels.push(group.sentinel(name).await?);
    }
    ensure!(sentinels[0].said.contains(&format!("{first}:6379, as configured")), "{}", sentinels[0].said);
    ensure!(sentinels[2].said.contains("as another Sentinel says"), "{}", sentinels[2].said);
    let primary = group.server("valkey-0", "primary").await?;
    let replica = group.server("valkey-1", "replica").await?;
    ensure!(primary.said.contains("primary, as the Sentinels of blackfriday say"), "{}", primary.said);
    replica.becomes("role:slave master_link_status:up").await?;
    users_may_what_they_should(&primary).await?;
    // A replica whose link is up has not been sent everything yet.
    replica.has_the_data().await?;
    all_know(&sentinels, &first).await?;
    for (forbidden, refusal) in
        [("SENTINEL FAILOVER blackfriday", "-NOPERM"), ("AUTH peer wrong", "-WRONGPASS")]
    {
        let answer = sentinels[0].say(&[forbidden]).await?;
        ensure!(answer.contains(refusal), "{answer}");
    }

    primary.process.kill();
    all_know(&sentinels, &second).await?;
    replica.becomes("role:master").await?;
    let former = group.server("valkey-0", "primary").await?;
    ensure!(former.said.contains(&format!("replica of {second}:6379, as the Sentinels")), "{}", former.said);
    former.becomes(&format!("role:slave master_host:{second} master_link_status:up")).await?;
    former.has_the_data().await?;

    // A Sentinel keeps what it has learnt; one that lost everything is told by the others.
    let learnt = sentinels.remove(0);
    learnt.process.terminate(LIMIT).await?;
    sentinels.push(group.sentinel("sentinel-0").await?);
    all_know(&sentinels, &second).await?;
    sentinels.remove(0).process.kill();
    fs::remove_dir_all(group.folder.path().join("sentinel-1/data"))?;
    let forgetful = group.sentinel("sentinel-1").await?;
    ensure!(
        forgetful.said.contains(&format!("{second}:6379, as another Sentinel says")),
        "{}",
        forgetful.said
    );
    Ok(())
}

async fn users_may_what_they_should(primary: &Node) -> Result<()> {
    ensure!(primary.ask("SET ventas:x 17").await?.contains("+OK\r\n+OK"));
    let dashboard = format!("AUTH dashboard {DASHBOARD_PASSWORD}");
    let answers = primary.say(&[&dashboard, "GET ventas:x", "SET ventas:x 1"]).await?;
    ensure!(answers.contains("\r\n17\r\n-NOPERM"), "{answers}");
    let answers = primary.say(&["AUTH readiness none", "PING", "INFO"]).await?;
    ensure!(answers.contains("+PONG\r\n-NOPERM"), "{answers}");
    let answers = primary.say(&["GET ventas:x"]).await?;
    ensure!(answers.contains("-NOAUTH"), "{answers}");
    Ok(())
}

/// Its own Sentinels do not know all commands that ours may be asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_nobody_watches_starts_with_the_same_files() -> Result<()> {
    let group = Group::new(ValkeyKind::Redis)?;
    let redis = group.server("valkey-0", "primary").await?;
    users_may_what_they_should(&redis).await
}

#[tokio::test]
async fn exit_codes_say_what_is_wrong() -> Result<()> {
    let (config, folder) = (tempfile::tempdir()?, tempfile::tempdir()?);
    for (name, contents) in [("password", PASSWORD), ("role", "primary")] {
        fs::write(config.path().join(name), contents)?;
    }
    let more = ["--data", "/data", "--max-memory-bytes", "1000"];
    let missing = folder.path().join("missing");
    let code = async |config: &Path, directory: &Path, more: &[&str]| {
        let output = run("server", config, directory, more).await?;
        ensure!(!String::from_utf8_lossy(&output.stderr).contains("hunter"));
        Ok(output.status.code())
    };
    ensure!(code(config.path(), folder.path(), &more).await? == Some(0));
    ensure!(code(config.path(), &missing, &more).await? == Some(74));
    ensure!(code(&missing, folder.path(), &more).await? == Some(64));
    ensure!(code(config.path(), folder.path(), &more[..2]).await? == Some(64));
    Ok(())
}
