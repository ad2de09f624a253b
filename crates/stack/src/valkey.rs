//! A Valkey of its own, with the durability that the demo and the tests reason about: an append-only file that is
//! synced every second, and no snapshots.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Server, with_free_ports};
use crate::{StackError, free_port, locate};

const VARIABLE: &str = "BLACKFRIDAY_VALKEY_SERVER";
const WHAT: &str = "valkey-server (version 8 or newer)";
const OLDEST: u32 = 8;
const READY_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How a [`Valkey`] is started.
#[derive(Clone, Debug, Default)]
pub struct ValkeyOptions {
    /// More directives of `valkey.conf`, such as `("requirepass", "secret")`. They win over the ones set here.
    pub config: Vec<(String, String)>,
}

/// A running, paused or stopped Valkey server on a loopback port. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Valkey {
    server: Server,
    program: PathBuf,
    port: u16,
}

impl Valkey {
    /// Starts a server with the default options and waits until it answers.
    ///
    /// # Errors
    /// As [`Valkey::start_with`].
    pub async fn start() -> Result<Self, StackError> {
        Self::start_with(ValkeyOptions::default()).await
    }

    /// Starts a server and waits, at most 30 s, until it answers.
    ///
    /// # Errors
    /// No `valkey-server` of version 8 or newer is on this machine, or it does not start.
    pub async fn start_with(options: ValkeyOptions) -> Result<Self, StackError> {
        let program = find()?;
        with_free_ports(|| start_on_free_port(&program, &options)).await
    }

    /// `redis://127.0.0.1:<port>`, the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// `127.0.0.1:<port>`, the same after a restart.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Id of the server's process, or `None` if it is stopped.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.server.running().ok().map(|process| process.id())
    }

    /// Stops the server with SIGTERM: everything it acknowledged is on disk afterwards.
    ///
    /// # Errors
    /// It took more than 20 s; it is killed then.
    pub async fn stop(&self) -> Result<(), StackError> {
        self.server.stop(STOP_LIMIT).await
    }

    /// Kills the server with SIGKILL: what it wrote in the last second may be lost.
    ///
    /// # Errors
    /// The signal could not be sent.
    pub async fn kill(&self) -> Result<(), StackError> {
        self.server.kill().await
    }

    /// Starts the server again on the same port and data; one that runs is stopped first.
    ///
    /// # Errors
    /// It does not start, for instance because the port was taken meanwhile.
    pub async fn restart(&self) -> Result<(), StackError> {
        self.stop().await?;
        self.launch().await
    }

    /// Kills the server and removes its data; [`Valkey::restart`] then starts an empty one.
    ///
    /// # Errors
    /// The data cannot be removed.
    pub async fn wipe(&self) -> Result<(), StackError> {
        self.kill().await?;
        self.server.remove_data()
    }

    /// Stops the server's clock with SIGSTOP: connections stay open, nothing answers.
    ///
    /// # Errors
    /// The server is stopped, or the signal could not be sent.
    pub fn pause(&self) -> Result<(), StackError> {
        self.server.running()?.pause()
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// The server is stopped, or the signal could not be sent.
    pub fn resume(&self) -> Result<(), StackError> {
        self.server.running()?.resume()
    }

    async fn launch(&self) -> Result<(), StackError> {
        self.server.make_data()?;
        let mut command = Command::new(&self.program);
        command.arg(self.server.folder().join("valkey.conf"));
        let port = self.port;
        self.server.launch(command, READY_LIMIT, move |log| answers(port, log)).await
    }
}

async fn start_on_free_port(program: &Path, options: &ValkeyOptions) -> Result<Valkey, StackError> {
    let valkey = Valkey { server: Server::new("valkey")?, program: program.to_owned(), port: free_port()? };
    valkey.server.write("valkey.conf", &configuration(&valkey, options))?;
    valkey.launch().await?;
    Ok(valkey)
}

fn configuration(valkey: &Valkey, options: &ValkeyOptions) -> String {
    let port = valkey.port.to_string();
    let data = format!("\"{}\"", valkey.server.data().display());
    let ours = [
        ("bind", "127.0.0.1"),
        ("port", &port),
        ("dir", &data),
        ("daemonize", "no"),
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("save", "\"\""),
        // Without it valkey waits 5 s for replicas that lag before it obeys SIGTERM.
        ("shutdown-timeout", "0"),
    ];
    let theirs = options.config.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    ours.into_iter().chain(theirs).map(|(name, value)| format!("{name} {value}\n")).collect()
}

/// Whether this very process has loaded its data (its own log says so) and answers.
async fn answers(port: u16, log: PathBuf) -> bool {
    let text = tokio::fs::read_to_string(log).await.unwrap_or_default();
    text.contains("Ready to accept connections") && ping(port).await.unwrap_or(false)
}

async fn ping(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    Ok(&answer == b"+PONG\r\n" || &answer == b"-NOAUTH")
}

fn find() -> Result<PathBuf, StackError> {
    if let Some(path) = locate::named_by(VARIABLE) {
        return if path.is_file() {
            check_version(path)
        } else {
            Err(StackError::Misnamed { what: WHAT, variable: VARIABLE, path })
        };
    }
    let candidates = [locate::on_path("valkey-server"), locate::in_tools("valkey/usr/bin/valkey-server")];
    let checked: Vec<_> = candidates.into_iter().flatten().map(check_version).collect();
    let missing = Err(StackError::Missing { what: WHAT, variable: VARIABLE });
    // The first that is new enough; if none is, the error of the last.
    checked.into_iter().fold(missing, |best, next| if best.is_ok() { best } else { next })
}

fn check_version(program: PathBuf) -> Result<PathBuf, StackError> {
    let name = program.display().to_string();
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .map_err(|source| StackError::Spawn { program: name.clone(), source })?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if major_version(&said).is_some_and(|major| major >= OLDEST) {
        return Ok(program);
    }
    Err(StackError::Outdated { program: name, found: said.trim().to_owned(), wanted: "8" })
}

/// The 8 of `Valkey server v=8.0.1 sha=…`.
fn major_version(said: &str) -> Option<u32> {
    said.split_once("v=")?.1.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version() {
        assert_eq!(major_version("Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0"), Some(8));
        assert_eq!(major_version("Redis server v=7.2.4 sha=0"), Some(7));
        assert_eq!(major_version("error while loading shared libraries: liblzf.so.1"), None);
    }
}
