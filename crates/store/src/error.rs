use redis::{ErrorKind, RedisError, ServerError};

/// What Valkey answers while it is loading, a replica, cut off from its primary or its disk, busy or out of memory. All of
/// it passes without a change to the store.
const PASSING: [&str; 9] =
    ["LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "OOM", "NOREPLICAS", "MISCONF"];

/// Why the store could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Valkey could not be reached, or did not answer in time. Whether an apply took place is not known; the position
    /// tells.
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
    /// The store was begun with other bounds, one of its keys was changed from outside, or we may not enter: trying again
    /// does not help.
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
        matches!(self, Self::Away { .. } | Self::NotNow { .. })
    }

    /// The worst of what went wrong: in a pipeline, one command may have to wait and another be hopeless.
    pub(crate) fn new(what: &'static str, source: RedisError) -> Self {
        if matches!(source.kind(), ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig) {
            return Self::Refused { what, source };
        }
        match source.clone().into_server_errors() {
            Some(answers) if answers.iter().all(|(_, answer)| is_passing(answer)) => {
                Self::NotNow { what, source }
            }
            Some(_) => Self::Refused { what, source },
            None if is_connection(&source) => Self::Away { what, source },
            None => Self::Malformed { what, detail: source.to_string() },
        }
    }
}

/// The connection is of no use any more, or leads to a server that no longer is the primary.
pub(crate) fn is_of_no_use(error: &RedisError) -> bool {
    let answers = error.clone().into_server_errors();
    let demoted = |answer: &ServerError| matches!(answer.code(), "READONLY" | "MASTERDOWN");
    is_connection(error) || answers.is_some_and(|answers| answers.iter().any(|(_, answer)| demoted(answer)))
}

/// A function is called that the server does not have: it is new, was emptied, or another one took over.
pub(crate) fn is_function_missing(error: &RedisError) -> bool {
    error
        .clone()
        .into_server_errors()
        .is_some_and(|answers| answers.iter().any(|(_, answer)| names_no_function(answer)))
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

fn names_no_function(answer: &ServerError) -> bool {
    answer.code() == "ERR" && answer.details().is_some_and(|details| details.contains("Function not found"))
}
