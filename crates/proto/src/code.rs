//! The codes of refusals, and their total maps to gRPC and HTTP.
//!
//! Invariant: a code never claims more than the hop that gave it knows. A status or a name that is not ours says nothing
//! about what was written.

use tonic::{Code, Status};

use crate::blackfriday::CodigoError;

/// Metadata of every error status that a writer gives; its value is [`ErrorCode::name`]. A status without it is the word
/// of something in between, a proxy for instance, and says nothing about what was written.
pub const WRITER_MARK: &str = "blackfriday-error";

/// Why an event was not accepted, or is not known to be. The same code on every hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The body is not JSON.
    NotJson,
    /// The body is over its limit.
    TooLarge,
    /// The content type is not JSON.
    UnsupportedMediaType,
    /// A field is wrong: do not repeat unchanged.
    InvalidField,
    /// A limit was reached and nothing was written: repeat later.
    Overloaded,
    /// The broker or a hop is away and nothing was written: repeat later.
    Unavailable,
    /// It may or may not have been written: repeat only under an idempotency key.
    OutcomeUnknown,
    /// A defect; nothing was written.
    Internal,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 8] = [
        Self::NotJson,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidField,
        Self::Overloaded,
        Self::Unavailable,
        Self::OutcomeUnknown,
        Self::Internal,
    ];

    /// The HTTP status (RFC 9110, RFC 6585).
    pub const fn http_status(self) -> u16 {
        match self {
            Self::NotJson => 400,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::InvalidField => 422,
            Self::Overloaded => 429,
            Self::Unavailable => 503,
            Self::OutcomeUnknown => 504,
            Self::Internal => 500,
        }
    }

    /// The gRPC status code.
    pub const fn grpc_code(self) -> Code {
        match self {
            Self::NotJson | Self::UnsupportedMediaType | Self::InvalidField => Code::InvalidArgument,
            Self::TooLarge => Code::OutOfRange,
            Self::Overloaded => Code::ResourceExhausted,
            Self::Unavailable => Code::Unavailable,
            Self::OutcomeUnknown => Code::DeadlineExceeded,
            Self::Internal => Code::Internal,
        }
    }

    /// The code behind a gRPC status that a call ended with. A status that does not say that nothing was
    /// written means that the outcome is unknown.
    pub const fn of_grpc(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::FailedPrecondition => Self::InvalidField,
            Code::OutOfRange => Self::TooLarge,
            Code::ResourceExhausted => Self::Overloaded,
            Code::Unavailable | Code::Unauthenticated | Code::PermissionDenied => Self::Unavailable,
            Code::Unimplemented | Code::NotFound | Code::AlreadyExists => Self::Internal,
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Internal
            | Code::DataLoss => Self::OutcomeUnknown,
        }
    }

    /// The code behind an HTTP status that a call ended with, by the same rule.
    pub const fn of_http(status: u16) -> Self {
        match status {
            400 => Self::NotJson,
            413 => Self::TooLarge,
            415 => Self::UnsupportedMediaType,
            422 => Self::InvalidField,
            429 => Self::Overloaded,
            503 => Self::Unavailable,
            401 | 403 | 404 | 405 => Self::Internal,
            _ => Self::OutcomeUnknown,
        }
    }

    /// Whether the same request may be sent again without an idempotency key: nothing was written.
    pub const fn retry_is_safe(self) -> bool {
        matches!(self, Self::Overloaded | Self::Unavailable)
    }

    /// A short name, stable across versions: the last part of the problem's type, and the metrics' label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotJson => "not-json",
            Self::TooLarge => "too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::InvalidField => "invalid-field",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::OutcomeUnknown => "outcome-unknown",
            Self::Internal => "internal",
        }
    }

    /// The code of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// What the writer's mark on a status says; nothing if the writer did not give the status. A name that this version
    /// does not know says nothing about the outcome.
    pub fn of_writer(status: &Status) -> Option<Self> {
        let mark = status.metadata().get(WRITER_MARK)?;
        Some(mark.to_str().ok().and_then(Self::of_name).unwrap_or(Self::OutcomeUnknown))
    }

    pub(crate) const fn to_wire(self) -> CodigoError {
        match self {
            Self::NotJson => CodigoError::NotJson,
            Self::TooLarge => CodigoError::TooLarge,
            Self::UnsupportedMediaType => CodigoError::UnsupportedMediaType,
            Self::InvalidField => CodigoError::InvalidField,
            Self::Overloaded => CodigoError::Overloaded,
            Self::Unavailable => CodigoError::Unavailable,
            Self::OutcomeUnknown => CodigoError::OutcomeUnknown,
            Self::Internal => CodigoError::Internal,
        }
    }

    /// A code that this version does not know says nothing about the outcome.
    pub(crate) fn of_wire(code: i32) -> Self {
        match CodigoError::try_from(code) {
            Ok(CodigoError::NotJson) => Self::NotJson,
            Ok(CodigoError::TooLarge) => Self::TooLarge,
            Ok(CodigoError::UnsupportedMediaType) => Self::UnsupportedMediaType,
            Ok(CodigoError::InvalidField) => Self::InvalidField,
            Ok(CodigoError::Overloaded) => Self::Overloaded,
            Ok(CodigoError::Unavailable) => Self::Unavailable,
            Ok(CodigoError::Internal) => Self::Internal,
            Ok(CodigoError::OutcomeUnknown | CodigoError::Unspecified) | Err(_) => Self::OutcomeUnknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;
    use crate::refusal::Refusal;

    #[test]
    fn every_code_survives_each_wire_unless_it_says_less_there() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::of_wire(code.to_wire().into()), code);
            let over_http = ErrorCode::of_http(code.http_status());
            assert!(over_http == code || code == ErrorCode::Internal, "{code:?} became {over_http:?}");
            let over_grpc = ErrorCode::of_grpc(code.grpc_code());
            assert!(!over_grpc.retry_is_safe() || code.retry_is_safe(), "{code:?} became {over_grpc:?}");
        }
    }

    #[test]
    fn an_unknown_code_is_an_unknown_outcome() {
        assert_eq!(ErrorCode::of_wire(0), ErrorCode::OutcomeUnknown);
        assert_eq!(ErrorCode::of_wire(4711), ErrorCode::OutcomeUnknown);
        assert_eq!(ErrorCode::of_http(502), ErrorCode::OutcomeUnknown);
    }

    #[test]
    fn the_writers_mark_tells_its_word_from_that_of_something_in_between() {
        for code in ErrorCode::ALL {
            let status = Status::from(Refusal::new(code, "refused"));
            assert_eq!(ErrorCode::of_writer(&status), Some(code));
        }
        assert_eq!(ErrorCode::of_writer(&Status::unavailable("a proxy's")), None);
        let mut newer = Status::unavailable("a later version's");
        newer.metadata_mut().insert(WRITER_MARK, MetadataValue::from_static("something-new"));
        assert_eq!(ErrorCode::of_writer(&newer), Some(ErrorCode::OutcomeUnknown));
    }
}
