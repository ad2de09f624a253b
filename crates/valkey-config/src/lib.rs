//! Writes the configuration of Valkey's servers and Sentinels: in a pod, whose image has no shell to do it, and in the virtual
//! machine. The files that are read are described in docs/disk.md.
//!
//! Invariant: nothing is written before everything was read and found right, and no error repeats what a file holds.

mod directive;
mod files;
mod sentinel;
mod sentinels;
mod server;
mod users;
mod value;

pub use sentinel::SentinelArguments;
pub use server::ServerArguments;

/// For the fuzz target: what holds of any line of the folder's files.
#[cfg(fuzzing)]
pub fn any_line(line: &str) {
    value::is_one_word_or_refused(line);
    users::is_a_user_of_its_own_or_refused(line);
}

/// For the fuzz target: what holds of any `sentinel.conf` that was written before.
#[cfg(fuzzing)]
pub fn any_sentinel_file(text: &str) {
    sentinel::any_file(text);
}

/// Writes the configuration of a Valkey server or Sentinel, out of a folder with a file for each value.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Write valkey.conf and users.acl. Where there are Sentinels, they are asked who is primary now.
    #[command(after_help = "Example:\n  \
        blackfriday valkey-config server --config /etc/valkey/config --directory /run/valkey \\\n    \
        --data /var/lib/valkey --max-memory-bytes 322122547\n\n\
        docs/disk.md describes the files. Exit code 64 if one of them is wrong, 74 if one cannot be\n\
        written.")]
    Server(ServerArguments),
    /// Write sentinel.conf, or renew the secrets in it and keep what Sentinel has learnt.
    #[command(after_help = "Example:\n  \
        blackfriday valkey-config sentinel --config /etc/valkey/config --directory /var/lib/sentinel \\\n    \
        --announce sentinel-0.sentinel --quorum 2 --down-after-ms 5000 --failover-timeout-ms 30000\n\n\
        k8s/README.md describes the files. Exit code 64 if one of them is wrong, 74 if one cannot be\n\
        written.")]
    Sentinel(SentinelArguments),
}

/// Carries a command out.
///
/// # Errors
/// A file is wrong, or one cannot be written.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Server(arguments) => server::run(&arguments).await,
        Command::Sentinel(arguments) => sentinel::run(&arguments).await,
    }
}
