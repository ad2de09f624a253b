//! A Valkey of its own, or a Redis in its place, with the durability that the demo and the tests reason about: an
//! append-only file that is synced every second, and no snapshots.

mod append_only;
mod group;
mod machine;
mod program;
mod sentinel;
mod trouble;
mod wire;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

pub use self::group::{ValkeyGroup, ValkeyGroupOptions};
use self::machine::Machine;
pub use self::program::ValkeyKind;
pub use self::sentinel::{Sentinel, SentinelOptions};
use crate::authority::Identity;
use crate::error::StackError;
use crate::place::Place;
use crate::port::free_port;
use crate::process::Scarce;
use crate::server::{Server, with_free_ports};

const READY_LIMIT: Duration = Duration::from_secs(30);
/// An emulated processor on a busy machine is slow.
const BOOT_LIMIT: Duration = Duration::from_secs(300);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// How a [`Valkey`] is started.
#[derive(Clone, Debug, Default)]
pub struct ValkeyOptions {
    /// Which of the two servers, that are used in the same way.
    pub kind: ValkeyKind,
    /// More directives of `valkey.conf`, such as `("requirepass", "secret")`. They win over the ones set here.
    pub config: Vec<(String, String)>,
    /// Serves TLS, on a port next to the plain one, as this identity. Clients must show a certificate of its authority, unless
    /// `tls-auth-clients` says otherwise.
    pub tls: Option<Identity>,
}

/// A running, paused or stopped Valkey server on a loopback port. Dropping it kills it, and removes its data unless a folder was
/// given.
#[derive(Debug)]
pub struct Valkey {
    server: Server,
    program: PathBuf,
    port: u16,
    tls_port: Option<u16>,
    url: String,
    address: String,
    /// What it is the Valkey of, if it is no process of this machine.
    machine: Option<Machine>,
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
    /// No `valkey-server` of version 8 or newer (or `redis-server` of 7) is on this machine, or it does not start.
    pub async fn start_with(options: ValkeyOptions) -> Result<Self, StackError> {
        Self::start_at(&Place::default(), options).await
    }

    /// As [`Valkey::start_with`], where it is to be found. A folder's data is loaded first.
    ///
    /// # Errors
    /// As [`Valkey::start_with`]; the port is taken, or another process uses the folder.
    pub async fn start_at(place: &Place, options: ValkeyOptions) -> Result<Self, StackError> {
        let program = options.kind.find()?;
        with_free_ports(async || {
            let tls_port = options.tls.as_ref().map(|_| free_port()).transpose()?;
            let server = place.server("valkey").await?;
            let valkey = prepare(server, program.clone(), place.port.choose()?, tls_port, &options)?;
            valkey.restart().await?;
            Ok(valkey)
        })
        .await
    }

    /// Starts a Redis in Valkey's place.
    ///
    /// # Errors
    /// As [`Valkey::start_with`].
    pub async fn start_redis_with(options: ValkeyOptions) -> Result<Self, StackError> {
        Self::start_with(ValkeyOptions { kind: ValkeyKind::Redis, ..options }).await
    }

    /// The program that is started, for callers with a configuration of their own: to be run by [`crate::Process`].
    ///
    /// # Errors
    /// No such program of version 8 (Redis: 7) or newer is on this machine.
    pub fn program(kind: ValkeyKind) -> Result<PathBuf, StackError> {
        kind.find()
    }

    /// `redis://127.0.0.1:<port>`, with a password for one in a virtual machine; the same after a restart.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:<port>`, the same after a restart.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `rediss://127.0.0.1:<port>`, if it serves TLS; the same after a restart.
    #[must_use]
    pub fn tls_url(&self) -> Option<String> {
        Some(format!("rediss://127.0.0.1:{}", self.tls_port?))
    }

