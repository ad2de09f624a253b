//! `sentinel.conf`: new where there is none; else what Sentinel has written is kept, and only what is ours is put in its place.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use blackfriday_telemetry::access::Secret;
use blackfriday_terminal::failure::Usage;
use blackfriday_terminal::output;

use crate::directive::{self, directive};
use crate::files::{self, Files};
use crate::sentinels::{Answer, Group};
use crate::users;
use crate::value::{self, Endpoint};

const FILE: &str = "sentinel.conf";
/// What is not learnt but configured, and may have been changed since; all else in an existing file stays.
const OURS: [&[&str]; 9] = [
    &["sentinel", "down-after-milliseconds"],
    &["sentinel", "failover-timeout"],
    &["sentinel", "parallel-syncs"],
    &["sentinel", "auth-user"],
    &["sentinel", "auth-pass"],
    &["sentinel", "sentinel-user"],
    &["sentinel", "sentinel-pass"],
    &["sentinel", "announce-ip"],
    &["user"],
];

/// Of a Sentinel.
#[derive(clap::Args, Debug)]
pub struct SentinelArguments {
    /// Folder with a file for each value.
    #[arg(long, value_name = "DIR")]
    config: PathBuf,
    /// Where sentinel.conf is kept; Sentinel rewrites it there.
    #[arg(long, value_name = "DIR", value_parser = directive::folder)]
    directory: PathBuf,
    /// By which name or IPv4 address others reach this Sentinel, on port 26379.
    #[arg(long, value_name = "HOST", value_parser = announced)]
    announce: Endpoint,
    /// Sentinels that must agree that the primary is away.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    quorum: u32,
    /// Milliseconds for which a server must be silent to be away.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    down_after_ms: u32,
    /// Milliseconds after which a failover is given up, and half the time until the next.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    failover_timeout_ms: u32,
}

struct Sentinel {
    group: String,
    primary: Endpoint,
    others: Vec<Endpoint>,
    user: String,
    password: Secret,
    peer_password: Secret,
}

pub(crate) async fn run(arguments: &SentinelArguments) -> Result<()> {
    let sentinel = Sentinel::read(&Files::in_folder(&arguments.config), &arguments.announce)?;
    let lines = match files::written(&arguments.directory, FILE)? {
        Some(text) => {
            output::note("valkey-config: sentinel.conf is kept, with the secrets, times and quorum of now");
            sentinel.renewed(&text, arguments)?
        }
        None => {
            let (primary, why) = sentinel.primary().await?;
            output::note(format_args!("valkey-config: the primary is {primary}, {why}"));
            sentinel.begun(&primary, arguments)
        }
    };
    files::write(&arguments.directory, FILE, &directive::text(lines))
}

impl Sentinel {
    fn read(files: &Files<'_>, announce: &Endpoint) -> Result<Self> {
        let mut others = files.lines("sentinels", value::sentinel)?;
        others.retain(|sentinel| !sentinel.is(announce));
        Ok(Self {
            group: files.required("sentinel-group", value::word)?,
            primary: files.required("primary", value::server)?,
            others,
            user: files.required("user", value::word)?,
            password: files.required("password", value::secret)?,
            peer_password: files.required("peer-password", value::secret)?,
        })
    }

    /// To begin with: the other Sentinels may have turned the roles round since the configuration was written.
    async fn primary(&self) -> Result<(Endpoint, String)> {
        if self.others.is_empty() {
            return Ok((self.primary.clone(), "as configured".to_owned()));
        }
        // Anybody may ask.
        let group = Group { name: self.group.clone(), sentinels: self.others.clone(), password: None };
        Ok(match group.ask(1, Duration::ZERO).await? {
            Answer::Primary(named) => (named, "as another Sentinel says".to_owned()),
            Answer::Unknown(why) => {
                (self.primary.clone(), format!("as configured: no other Sentinel names it ({why})"))
            }
        })
    }

    fn begun(&self, primary: &Endpoint, arguments: &SentinelArguments) -> Vec<String> {
        let SentinelArguments { directory, announce, quorum, .. } = arguments;
        let Endpoint { host, port } = primary;
        let group = &self.group;
        let mut lines = vec![
            "port 26379".to_owned(),
            directive(&["dir", directive::path(directory)]),
            "protected-mode no".to_owned(),
            "daemonize no".to_owned(),
            directive(&["logfile", ""]),
            "sentinel resolve-hostnames yes".to_owned(),
            "sentinel announce-hostnames yes".to_owned(),
            format!("sentinel announce-ip {}", announce.host),
            format!("sentinel announce-port {}", announce.port),
            format!("sentinel monitor {group} {host} {port} {quorum}"),
        ];
        lines.extend(self.login_at_servers());
        lines.extend(self.times(arguments));
        lines.extend(self.login_at_sentinels());
        lines.extend(users::of_sentinel(&self.peer_password));
        lines
    }

