use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{COMMAND_LIMIT, READY_LIMIT, STOP_LIMIT, Valkey, wire};
use crate::error::StackError;
use crate::port::free_port;
use crate::server::{Server, with_free_ports};

/// How a [`Sentinel`] is started.
#[derive(Clone, Debug)]
pub struct SentinelOptions {
    /// How the group is called.
    pub name: String,
    /// Sentinels that must agree that the primary is away.
    pub quorum: u32,
    /// How long the primary must be silent to be away.
    pub down_after: Duration,
    /// More directives of `sentinel.conf`, such as `("requirepass", "secret")`.
    pub config: Vec<(String, String)>,
}

/// A running, paused or stopped Sentinel on a loopback port. Dropping it kills it and removes what it remembers.
#[derive(Debug)]
pub struct Sentinel {
    server: Server,
    program: PathBuf,
    port: u16,
    name: String,
}

impl Default for SentinelOptions {
    fn default() -> Self {
        let (name, down_after) = ("blackfriday".to_owned(), Duration::from_secs(1));
        Self { name, quorum: 2, down_after, config: Vec::new() }
    }
}

impl Sentinel {
    /// Starts a Sentinel of the same kind as `primary`, which it watches, and waits, at most 30 s, until it answers.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(primary: &Valkey, options: &SentinelOptions) -> Result<Self, StackError> {
        let program = primary.program.clone();
        with_free_ports(async || {
            let port = free_port()?;
            let name = options.name.clone();
            let sentinel = Self { server: Server::new("sentinel")?, program: program.clone(), port, name };
            sentinel.server.make_data()?;
            sentinel.server.write("sentinel.conf", &sentinel.configuration(primary.port(), options))?;
            sentinel.launch().await?;
            Ok(sentinel)
        })
        .await
    }

    /// `127.0.0.1:<port>`, the same after a restart.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `127.0.0.1:<port>` of the server that it takes for the primary.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn primary(&self) -> Result<String, StackError> {
        let answer = self.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.name]).await?;
        Ok(answer.replace('\n', ":"))
    }

    /// Sends one command on a connection of its own, as [`Valkey::command`] does.
    ///
    /// # Errors
    /// It cannot be reached, or refuses the command.
    pub async fn command(&self, words: &[&str]) -> Result<String, StackError> {
        let failed = |source| StackError::Command { command: words.join(" "), source };
        let answer = tokio::time::timeout(COMMAND_LIMIT, wire::command(self.port, words)).await;
        answer.unwrap_or_else(|elapsed| Err(elapsed.into())).map_err(failed)
    }

    /// Stops it with SIGTERM.
    ///
    /// # Errors
    /// It took more than 20 s; it is killed then.
    pub async fn stop(&self) -> Result<(), StackError> {
        self.server.stop(STOP_LIMIT).await
    }

    /// Starts it again on the same port, with what it remembers; one that runs is stopped first.
    ///
    /// # Errors
    /// It does not start, for instance because the port was taken meanwhile.
    pub async fn restart(&self) -> Result<(), StackError> {
        self.stop().await?;
        self.launch().await
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// It is stopped already.
    pub fn kill(&self) -> Result<(), StackError> {
        self.server.running()?;
        self.server.kill();
        Ok(())
    }

    /// Stops its clock with SIGSTOP.
    ///
    /// # Errors
    /// It is stopped, or the signal could not be sent.
    pub fn pause(&self) -> Result<(), StackError> {
        self.server.running()?.pause()
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// It is stopped, or the signal could not be sent.
    pub fn resume(&self) -> Result<(), StackError> {
        self.server.running()?.resume()
    }

    async fn launch(&self) -> Result<(), StackError> {
        let mut command = Command::new(&self.program);
        command.arg(self.server.folder().join("sentinel.conf")).arg("--sentinel");
        let port = self.port;
        let answers = async |log: &std::path::Path| {
            let text = tokio::fs::read_to_string(log).await.unwrap_or_default();
            text.contains("Sentinel ID is") && wire::answers(port).await
        };
        self.server.launch(command, READY_LIMIT, answers).await
    }

    fn configuration(&self, primary: u16, options: &SentinelOptions) -> String {
        let SentinelOptions { name, quorum, down_after, config } = options;
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("port {}", self.port),
            format!("dir \"{}\"", self.server.data().display()),
            format!("sentinel monitor {name} 127.0.0.1 {primary} {quorum}"),
            format!("sentinel down-after-milliseconds {name} {}", down_after.as_millis()),
            // Between two tries of a failover twice this time passes; the default is three minutes.
            format!("sentinel failover-timeout {name} 5000"),
        ];
        lines.extend(config.iter().map(|(name, value)| format!("{name} {value}")));
        lines.join("\n") + "\n"
    }
}