    /// The plain port, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Id of the server's process, or `None` if it is stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.running().ok().map(|process| process.pid())
    }

    /// A program that sends it commands, `valkey-cli` or `redis-cli`: next to the server's, else on PATH.
    #[must_use]
    pub fn client(&self) -> Option<PathBuf> {
        program::client_of(&self.program)
    }

    /// Waits for as long as it runs.
    ///
    /// # Errors
    /// It is stopped.
    pub async fn ended(&self) -> Result<ExitStatus, StackError> {
        Ok(self.server.running()?.ended().await)
    }

    /// Stops the server with SIGTERM: everything it acknowledged is on disk afterwards. A virtual machine is unplugged.
    ///
    /// # Errors
    /// It took more than 20 s; it is killed then.
    pub async fn stop(&self) -> Result<(), StackError> {
        self.server.stop(STOP_LIMIT).await
    }

    /// Kills the server with SIGKILL. Acknowledged writes are in the page cache and survive, unless it is in a virtual machine;
    /// for a server that lost its last second see [`Valkey::roll_back`].
    ///
    /// # Errors
    /// It is stopped already.
    pub fn kill(&self) -> Result<(), StackError> {
        self.server.running()?;
        self.server.kill();
        Ok(())
    }

    /// Starts the server again on the same port and data; one that runs is stopped first.
    ///
    /// # Errors
    /// It does not start, for instance because the port was taken meanwhile.
    pub async fn restart(&self) -> Result<(), StackError> {
        self.restart_with(&[]).await
    }

    /// As [`Valkey::restart`], with more directives for this run: `("replicaof", "no one")` brings a server back as a primary
    /// that was made a replica.
    ///
    /// # Errors
    /// As [`Valkey::restart`]; a directive is wrong, or it is in a virtual machine, which takes none.
    pub async fn restart_with(&self, directives: &[(&str, &str)]) -> Result<(), StackError> {
        if self.machine.is_some() && !directives.is_empty() {
            let source = io::Error::other("a virtual machine takes no directives");
            return Err(StackError::Command { command: "restart".to_owned(), source });
        }
        self.stop().await?;
        self.launch(directives, async |log| answers(self.port, log).await).await
    }

    /// Kills the server and removes its data; [`Valkey::restart`] then starts an empty one.
    ///
    /// # Errors
    /// The data cannot be removed.
    pub fn wipe(&self) -> Result<(), StackError> {
        self.server.kill();
        self.server.remove_data()
    }

    /// Copies the data as it is on disk now, in place of an earlier copy. [`Valkey::on_disk`] waits for what was answered last.
    ///
    /// # Errors
    /// The data cannot be copied.
    pub fn checkpoint(&self) -> Result<(), StackError> {
        self.server.copy_data()
    }

    /// Kills the server and puts the copy in place of its data; [`Valkey::restart`] then starts it from there, as if
    /// its last writes were lost or a stale replica had taken over.
    ///
    /// # Errors
    /// There is no copy, or it cannot be put in place.
    pub fn roll_back(&self) -> Result<(), StackError> {
        self.server.kill();
        self.server.bring_back_data()
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

    /// As [`crate::Process::limit`], of the server that runs.
    ///
    /// # Errors
    /// The server is stopped, or the limit is higher than what it may ask for.
    pub fn limit(&self, scarce: Scarce, most: Option<u64>) -> Result<(), StackError> {
        self.server.running()?.limit(scarce, most)
    }

    /// Sends one command on a connection of its own, at most 10 s, and returns its answer: what an array holds one
    /// below the other, nulls as empty lines. The way to look or meddle behind a service's back.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses the command.
    pub async fn command(&self, words: &[&str]) -> Result<String, StackError> {
        let failed = |source| StackError::Command { command: words.join(" "), source };
        let password = self.machine.as_ref().map(|_| machine::PASSWORD);
        let answer = tokio::time::timeout(COMMAND_LIMIT, wire::command_as(self.port, password, words)).await;
        answer.unwrap_or_else(|elapsed| Err(elapsed.into())).map_err(failed)
    }

    fn of(server: Server, program: PathBuf, port: u16) -> Self {
        let address = format!("127.0.0.1:{port}");
        let url = format!("redis://{address}");
        Self { server, program, port, tls_port: None, url, address, machine: None }
    }

    async fn launch(
        &self,
        directives: &[(&str, &str)],
        probe: impl AsyncFnMut(&Path) -> bool,
    ) -> Result<(), StackError> {
        self.server.make_data()?;
        if let Some(machine) = &self.machine {
            return self.server.launch(machine.command(&self.server, self.port)?, BOOT_LIMIT, probe).await;
        }
        let mut command = Command::new(&self.program);
        command.arg(self.server.folder().join("valkey.conf"));
        for (name, value) in directives {
            command.arg(format!("--{name}")).args(value.split_whitespace());
        }
        self.server.launch(command, READY_LIMIT, probe).await
    }
}

fn prepare(
    server: Server,
    program: PathBuf,
    port: u16,
    tls_port: Option<u16>,
    options: &ValkeyOptions,
) -> Result<Valkey, StackError> {
    let valkey = Valkey { tls_port, ..Valkey::of(server, program, port) };
    valkey.server.write("valkey.conf", &configuration(&valkey, options))?;
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
    let tls = valkey.tls_port.zip(options.tls.as_ref()).map(|(port, identity)| tls(port, identity));
    let tls = tls.iter().flatten().map(|(name, value)| (*name, value.as_str()));
    let theirs = options.config.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    ours.into_iter().chain(tls).chain(theirs).map(|(name, value)| format!("{name} {value}\n")).collect()
}

fn tls(port: u16, identity: &Identity) -> [(&'static str, String); 4] {
    let quoted = |path: &Path| format!("\"{}\"", path.display());
    [
        ("tls-port", port.to_string()),
        ("tls-ca-cert-file", quoted(&identity.ca)),
        ("tls-cert-file", quoted(&identity.certificate)),
        ("tls-key-file", quoted(&identity.key)),
    ]
}

/// Whether this very process has loaded its data (its own log says so) and answers.
async fn answers(port: u16, log: &Path) -> bool {
    let text = tokio::fs::read_to_string(log).await.unwrap_or_default();
    text.contains("Ready to accept connections") && wire::answers(port).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The retry with other ports knows this error by its text.
    #[tokio::test]
    async fn a_taken_port_is_told_in_the_log() {
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("bind");
        let port = taken.local_addr().expect("bound").port();
        let (program, options) =
            (ValkeyKind::Valkey.find().expect("on this machine"), ValkeyOptions::default());
        let valkey =
            prepare(Server::new("valkey").expect("a folder"), program, port, None, &options).expect("files");
        assert!(crate::server::is_port_taken(&valkey.restart().await.expect_err("taken")));
    }
}
