//! Why there is nothing to show.

use std::time::Duration;

use blackfriday_store::StoreError;

/// How long somebody waits for the store before it counts as away.
pub(crate) const READ_LIMIT: Duration = Duration::from_secs(2);

/// Why there is nothing to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Valkey does not answer, or not now.
    Away,
    /// A key holds what cannot be read, or Valkey refuses us: this does not pass by itself.
    Unreadable,
}

/// Why the store could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the store did not answer within {0:?}")]
    Late(Duration),
    #[error("cannot read the counters")]
    Store(#[source] StoreError),
}

impl Trouble {
    /// Its word in the JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Away => "ausente",
            Self::Unreadable => "ilegible",
        }
    }
}

impl ReadError {
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Self::Store(error) if !error.is_retryable() => Trouble::Unreadable,
            Self::Store(_) | Self::Late(_) => Trouble::Away,
        }
    }

    /// The error with its causes: what cannot be read, for somebody to mend.
    pub(crate) fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    pub(crate) fn log(&self, server: &str) {
        tracing::warn!(server, error = self as &dyn std::error::Error, "there is nothing to show");
    }
}
