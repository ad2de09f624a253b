//! What the relay answers, read back.
//!
//! Invariant: only the relay's own word, by media type and kind, says that an event was not written, or in which log it is;
//! and what one of several tries left unknown stays so.

use blackfriday_event::{EventId, FieldError};
use blackfriday_intake::{Accepted, Again, BatchAnswer, Failed, ItemAnswer, LogStates, Said, code_of};
use blackfriday_proto::{ErrorCode, Refusal};
use blackfriday_service::FieldProblem;
use blackfriday_service::problem::{Kind, PROBLEM_JSON, TYPE_PREFIX};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

/// What the relay, or something before it, answered.
pub(super) struct RelayAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

#[derive(Deserialize)]
struct ProblemAnswer {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
    #[serde(default)]
    errors: Vec<FieldProblem>,
}

/// What an answer about one event says of each log.
#[derive(Deserialize)]
struct LogsAnswer {
    id: String,
    #[serde(flatten)]
    logs: LogStates,
}

/// What all tries together said of each log.
#[derive(Default)]
pub(super) struct ToldLogs {
    known: LogStates,
    /// A try that may have reached the relay did not say.
    doubted: bool,
}

impl ToldLogs {
    /// Takes what a try said of each log, if it did, and of the whole.
    pub(super) fn take(&mut self, logs: Option<LogStates>, whole: &Result<ItemAnswer, Failed>) {
        let is_unknown = match whole {
            // Under another identity than was asked for.
            Ok(_) | Err(Failed::Unknown(_)) => true,
            Err(Failed::Refused(error)) => error.code == ErrorCode::OutcomeUnknown,
            Err(Failed::NotSent(_) | Failed::NotWritten(_)) => false,
        };
        match logs {
            Some(logs) => self.known = self.known.then(logs),
            None => self.doubted |= is_unknown,
        }
    }

    pub(super) fn states(self) -> LogStates {
        if self.doubted { self.known.doubted() } else { self.known }
    }
}

impl RelayAnswer {
    /// What the relay says of this event in each log.
    pub(super) fn logs(&self, id: EventId) -> Option<LogStates> {
        let is_own = self.status == StatusCode::ACCEPTED || self.problem().is_some();
        let about: LogsAnswer = serde_json::from_slice(&self.body).ok().filter(|_| is_own)?;
        (about.id.parse() == Ok(id)).then_some(about.logs)
    }

    /// A result for each of so many sales, or what the answer says of all of them.
    pub(super) fn into_results(self, sales: usize) -> Result<Vec<ItemAnswer>, Failed> {
        match serde_json::from_slice::<BatchAnswer>(&self.body) {
            Ok(answer) if answer.resultados.len() == sales => Ok(answer.resultados),
            _ => Err(self.into_failure()),
        }
    }

    pub(super) fn into_accepted(self) -> Result<ItemAnswer, Failed> {
        match serde_json::from_slice(&self.body) {
            Ok(Accepted { id, .. }) if self.status == StatusCode::ACCEPTED => Ok(ItemAnswer::Accepted { id }),
            _ => Err(self.into_failure()),
        }
    }

    /// An answer that is no result for the events: a problem of the relay's, or of something in between.
    fn into_failure(self) -> Failed {
        let status = self.status.as_u16();
        let Some(problem) = self.problem() else {
            let detail = format!("something before the relay answered {status}");
            return Failed::Unknown(Refusal::new(ErrorCode::OutcomeUnknown, detail));
        };
        let name = problem.kind.strip_prefix(TYPE_PREFIX).unwrap_or_default();
        if let Some(failed) = before_reading(status, name) {
            return failed;
        }
        let code = code_of(status, name);
        let fields =
            problem.errors.into_iter().map(|error| FieldError::new(error.field, error.message)).collect();
        Failed::Refused(Refusal { fields, ..Refusal::new(code, problem.detail) })
    }

    /// The relay's own word, by media type and kind.
    fn problem(&self) -> Option<ProblemAnswer> {
        let media = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        if !media.starts_with(PROBLEM_JSON) {
            return None;
        }
        let problem: ProblemAnswer = serde_json::from_slice(&self.body).ok()?;
        problem.kind.starts_with(TYPE_PREFIX).then_some(problem)
    }
}

/// A problem of our own server that is not about the events, or that it gave before it had them: nothing was written.
fn before_reading(status: u16, name: &str) -> Option<Failed> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name && kind.status() == status)?;
    match kind {
        Kind::NotFound | Kind::MethodNotAllowed | Kind::InvalidParameter | Kind::Unreadable => {
            let detail = format!("what is at the relay's URL takes no events: it answered {status}");
            Some(Failed::Refused(Refusal::new(ErrorCode::Internal, detail)))
        }
        Kind::Late | Kind::BrokenOff => {
            let detail = "the relay did not get the whole request in time";
            Some(Failed::NotWritten(Refusal::new(ErrorCode::Unavailable, detail)))
        }
        _ => None,
    }
}

/// What the relay said of one event. It has asked every writer already.
pub(super) fn settled(result: Option<ItemAnswer>, id: EventId) -> Said {
    let outcome = match result.map(ItemAnswer::into_outcome) {
        Some(Ok(accepted)) if accepted == id => Ok(id),
        // A relay that does not trust its hops gives each event an identity of its own.
        Some(Ok(_)) => Err(of_another().of(id)),
        None => Err(no_answer().of(id)),
        Some(Err(error)) => Err(error.of(id)),
    };
    Said { outcome, again: Again::Never }
}

fn of_another() -> Refusal {
    let detail = "the relay's answer is not for this event: does the relay run with --trust-hops?";
    Refusal::new(ErrorCode::OutcomeUnknown, detail)
}

pub(super) fn no_answer() -> Refusal {
    Refusal::new(ErrorCode::OutcomeUnknown, "the relay's answer says nothing about this event")
}
