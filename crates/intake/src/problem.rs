use blackfriday_event::FieldError;
use blackfriday_proto::{ErrorCode, Refusal};
use blackfriday_service::{FieldProblem, Kind, Problem};

/// The kinds of problem that an event, or what it came in, may meet.
pub const KINDS: [Kind; 10] = [
    Kind::NotJson,
    Kind::BrokenOff,
    Kind::Late,
    Kind::TooLarge,
    Kind::UnsupportedMediaType,
    Kind::InvalidField,
    Kind::Overloaded,
    Kind::Internal,
    Kind::Unavailable,
    Kind::OutcomeUnknown,
];

/// The kind of problem that a code is.
pub const fn kind_of(code: ErrorCode) -> Kind {
    match code {
        ErrorCode::NotJson => Kind::NotJson,
        ErrorCode::TooLarge => Kind::TooLarge,
        ErrorCode::UnsupportedMediaType => Kind::UnsupportedMediaType,
        ErrorCode::InvalidField => Kind::InvalidField,
        ErrorCode::Overloaded => Kind::Overloaded,
        ErrorCode::Unavailable => Kind::Unavailable,
        ErrorCode::OutcomeUnknown => Kind::OutcomeUnknown,
        ErrorCode::Internal => Kind::Internal,
    }
}

/// A refusal as problem details.
pub fn problem_of(error: Refusal) -> Problem {
    Problem::new(kind_of(error.code), error.message)
        .with_errors(error.fields.into_iter().map(field_problem).collect())
        .of(error.id.map(|id| id.to_string()))
}

/// A wrong field as problem details.
pub(crate) fn field_problem(error: FieldError) -> FieldProblem {
    FieldProblem { field: error.field.into_owned(), message: error.message }
}

#[cfg(test)]
mod tests {
    use blackfriday_service::problem::Retry;

    use super::*;

    #[test]
    fn a_code_and_its_kind_have_one_name_one_status_and_one_promise() {
        for code in ErrorCode::ALL {
            let kind = kind_of(code);
            assert_eq!((kind.name(), kind.status()), (code.name(), code.http_status()));
            assert_eq!(kind.retry() == Retry::Safe, code.retry_is_safe(), "{code:?}");
            assert!(KINDS.contains(&kind));
        }
    }
}
