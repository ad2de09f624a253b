//! What a failure means for the caller: whether trying again may help, whether somebody has to mend something, and where.
//!
//! Valkey says so by the first word of an answer, OpenSSL only by the text of its error. A pipeline has an answer for each
//! command, and the worst of them decides: one that cannot be mended by waiting goes before a refused login, and that before one
//! that passes. Where a read fails for a key, the error names the key.
//!
//! Invariant: what is not retryable was changed from outside, or is a defect; the consumer ends on it.

use std::io;
use std::path::PathBuf;

use blackfriday_telemetry::access::FileError;
use redis::{Arg, ErrorKind, ParsingError, Pipeline, RedisError, ServerError};

use crate::access::SettingNames;

/// What Valkey answers while it is loading, a replica, cut off from its primary or its disk, busy or out of memory. All of
/// it passes without a change to the store.
const PASSING: [&str; 9] =
    ["LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "OOM", "NOREPLICAS", "MISCONF"];

/// How Valkey (and Redis from 7.2 on) and Redis 7.0 tell that a function may not read.
const READ_DENIED: [&str; 2] = ["ACL failure in script", "The user executing the script can't"];

/// Why the store could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Valkey could not be reached, or did not answer in time. Whether an apply took place is not known; the position
    /// shows it.
    #[error("{what}: Valkey is away")]
    Away {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: RedisError,
    },
    /// Valkey answered that it cannot do it now: it is loading, a replica, busy or out of memory.
    #[error("{what}: Valkey cannot do it now")]
    NotNow {
        /// What was tried.
        what: &'static str,
        /// Valkey's answer.
        #[source]
        source: RedisError,
    },
    /// A password, a permission or a certificate is wrong, on our side or on Valkey's: somebody has to mend it, perhaps
    /// there, and then trying again helps. Nothing was changed.
    #[error("{what}: {who} refused our login or permission: check {check}")]
    Denied {
        /// What was tried.
        what: &'static str,
        /// Valkey, or one of the Sentinels.
        who: String,
        /// Of what kind the refusal is.
        denial: Denial,
        /// The settings that may be wrong.
        check: String,
        /// The refusal.
        #[source]
        source: RedisError,
    },
    /// A file that a setting names cannot be read, or holds something else.
    #[error("{what}: read {}, the file of {option}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The setting.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        #[source]
        source: io::Error,
    },
    /// A certificate or key is not what it should be.
    #[error("{what}: the file of {option} is not in PEM, or its parts do not belong together")]
    Certificate {
        /// What was tried.
        what: &'static str,
        /// The settings.
        option: &'static str,
        /// Why it cannot be used.
        #[source]
        source: RedisError,
    },
    /// A key is not as we left it: somebody changed it, or the store was begun with another version or other bounds.
    #[error("{what}: the key {key} {detail}")]
    WrongKey {
        /// What was tried.
        what: &'static str,
        /// The key.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Valkey may throw keys of ours away when its memory is full, positions among them. Somebody has to set another
    /// `maxmemory-policy`, and then trying again helps.
    #[error(
        "{what}: Valkey has maxmemory-policy {policy}, under which it may drop counters and positions: set noeviction"
    )]
    Evicts {
        /// What was tried.
        what: &'static str,
        /// The policy.
        policy: String,
    },
    /// The store was begun with other bounds, or one of its keys was changed from outside: trying again does not help.
    #[error("{what}: Valkey refuses it")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// Valkey's answer.
        #[source]
        source: RedisError,
    },
    /// Valkey's answer has another form than expected.
    #[error("{what}: an answer that cannot be read: {detail}")]
    Malformed {
        /// What was tried.
        what: &'static str,
        /// What is wrong with the answer.
        detail: String,
    },
}

