use redis::{ErrorKind, RedisError, ServerErrorKind};

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
    /// The store was begun with other bounds, or one of its keys was changed from outside: trying again does not help.
    #[error("{what}: the store is not as it should be")]
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

    pub(crate) fn new(what: &'static str, source: RedisError) -> Self {
        if is_connection(&source) {
            return Self::Away { what, source };
        }
        match source.kind() {
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::ClusterDown,
            ) => Self::NotNow { what, source },
            _ if matches!(source.code(), Some("OOM" | "BUSY" | "NOREPLICAS" | "MISCONF")) => {
                Self::NotNow { what, source }
            }
            ErrorKind::Server(_)
            | ErrorKind::Extension
            | ErrorKind::AuthenticationFailed
            | ErrorKind::InvalidClientConfig => Self::Refused { what, source },
            _ => Self::Malformed { what, detail: source.to_string() },
        }
    }
}

/// The connection is of no use any more.
pub(crate) fn is_connection(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
}
