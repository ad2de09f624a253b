//! What the front door answers: outcomes as status, body and headers.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use blackfriday_event::EventId;
use blackfriday_proto::{ErrorCode, EventOutcome, Refusal};
use blackfriday_service::{Problem, Room};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tracing::Span;

use crate::answer::{Accepted, BatchAnswer};
use crate::problem::problem_of;
use crate::trace::conclude;

/// An answer that keeps its request's room until it is written.
pub(super) fn held(mut response: Response, room: Room) -> Response {
    response.extensions_mut().insert(Arc::new(room));
    response
}

pub(super) fn refused(error: Refusal) -> Response {
    let unsupported = error.code == ErrorCode::UnsupportedMediaType;
    let mut response = problem_of(error).into_response();
    if unsupported {
        // What is understood (RFC 9110, 12.5.3).
        response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    response
}

const JSON: (http::HeaderName, HeaderValue) =
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));

pub(super) fn answer(outcome: EventOutcome, span: Option<&Span>) -> Response {
    if let Some(span) = span {
        conclude(span, code_of(&outcome));
    }
    match outcome {
        Ok(id) => (StatusCode::ACCEPTED, [JSON], Accepted::body(id)).into_response(),
        Err(error) => refused(error),
    }
}

pub(super) fn code_of(outcome: &EventOutcome) -> Result<EventId, ErrorCode> {
    outcome.as_ref().map(|id| *id).map_err(|error| error.code)
}

/// `202` when all were accepted, the common status when all were refused alike, `207` otherwise. Without `any_valid` item
/// only the first results are listed.
pub(super) fn batch_answer(outcomes: &[EventOutcome], any_valid: bool) -> Response {
    let statuses = || {
        outcomes.iter().map(|outcome| outcome.as_ref().err().map_or(202, |error| error.code.http_status()))
    };
    let first = statuses().next().unwrap_or(202);
    let uniform = statuses().all(|status| status == first);
    let status = if uniform { first } else { 207 };
    let problem = outcomes.first().and_then(|first| first.as_ref().err()).filter(|_| uniform);
    let answer = if any_valid { BatchAnswer::new(outcomes) } else { BatchAnswer::of_refused(outcomes) };
    match problem.map(whole_batch) {
        Some(problem) => problem.answer_with(json_of(&BatchProblem { problem: &problem, answer })),
        None => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::MULTI_STATUS);
            (status, [JSON], json_of(&answer)).into_response()
        }
    }
}

fn json_of(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings and numbers always serialize")
}

/// The results of a batch of which nothing was accepted, as extension members of a problem (RFC 9457, section 3.2).
#[derive(Serialize)]
struct BatchProblem<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    #[serde(flatten)]
    answer: BatchAnswer,
}

fn whole_batch(of_first: &Refusal) -> Problem {
    let detail = "no item was accepted; the results say why";
    problem_of(Refusal::new(of_first.code, detail))
}
