//! What is known of one event in each log that it goes to, and what may be answered.
//!
//! Invariants: only if every log has the event is it accepted; only if surely none has it is it refused; anything else is
//! an unknown outcome, which names the state in each log. A state never claims more than is known: what a try left unknown
//! only an acceptance replaces.

use blackfriday_event::EventId;
use blackfriday_proto::{ErrorCode, EventOutcome, Refusal};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::tries::after;

/// A log that weather reports go into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// Kafka.
    Kafka,
    /// RabbitMQ.
    RabbitMq,
}

/// What is known of a report in one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum LogState {
    /// The log has acknowledged it.
    #[serde(rename = "OK")]
    Written,
    /// It surely was not written. A repetition may be luckier.
    #[serde(rename = "NOT_WRITTEN")]
    NotWritten,
    /// It surely was not written, and the log, or its writer, will not take it unchanged.
    #[serde(rename = "REFUSED")]
    Refused,
    /// It may or may not have been written.
    #[serde(rename = "UNKNOWN")]
    Unknown,
}

/// The state of a report in each log. A log that it does not go to is absent, and so are both where nothing is known of
/// which there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogStates {
    /// In Kafka.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub kafka: Option<LogState>,
    /// In RabbitMQ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub rabbitmq: Option<LogState>,
}

/// What became of a weather report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Of the report as a whole.
    pub outcome: EventOutcome,
    /// In each log.
    pub logs: LogStates,
}

/// The tries of one event at every log.
#[derive(Debug)]
pub(crate) struct Tally {
    logs: Vec<Known>,
    keyed: bool,
}

/// What the tries at one log say.
#[derive(Debug)]
struct Known {
    log: Option<Log>,
    outcome: Option<EventOutcome>,
    /// Its last try was refused, and so would be the next one.
    refused: bool,
}

impl Log {
    /// As people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kafka => "Kafka",
            Self::RabbitMq => "RabbitMQ",
        }
    }

    /// As its writers call it.
    pub(crate) const fn wire_name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::RabbitMq => "rabbitmq",
        }
    }
}

impl LogState {
    fn of(outcome: Option<&EventOutcome>) -> Self {
        match outcome {
            Some(Ok(_)) => Self::Written,
            Some(Err(error)) if error.code == ErrorCode::OutcomeUnknown => Self::Unknown,
            Some(Err(error)) if !error.code.retry_is_safe() => Self::Refused,
            Some(Err(_)) | None => Self::NotWritten,
        }
    }

    /// What is known after one more try.
    fn after(before: Option<Self>, now: Option<Self>) -> Option<Self> {
        match (before, now) {
            (Some(Self::Written), _) | (_, Some(Self::Written)) => Some(Self::Written),
            (Some(Self::Unknown), _) | (_, Some(Self::Unknown)) => Some(Self::Unknown),
            (before, now) => now.or(before),
        }
    }

    fn doubted(self) -> Self {
        if self == Self::Written { self } else { Self::Unknown }
    }
}

impl LogStates {
    /// What is known after one more try, which said `now`.
    #[must_use]
    pub fn then(self, now: Self) -> Self {
        Self {
            kafka: LogState::after(self.kafka, now.kafka),
            rabbitmq: LogState::after(self.rabbitmq, now.rabbitmq),
        }
    }

    /// What is known if a try at all of them ended unknown, too.
    #[must_use]
    pub fn doubted(self) -> Self {
        Self { kafka: self.kafka.map(LogState::doubted), rabbitmq: self.rabbitmq.map(LogState::doubted) }
    }

    fn set(&mut self, log: Log, state: LogState) {
        match log {
            Log::Kafka => self.kafka = Some(state),
            Log::RabbitMq => self.rabbitmq = Some(state),
        }
    }
}

impl Reported {
    /// What became of a report of whose logs nothing is known.
    pub fn of(outcome: EventOutcome) -> Self {
        Self { outcome, logs: LogStates::default() }
    }
}

