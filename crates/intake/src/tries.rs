//! The tries of one call's events at whatever is upstream, and what may be answered after them.
//!
//! A refusal is a promise that nothing was written, by any try. Invariants: once a try of an event ended unknown, only an
//! acceptance replaces that; and an event is sent again only if it surely was not written, or has an idempotency key.

use blackfriday_event::EventId;
use blackfriday_proto::{Command, ErrorCode, EventOutcome, Refusal};

/// What a try that failed as a whole says of its events.
#[derive(Debug)]
pub enum Failed {
    /// They did not reach upstream.
    NotSent(Refusal),
    /// Upstream says that nothing was written; a further try may be luckier.
    NotWritten(Refusal),
    /// They may have been written.
    Unknown(Refusal),
    /// Upstream says that nothing was written, and a further try would not change that.
    Refused(Refusal),
}

/// What a try says of one event.
#[derive(Debug)]
pub struct Said {
    /// Its outcome, were this the only try.
    pub outcome: EventOutcome,
    /// Whether it may be sent again.
    pub again: Again,
}

/// Whether an event may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It may.
    Always,
    /// If it has a key.
    IfKeyed,
    /// It must not, or need not.
    Never,
}

/// The events of one call: the outcomes so far, and those that may be sent again.
#[derive(Debug)]
pub struct Tries<D> {
    outcomes: Vec<Option<EventOutcome>>,
    pending: Vec<(usize, Command<D>)>,
}

impl<D> Tries<D> {
    /// Events of which none was sent yet.
    pub fn new(commands: Vec<Command<D>>) -> Self {
        let outcomes = std::iter::repeat_with(|| None).take(commands.len()).collect();
        Self { outcomes, pending: commands.into_iter().enumerate().collect() }
    }

    /// What the next try sends, in order.
    pub fn pending(&self) -> impl ExactSizeIterator<Item = &Command<D>> {
        self.pending.iter().map(|(_, command)| command)
    }

    /// Whether nothing is left to send.
    pub fn are_over(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes what a try said of each pending event, in order.
    pub fn settle(&mut self, mut said: impl FnMut(&Command<D>) -> Said) {
        let outcomes = &mut self.outcomes;
        self.pending.retain(|(at, command)| {
            let Said { outcome, again } = said(command);
            outcomes[*at] = Some(after(outcomes[*at].take(), outcome));
            match again {
                Again::Always => true,
                Again::IfKeyed => command.idempotency_key.is_some(),
                Again::Never => false,
            }
        });
    }

    /// Takes a try that failed as a whole.
    pub fn fail(&mut self, failed: &Failed) {
        self.settle(|command| failed.about(command.id));
    }

    /// Sends nothing more. What was sent keeps the outcome that it has; `why` is that of the others.
    pub fn give_up(&mut self, why: &Refusal) {
        for (at, command) in self.pending.drain(..) {
            self.outcomes[at].get_or_insert_with(|| Err(why.clone().of(command.id)));
        }
    }

    /// The outcome of each event, in the order of the call.
    pub fn into_outcomes(mut self) -> Vec<EventOutcome> {
        let untold = Refusal::new(ErrorCode::OutcomeUnknown, "no outcome");
        self.give_up(&untold);
        self.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Err(untold.clone()))).collect()
    }
}

impl Failed {
    fn about(&self, id: EventId) -> Said {
        let (error, again) = match self {
            Self::NotSent(error) | Self::NotWritten(error) => (error, Again::Always),
            Self::Unknown(error) => (error, Again::IfKeyed),
            Self::Refused(error) => (error, Again::Never),
        };
        Said { outcome: Err(error.clone().of(id)), again }
    }
}

/// What is known of an event after one more try.
pub(crate) fn after(before: Option<EventOutcome>, now: EventOutcome) -> EventOutcome {
    match (before, now) {
        (Some(Ok(id)), _) | (_, Ok(id)) => Ok(id),
        // Whatever this try says, it says nothing of the one before.
        (Some(Err(unknown)), Err(_)) if unknown.code == ErrorCode::OutcomeUnknown => Err(unknown),
        (_, Err(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests;
