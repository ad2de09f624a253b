//! `valkey.conf` and `users.acl` of a server. Where Sentinels watch it, they say whether it is primary or a replica.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use blackfriday_telemetry::access::Secret;
use blackfriday_terminal::output;

use crate::directive::{self, directive};
use crate::files::{self, Files};
use crate::sentinels::{Answer, Group};
use crate::users;
use crate::value::{self, Endpoint};

/// Of questions, before the role that is configured counts.
const ROUNDS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// Of a server.
#[derive(clap::Args, Debug)]
pub struct ServerArguments {
    /// Folder with a file for each value.
    #[arg(long, value_name = "DIR")]
    config: PathBuf,
    /// Where valkey.conf and users.acl are written.
    #[arg(long, value_name = "DIR", value_parser = directive::folder)]
    directory: PathBuf,
    /// Where Valkey keeps its data.
    #[arg(long, value_name = "DIR", value_parser = directive::folder)]
    data: PathBuf,
    /// Bytes that Valkey may fill; beyond them it refuses writes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_memory_bytes: u64,
    /// Read the files and say what is wrong with them; ask no Sentinel, and write nothing.
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Primary,
    Replica,
}

struct Server {
    password: Secret,
    role: Role,
    primary: Option<Endpoint>,
    readiness: Option<Secret>,
    users: Vec<String>,
    announce: Option<Endpoint>,
    group: Option<Group>,
}

pub(crate) async fn run(arguments: &ServerArguments) -> Result<()> {
    let server = Server::read(&Files::in_folder(&arguments.config))?;
    if arguments.check {
        return Ok(());
    }
    let (primary, why) = server.primary().await?;
    output::note(format_args!("valkey-config: {why}"));
    let users = users::of_server(&server.password, server.readiness.as_ref(), server.users.clone());
    files::write(&arguments.directory, "users.acl", &directive::text(users))?;
    files::write(&arguments.directory, "valkey.conf", &server.conf(arguments, primary.as_ref()))
}

impl Server {
    fn read(files: &Files<'_>) -> Result<Self> {
        let password = files.required("password", value::secret)?;
        let role = files.required("role", role)?;
        let primary = match role {
            Role::Primary => files.optional("primary", value::server)?,
            Role::Replica => Some(files.required("primary", value::server)?),
        };
        let readiness = files.optional("readiness-password", value::secret)?;
        let users = files.lines("users.acl", users::given)?.into_iter().flatten().collect();
        let announce = files.optional("announce", value::server)?;
        let group = group(files)?;
        Ok(Self { password, role, primary, readiness, users, announce, group })
    }

    /// The primary, if this server is a replica, and how that was found. A group of Sentinels knows better than the role who
    /// is primary now.
    async fn primary(&self) -> Result<(Option<Endpoint>, String)> {
        let configured = self.primary.as_ref().filter(|_| self.role == Role::Replica);
        let by_role = match configured {
            Some(primary) => format!("replica of {primary}"),
            None => "primary".to_owned(),
        };
        let (Some(group), Some(announce)) = (&self.group, &self.announce) else {
            return Ok((configured.cloned(), format!("{by_role}, as configured")));
        };
        let name = &group.name;
        Ok(match group.ask(ROUNDS, PAUSE).await? {
            Answer::Primary(named) if named.is(announce) => {
                (None, format!("primary, as the Sentinels of {name} say"))
            }
            Answer::Primary(named) => {
                let why = format!("replica of {named}, as the Sentinels of {name} say");
                (Some(named), why)
            }
            Answer::Unknown(why) => (
                configured.cloned(),
                format!("{by_role}, as configured: no Sentinel names {name}'s primary ({why})"),
            ),
        })
    }

    fn conf(&self, arguments: &ServerArguments, primary: Option<&Endpoint>) -> String {
        let ServerArguments { directory, data, max_memory_bytes, .. } = arguments;
        let mut lines = settings(directory, data, *max_memory_bytes);
        // In the word that Redis knows, too.
        lines.push(directive(&["masterauth", self.password.expose()]));
        if let Some(Endpoint { host, port }) = &self.announce {
            lines.push(directive(&["replica-announce-ip", host]));
            lines.push(directive(&["replica-announce-port", &port.to_string()]));
        }
        if let Some(Endpoint { host, port }) = primary {
            lines.push(directive(&["replicaof", host, &port.to_string()]));
        }
        directive::text(lines)
    }
}

fn role(text: &str) -> Result<Role, &'static str> {
    match text {
        "primary" => Ok(Role::Primary),
        "replica" => Ok(Role::Replica),
        _ => Err("primary or replica is wanted"),
    }
}

/// With Sentinels, this server must know by which name they know it.
fn group(files: &Files<'_>) -> Result<Option<Group>> {
    let sentinels = files.lines("sentinels", value::sentinel)?;
    if sentinels.is_empty() {
        return Ok(None);
    }
    files.required("announce", value::server)?;
    let name = files.required("sentinel-group", value::word)?;
    let password = files.optional("sentinel-password", value::secret)?;
    Ok(Some(Group { name, sentinels, password }))
}

/// What is the same on all servers.
fn settings(directory: &Path, data: &Path, max_memory_bytes: u64) -> Vec<String> {
    let (users, pid) = (directory.join("users.acl"), directory.join("valkey.pid"));
    vec![
        "port 6379".to_owned(),
        "bind * -::*".to_owned(),
        directive(&["dir", directive::path(data)]),
        directive(&["pidfile", directive::path(&pid)]),
        directive(&["aclfile", directive::path(&users)]),
        "daemonize no".to_owned(),
        directive(&["logfile", ""]),
        // Durable within a second. The AOF alone: a snapshot in addition would only cost writes.
        "appendonly yes".to_owned(),
        "appendfsync everysec".to_owned(),
        directive(&["save", ""]),
        // An error to the writer is better than a counter that was evicted.
        format!("maxmemory {max_memory_bytes}"),
        "maxmemory-policy noeviction".to_owned(),
        // How long a stop waits for replicas that lag.
        "shutdown-timeout 10".to_owned(),
    ]
}

#[cfg(test)]
mod tests;