    /// An existing file with what is [`OURS`] written again at its end. Sentinel reads its lines in an order of its own.
    fn renewed(&self, text: &str, arguments: &SentinelArguments) -> Result<Vec<String>> {
        let monitor = ["sentinel", "monitor", &self.group];
        let watches = |line: &str| begins_with(line, &monitor);
        // The server, too, takes white space off both ends of a line.
        let written = text.lines().map(|line| line.trim_matches([' ', '\t', '\r']));
        if !written.clone().any(watches) {
            let path = arguments.directory.join(FILE);
            let text = format!(
                "{} does not watch the group that is configured: remove it to start over",
                path.display()
            );
            return Err(Usage(text).into());
        }
        let is_learnt = |line: &&str| !OURS.iter().any(|ours| begins_with(line, ours));
        let with_quorum = |line: &str| match line.rsplit_once(' ') {
            Some((primary, _quorum)) if watches(line) => format!("{primary} {}", arguments.quorum),
            _ => line.to_owned(),
        };
        let mut lines: Vec<_> = written.filter(is_learnt).map(with_quorum).collect();
        lines.push(format!("sentinel announce-ip {}", arguments.announce.host));
        lines.extend(self.login_at_servers());
        lines.extend(self.times(arguments));
        lines.extend(self.login_at_sentinels());
        lines.extend(users::of_sentinel(&self.peer_password));
        Ok(lines)
    }

    fn times(&self, arguments: &SentinelArguments) -> [String; 3] {
        let SentinelArguments { down_after_ms, failover_timeout_ms, .. } = arguments;
        let group = &self.group;
        [
            format!("sentinel down-after-milliseconds {group} {down_after_ms}"),
            format!("sentinel failover-timeout {group} {failover_timeout_ms}"),
            // Replicas are turned to a new primary one after the other, so that one can always be read.
            format!("sentinel parallel-syncs {group} 1"),
        ]
    }

    fn login_at_servers(&self) -> [String; 2] {
        [
            directive(&["sentinel", "auth-user", &self.group, &self.user]),
            directive(&["sentinel", "auth-pass", &self.group, self.password.expose()]),
        ]
    }

    fn login_at_sentinels(&self) -> [String; 2] {
        [
            directive(&["sentinel", "sentinel-user", users::PEER]),
            directive(&["sentinel", "sentinel-pass", self.peer_password.expose()]),
        ]
    }
}

fn announced(text: &str) -> Result<Endpoint, String> {
    Ok(Endpoint { host: value::host(text)?, port: value::SENTINEL_PORT })
}

fn begins_with(line: &str, words: &[&str]) -> bool {
    let mut found = line.split_ascii_whitespace();
    words.iter().all(|word| found.next().is_some_and(|found| found.eq_ignore_ascii_case(word)))
}

/// For the fuzz target: what holds of any `sentinel.conf` that was written before.
#[cfg(fuzzing)]
pub(crate) fn any_file(text: &str) {
    let password: Secret = "0123456789abcdef".parse().expect("any text is a secret");
    let sentinel = Sentinel {
        group: "blackfriday".to_owned(),
        primary: value::server("valkey-0").expect("a host"),
        others: Vec::new(),
        user: "sentinel".to_owned(),
        password: password.clone(),
        peer_password: password,
    };
    let arguments = SentinelArguments {
        config: PathBuf::new(),
        directory: PathBuf::new(),
        announce: announced("sentinel-0").expect("a host"),
        quorum: 2,
        down_after_ms: 5_000,
        failover_timeout_ms: 30_000,
    };
    is_the_same_after_every_start(&sentinel, text, &arguments);
}

/// What holds of any file: if it watches the group, a start renews it to what the next start leaves as it is.
#[cfg(any(test, fuzzing))]
fn is_the_same_after_every_start(sentinel: &Sentinel, text: &str, arguments: &SentinelArguments) {
    let Ok(once) = sentinel.renewed(text, arguments) else { return };
    let again = sentinel.renewed(&directive::text(once.clone()), arguments);
    assert_eq!(again.expect("it still watches the group"), once);
    let passwords = once.iter().filter(|line| begins_with(line, &["sentinel", "auth-pass", &sentinel.group]));
    assert_eq!(passwords.count(), 1);
}

#[cfg(test)]
mod tests;