impl Tally {
    /// Of an event that was not sent yet. Without a key it is not sent again to a log that may have it.
    pub(crate) fn new(logs: impl Iterator<Item = Option<Log>>, keyed: bool) -> Self {
        let known = |log| Known { log, outcome: None, refused: false };
        Self { logs: logs.map(known).collect(), keyed }
    }

    /// Whether the log of this place is still to be tried: it is not known to have the event.
    pub(crate) fn is_open(&self, at: usize) -> bool {
        !matches!(self.logs[at].outcome, Some(Ok(_)))
    }

    /// Takes what a try at the log of this place says.
    pub(crate) fn take(&mut self, at: usize, outcome: EventOutcome) {
        let known = &mut self.logs[at];
        known.refused = LogState::of(Some(&outcome)) == LogState::Refused;
        known.outcome = Some(after(known.outcome.take(), outcome));
    }

    /// Whether no further try can change the answer, or none is needed: every log has the event; or surely none has it,
    /// which is a clean refusal; or one will never take it; or one that may have it must not be asked again.
    pub(crate) fn is_over(&self) -> bool {
        let states: Vec<_> = self.states().collect();
        let all = |state| states.iter().all(|(_, is)| *is == state);
        let any = |state| states.iter().any(|(_, is)| *is == state);
        all(LogState::Written)
            || !any(LogState::Written) && !any(LogState::Unknown)
            || self.logs.iter().any(|known| known.refused)
            || !self.keyed && any(LogState::Unknown)
    }

    /// The answer after the last try.
    pub(crate) fn into_reported(self, id: EventId) -> Reported {
        let mut logs = LogStates::default();
        for (log, state) in self.states() {
            if let Some(log) = log {
                logs.set(log, state);
            }
        }
        Reported { outcome: self.outcome(id), logs }
    }

    fn outcome(mut self, id: EventId) -> EventOutcome {
        if let [Known { outcome, .. }] = &mut self.logs[..] {
            return outcome.take().unwrap_or_else(|| Err(untold().of(id)));
        }
        if self.states().all(|(_, state)| state == LogState::Written) {
            return Ok(id);
        }
        let fields = self.errors().flat_map(|error| error.fields.clone()).collect();
        Err(Refusal { fields, ..Refusal::new(self.code(), self.told()) }.of(id))
    }

    /// The code of an answer that is no acceptance.
    fn code(&self) -> ErrorCode {
        let is = |state| self.states().any(|(_, is)| is == state);
        if is(LogState::Written) || is(LogState::Unknown) {
            return ErrorCode::OutcomeUnknown;
        }
        let codes = || self.errors().map(|error| error.code);
        let useless = codes().find(|code| !code.retry_is_safe());
        useless
            .or_else(|| codes().find(|code| *code == ErrorCode::Unavailable))
            .unwrap_or_else(|| codes().next().unwrap_or(ErrorCode::Unavailable))
    }

    /// What happened at each log, in one line.
    fn told(&self) -> String {
        let told = |known: &Known| {
            let said = match &known.outcome {
                Some(Ok(_)) => "written",
                Some(Err(error)) => &error.message,
                None => "not asked",
            };
            format!("{}: {said}", known.log.map_or("the log", Log::name))
        };
        self.logs.iter().map(told).collect::<Vec<_>>().join("; ")
    }

    fn states(&self) -> impl Iterator<Item = (Option<Log>, LogState)> {
        self.logs.iter().map(|known| (known.log, LogState::of(known.outcome.as_ref())))
    }

    fn errors(&self) -> impl Iterator<Item = &Refusal> {
        self.logs.iter().filter_map(|known| known.outcome.as_ref()?.as_ref().err())
    }
}

fn untold() -> Refusal {
    Refusal::new(ErrorCode::OutcomeUnknown, "no outcome")
}

#[cfg(test)]
mod tests;
