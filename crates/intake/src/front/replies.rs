//! What the front door answers: outcomes as status, body and headers.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use blackfriday_event::{EventId, IdempotencyKey};
use blackfriday_proto::{ErrorCode, EventOutcome, Refusal};
use blackfriday_service::{Problem, Room};
use blackfriday_telemetry::planted::{Planted, is_planted};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tracing::Span;

use crate::answer::{Accepted, BatchAnswer, BatchProblem, WeatherAccepted, WeatherProblem};
use crate::logs::Reported;
use crate::problem::problem_of;
use crate::trace::conclude;

/// An answer that keeps its request's room until it is written.
pub(super) fn held(mut response: Response, room: Room) -> Response {
    response.extensions_mut().insert(Arc::new(room));
    response
}

pub(super) fn refused(error: Refusal) -> Response {
    problem_of(error).into_response()
}

const JSON: (http::HeaderName, HeaderValue) =
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));

pub(super) fn answer(mut outcome: EventOutcome, span: Option<&Span>) -> Response {
    if is_planted(Planted::RefusalOfWritten) && outcome.as_ref().is_ok_and(is_one_in_four) {
        outcome = Err(Refusal::new(ErrorCode::Unavailable, "planted"));
    }
    if let Some(span) = span {
        conclude(span, code_of(&outcome));
    }
    match outcome {
        Ok(id) => (StatusCode::ACCEPTED, [JSON], Accepted::body(id)).into_response(),
        Err(error) => refused(error),
    }
}

fn is_one_in_four(id: &EventId) -> bool {
    id.as_bytes().last().is_some_and(|last| last.is_multiple_of(4))
}

/// `own`: the key of a report that came without one.
pub(super) fn weather_answer(
    reported: Reported,
    own: Option<&IdempotencyKey>,
    span: Option<&Span>,
) -> Response {
    let Reported { outcome, logs } = reported;
    if let Some(span) = span {
        conclude(span, code_of(&outcome));
    }
    match outcome {
        Ok(id) => {
            let accepted = WeatherAccepted { accepted: Accepted::of(id), logs };
            (StatusCode::ACCEPTED, [JSON], json_of(&accepted)).into_response()
        }
        Err(error) => {
            let own = own.filter(|_| error.code == ErrorCode::OutcomeUnknown);
            let problem = problem_of(error);
            let body = WeatherProblem { problem, logs, idempotency_key: own.map(ToString::to_string) };
            body.problem.answer_with(json_of(&body))
        }
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
        Some(problem) => {
            let body = BatchProblem { problem, answer: Some(answer) };
            body.problem.answer_with(json_of(&body))
        }
        None => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::MULTI_STATUS);
            (status, [JSON], json_of(&answer)).into_response()
        }
    }
}

fn json_of(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings and numbers always serialize")
}

fn whole_batch(of_first: &Refusal) -> Problem {
    let detail = "no item was accepted; the results say why";
    problem_of(Refusal::new(of_first.code, detail))
}
