use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a server or a child process could not be started, used or stopped.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A program or its files are not on this machine.
    #[error("{what} not found: run `./dev setup`, or set {variable}")]
    Missing {
        /// What was looked for.
        what: &'static str,
        /// The environment variable that names it.
        variable: &'static str,
    },
    /// What a virtual machine needs is not on this machine.
    #[error(
        "{what} not found: run `./dev disk FILE`, which installs what a virtual machine needs, and set {variable}"
    )]
    NoMachine {
        /// What was looked for.
        what: &'static str,
        /// The environment variable that names it.
        variable: &'static str,
    },
    /// An environment variable names something that is not what it should be.
    #[error("{variable}={} is not {what}", path.display())]
    Misnamed {
        /// What it should be.
        what: &'static str,
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        path: PathBuf,
    },
    /// The program is there, but too old.
    #[error("{program} is {found:?}, wanted {wanted} or newer: run `./dev setup`")]
    Outdated {
        /// Path of the program.
        program: String,
        /// What it says of itself.
        found: String,
        /// The oldest version that will do.
        wanted: &'static str,
    },
    /// No free loopback port was found.
    #[error("no free loopback port found")]
    NoPort,
    /// A port is not free that was asked for.
    #[error("another process listens on 127.0.0.1:{port}")]
    PortTaken {
        /// Its number.
        port: u16,
    },
    /// A folder belongs to another process.
    #[error("{} is in use by {holder}", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Who has it, by its process id where that is known.
        holder: String,
    },
    /// A file or folder could not be made, read or removed.
    #[error("{action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A program could not be started at all.
    #[error("start {program}")]
    Spawn {
        /// The program.
        program: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A signal could not be sent.
    #[error("send a signal to {program}")]
    Signal {
        /// The program.
        program: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The process ended although it was to go on.
    #[error("{program} ended with {status}; its log ends with:\n{log}")]
    Exited {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// The process runs but did not answer in time.
    #[error("{program} was not ready within {limit:?}; its log ends with:\n{log}")]
    NotReady {
        /// The program.
        program: String,
        /// How long it had.
        limit: Duration,
        /// The last lines of its log.
        log: String,
    },
    /// The process did not end in time.
    #[error("{program} still runs after {limit:?}; its log ends with:\n{log}")]
    StillRunning {
        /// The program.
        program: String,
        /// How long it had.
        limit: Duration,
        /// The last lines of its log.
        log: String,
    },
    /// The server is stopped, so there is nothing to signal.
    #[error("{program} is stopped")]
    Stopped {
        /// The program.
        program: &'static str,
    },
    /// A command did not reach Valkey, or was refused.
    #[error("valkey: {command}")]
    Command {
        /// Its words.
        command: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// RabbitMQ did not do what it was asked to.
    #[error("rabbitmq: {action}: {said}")]
    Refused {
        /// What it was asked to do.
        action: String,
        /// What it said.
        said: String,
    },
    /// A broker did not tell or do something.
    #[error("kafka {node}: {action}")]
    Kafka {
        /// The broker's id.
        node: i32,
        /// What it was asked.
        action: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Kafka did not take an ACL.
    #[error("kafka: grant to {user}")]
    Grant {
        /// To whom.
        user: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A proxy could not open its port.
    #[error("proxy: {action} a port of loopback")]
    Proxy {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A certificate, key or password could not be made or read.
    #[error("{action}")]
    Certificate {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: openssl::error::ErrorStack,
    },
    /// A password could not be hashed.
    #[error("hash the password")]
    Password(#[source] bcrypt::BcryptError),
    /// A condition did not come true in time.
    #[error("the condition did not come true within {limit:?}")]
    Never {
        /// How long it had.
        limit: Duration,
    },
}