impl StoreError {
    /// Whether trying again may help.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::WrongKey { .. } | Self::Malformed { .. })
    }

    pub(crate) fn new(what: &'static str, error: ConnectionError, names: &SettingNames) -> Self {
        match error {
            ConnectionError::Server(source) => Self::of_server(what, source, names),
            ConnectionError::Sentinel { sentinel, source } => match Denial::of(&source) {
                Some(denial) => {
                    let who = format!("the Sentinel {sentinel}");
                    Self::Denied { what, who, denial, check: denial.check_at_sentinel(names), source }
                }
                // Whatever else it answers, it is not about our data.
                None => Self::Away { what, source },
            },
            ConnectionError::File(FileError { option, path, source }) => {
                Self::File { what, option, path, source }
            }
            ConnectionError::Certificate { option, source } => Self::Certificate { what, option, source },
        }
    }

    /// Of a pipeline of reads, which name their keys first: the key that is to blame, if one is.
    pub(crate) fn of_read(
        what: &'static str,
        error: ConnectionError,
        pipeline: &Pipeline,
        names: &SettingNames,
    ) -> Self {
        let error = Self::new(what, error, names);
        let Self::Refused { source, .. } = &error else { return error };
        let answers = source.clone().into_server_errors().unwrap_or_default();
        let mut hopeless = answers.iter().filter(|(_, answer)| is_hopeless(answer));
        match hopeless.find_map(|(at, answer)| Some((key_of(pipeline, *at)?, answer))) {
            Some((key, answer)) => {
                let detail = format!("cannot be read: {} {}", answer.code(), answer.details().unwrap_or(""));
                Self::WrongKey { what, key, detail: detail.trim_end().to_owned() }
            }
            None => error,
        }
    }

    /// Of an answer of such a pipeline that has another form than expected.
    pub(crate) fn of_answer(
        what: &'static str,
        error: &ParsingError,
        pipeline: &Pipeline,
        at: usize,
    ) -> Self {
        let detail = error.to_string();
        match key_of(pipeline, at) {
            Some(key) => Self::WrongKey { what, key, detail: format!("cannot be read: {detail}") },
            None => Self::Malformed { what, detail },
        }
    }

    /// The worst of what went wrong: in a pipeline, one command may have to wait and another be hopeless.
    fn of_server(what: &'static str, source: RedisError, names: &SettingNames) -> Self {
        let denial = Denial::of(&source);
        let answers = source.clone().into_server_errors().unwrap_or_default();
        match denial {
            _ if answers.iter().any(|(_, answer)| is_hopeless(answer)) => Self::Refused { what, source },
            Some(denial) => {
                Self::Denied { what, who: "Valkey".to_owned(), denial, check: denial.check(names), source }
            }
            None if !answers.is_empty() => Self::NotNow { what, source },
            None if source.kind() == ErrorKind::InvalidClientConfig => Self::Refused { what, source },
            None if is_connection(&source) => Self::Away { what, source },
            None => Self::Malformed { what, detail: source.to_string() },
        }
    }
}

/// Below the store: what a connection says.
#[derive(Debug)]
pub(crate) enum ConnectionError {
    Server(RedisError),
    Sentinel { sentinel: String, source: RedisError },
    File(FileError),
    Certificate { option: &'static str, source: RedisError },
}

/// Why the server refused us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// User or password.
    Login,
    /// What the user may do.
    Permission,
    /// A certificate, ours or the server's.
    Certificate,
}

impl ConnectionError {
    /// The connection is of no use any more, or leads to a server that no longer is the primary.
    pub(crate) fn is_of_no_use(&self) -> bool {
        let Self::Server(error) = self else { return true };
        let answers = error.clone().into_server_errors().unwrap_or_default();
        let useless = |answer: &ServerError| matches!(answer.code(), "READONLY" | "MASTERDOWN" | "NOAUTH");
        is_connection(error) || answers.iter().any(|(_, answer)| useless(answer))
    }

    /// Not something that passes by itself.
    pub(crate) fn needs_mending(&self) -> bool {
        match self {
            Self::Server(error) | Self::Sentinel { source: error, .. } => Denial::of(error).is_some(),
            Self::File(_) | Self::Certificate { .. } => true,
        }
    }

