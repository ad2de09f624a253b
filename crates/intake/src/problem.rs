use blackfriday_proto::{ErrorCode, SaleError};
use blackfriday_service::{FieldProblem, Problem};

/// A refusal as problem details.
pub fn problem_of(error: SaleError) -> Problem {
    let code = error.code;
    let mut problem = Problem::new(code.http_status(), code.name(), title(code), error.message);
    problem.errors =
        error.fields.into_iter().map(|(field, message)| FieldProblem { field, message }).collect();
    problem.id = error.id.map(|id| id.to_string());
    problem
}

fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NotJson => "Not JSON",
        ErrorCode::TooLarge => "Too large",
        ErrorCode::UnsupportedMediaType => "Not JSON by its content type",
        ErrorCode::InvalidField => "A field is wrong",
        ErrorCode::Overloaded => "A limit is reached; nothing was written",
        ErrorCode::Unavailable => "Not available; nothing was written",
        ErrorCode::OutcomeUnknown => "The outcome is not known; repeat only with an Idempotency-Key",
        ErrorCode::Internal => "A defect; nothing was written",
    }
}
