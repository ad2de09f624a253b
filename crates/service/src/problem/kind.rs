//! The list of problems: one row each. Documents and clients take everything from here.

use serde::{Serialize, Serializer};

/// Seconds after which a refused client may try again.
pub const RETRY_AFTER_S: u32 = 1;

/// What a type begins with; its name follows.
pub const TYPE_PREFIX: &str = "urn:blackfriday:problem:";

/// What kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The body is not JSON.
    NotJson,
    /// The body ended before its end.
    BrokenOff,
    /// There is no such route.
    NotFound,
    /// The route does not take this method.
    MethodNotAllowed,
    /// The request did not arrive in time.
    Late,
    /// The body, a batch or a record is over its limit.
    TooLarge,
    /// The content type, charset or encoding is not understood.
    UnsupportedMediaType,
    /// A field of an event is wrong.
    InvalidField,
    /// A parameter of a query is wrong.
    InvalidParameter,
    /// A limit is reached.
    Overloaded,
    /// A defect of ours, before anything was written.
    Internal,
    /// The store holds what cannot be read.
    Unreadable,
    /// Something that is needed is away.
    Unavailable,
    /// Whether the event was written is not known; also after a panic.
    OutcomeUnknown,
}

/// Whether the request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Nothing was written: the same request may be taken later.
    Safe,
    /// Nothing was written, and the same request meets the same refusal.
    Useless,
    /// It may have been written: only under an idempotency key.
    WithKey,
}

impl Kind {
    /// Every kind, by status.
    pub const ALL: [Self; 14] = [
        Self::NotJson,
        Self::BrokenOff,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Late,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidField,
        Self::InvalidParameter,
        Self::Overloaded,
        Self::Internal,
        Self::Unreadable,
        Self::Unavailable,
        Self::OutcomeUnknown,
    ];

    /// Status, the last part of the type, whether a retry is safe, title.
    const fn row(self) -> (u16, &'static str, Retry, &'static str) {
        use Retry::{Safe, Useless, WithKey};
        match self {
            Self::NotJson => (400, "not-json", Useless, "Not JSON"),
            Self::BrokenOff => (400, "broken-off", Safe, "The request broke off; nothing was written"),
            Self::NotFound => (404, "not-found", Useless, "No such route"),
            Self::MethodNotAllowed => (405, "method-not-allowed", Useless, "Method not allowed"),
            Self::Late => (408, "late", Safe, "The request did not arrive in time; nothing was written"),
            Self::TooLarge => (413, "too-large", Useless, "Too large"),
            Self::UnsupportedMediaType => {
                (415, "unsupported-media-type", Useless, "Not JSON by its content type")
            }
            Self::InvalidField => (422, "invalid-field", Useless, "A field is wrong"),
            Self::InvalidParameter => (422, "invalid-parameter", Useless, "A parameter is wrong"),
            Self::Overloaded => (429, "overloaded", Safe, "A limit is reached; nothing was written"),
            Self::Internal => (500, "internal", Useless, "A defect; nothing was written"),
            Self::Unreadable => (500, "unreadable", Useless, "The store holds what cannot be read"),
            Self::Unavailable => (503, "unavailable", Safe, "Not available; nothing was written"),
            Self::OutcomeUnknown => (
                504,
                "outcome-unknown",
                WithKey,
                "The outcome is not known; repeat only with an Idempotency-Key",
            ),
        }
    }

    /// The HTTP status (RFC 9110, RFC 6585).
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// The last part of the type, stable across versions.
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// Whether the request may be sent again.
    pub const fn retry(self) -> Retry {
        self.row().2
    }

    /// What it is, in words.
    pub const fn title(self) -> &'static str {
        self.row().3
    }

    /// What `Retry-After` says; nothing where a repetition need not wait, or is of no use.
    pub const fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::Overloaded | Self::Unavailable => Some(RETRY_AFTER_S),
            _ => None,
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{TYPE_PREFIX}{}", self.name()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_type_alone_says_whether_a_retry_is_safe() {
        let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        let titles: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.title()).collect();
        assert_eq!((names.len(), titles.len()), (Kind::ALL.len(), Kind::ALL.len()), "each has its own");
        assert!(Kind::ALL.is_sorted_by_key(|kind| kind.status()));
        for kind in Kind::ALL {
            let says_safe = kind.title().contains("nothing was written");
            assert!(kind.retry() != Retry::Safe || says_safe, "{kind:?}");
            assert_eq!(kind.retry() == Retry::WithKey, kind == Kind::OutcomeUnknown);
        }
    }
}