    /// As an answer of a Sentinel.
    pub(crate) fn of_sentinel(self, sentinel: impl ToString) -> Self {
        match self {
            Self::Server(source) => Self::Sentinel { sentinel: sentinel.to_string(), source },
            error => error,
        }
    }
}

impl From<RedisError> for ConnectionError {
    fn from(error: RedisError) -> Self {
        Self::Server(error)
    }
}

impl From<io::Error> for ConnectionError {
    fn from(error: io::Error) -> Self {
        Self::Server(error.into())
    }
}

impl Denial {
    fn of(error: &RedisError) -> Option<Self> {
        let answers = error.clone().into_server_errors().unwrap_or_default();
        let has = |denial: fn(&ServerError) -> bool| answers.iter().any(|(_, answer)| denial(answer));
        if error.kind() == ErrorKind::AuthenticationFailed || has(is_login) {
            Some(Self::Login)
        } else if has(is_denial) {
            Some(Self::Permission)
        // OpenSSL's own words; a client certificate that is not accepted shows with the first answer only (TLS 1.3).
        } else if answers.is_empty() && error.to_string().contains(" routines:") {
            Some(Self::Certificate)
        } else {
            None
        }
    }

    fn check(self, names: &SettingNames) -> String {
        match self {
            Self::Login => format!("{} and {}", names.username, names.password),
            Self::Permission => "the user's ACL".to_owned(),
            Self::Certificate => format!("{}, {} and {}", names.ca, names.certificate, names.key),
        }
    }

    fn check_at_sentinel(self, names: &SettingNames) -> String {
        match self {
            Self::Login => format!("{} and {}", names.sentinel_username, names.sentinel_password),
            Self::Permission | Self::Certificate => self.check(names),
        }
    }
}

/// The key of a command that has one.
fn key_of(pipeline: &Pipeline, at: usize) -> Option<String> {
    let mut words = pipeline.cmd_iter().nth(at)?.args_iter();
    match words.nth(1)? {
        Arg::Simple(key) => Some(String::from_utf8_lossy(key).into_owned()),
        _ => None,
    }
}

fn is_hopeless(answer: &ServerError) -> bool {
    !is_passing(answer) && !is_denial(answer)
}

/// A function is called that the server does not have: it is new, was emptied, or another one took over.
pub(crate) fn is_function_missing(error: &ConnectionError) -> bool {
    let ConnectionError::Server(error) = error else { return false };
    let answers = error.clone().into_server_errors().unwrap_or_default();
    answers.iter().any(|(_, answer)| names_no_function(answer))
}

/// The server's memory is full.
pub(crate) fn is_full(error: &ConnectionError) -> bool {
    let ConnectionError::Server(error) = error else { return false };
    let answers = error.clone().into_server_errors().unwrap_or_default();
    answers.iter().any(|(_, answer)| answer.code() == "OOM")
}

fn is_connection(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
}

/// A function that is missing again right after it was loaded was taken away meanwhile, by a failover for instance.
fn is_passing(answer: &ServerError) -> bool {
    PASSING.contains(&answer.code()) || names_no_function(answer)
}

fn is_denial(answer: &ServerError) -> bool {
    // A function's read that is not permitted; its writes are asked for beforehand, and are NOPERM.
    let in_function = |details: &str| READ_DENIED.iter().any(|words| details.starts_with(words));
    let is_told = || answer.code() == "ERR" && answer.details().is_some_and(in_function);
    is_login(answer) || answer.code() == "NOPERM" || is_told()
}

fn is_login(answer: &ServerError) -> bool {
    matches!(answer.code(), "NOAUTH" | "WRONGPASS")
}

fn names_no_function(answer: &ServerError) -> bool {
    answer.code() == "ERR" && answer.details().is_some_and(|details| details.contains("Function not found"))
}
