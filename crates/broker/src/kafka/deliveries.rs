//! What a producer's client reports: the fate of each record, and its own troubles.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message};
use rdkafka::producer::ProducerContext;

use super::fate::{not_the_records_fault, of_delivery_error};
use super::reports::hear;
use super::turns::{Sent, Turns};
use crate::availability::Availability;
use crate::complaints::Complaints;
use crate::error::PublishError;
use crate::faults::Faults;
use crate::record::Position;

/// Sends a record once more, by itself. Returns its place if it cannot, and why; then it was not written.
pub(super) type SendAgain =
    Arc<dyn Fn(&BorrowedMessage<'_>, Box<Sent>) -> Result<(), (PublishError, Box<Sent>)> + Send + Sync>;

/// Receives a client's events. Clones share it.
#[derive(Clone)]
pub(super) struct Deliveries {
    events: Events,
    /// For what was too large together with others; the client that sends records alone has no other.
    again: Option<SendAgain>,
}

/// Where the events go.
#[derive(Clone)]
pub(super) struct Events {
    pub(super) availability: Availability,
    /// Wakes the monitor.
    pub(super) hint: SyncSender<()>,
    pub(super) faults: Arc<Faults>,
    pub(super) complaints: Complaints,
    pub(super) turns: Arc<Turns>,
}

impl Deliveries {
    pub(super) fn of(events: Events, again: Option<SendAgain>) -> Self {
        Self { events, again }
    }
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        hear(&self.events.complaints, error.rdkafka_error_code(), reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.events.availability.set(false);
        }
        // The channel holds one hint; a second adds nothing.
        self.events.hint.try_send(()).ok();
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, mut sent: Box<Sent>) {
        let turn = sent.turn.take();
        self.conclude(result, sent);
        if let Some(turn) = turn {
            self.events.turns.done(turn);
        }
    }
}

impl Deliveries {
    fn conclude(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let faults = &self.events.faults;
        let (outcome, sent) = match result {
            Ok(message) => {
                faults.taken(message.topic());
                (Ok(Position { partition: message.partition(), offset: Some(message.offset()) }), sent)
            }
            Err((error, message)) => match (of_delivery_error(error, message), &self.again) {
                (PublishError::TooLarge, Some(send_again)) => match send_again(message, sent) {
                    Ok(()) => return,
                    Err((refused, sent)) => (Err(refused), sent),
                },
                (refused, _) => {
                    if let Some(reason) = not_the_records_fault(error) {
                        faults.refused(message.topic(), reason);
                    }
                    (Err(refused), sent)
                }
            },
        };
        if !matches!(outcome, Err(PublishError::OutcomeUnknown | PublishError::Unavailable)) {
            sent.slot.batch.progress.told();
        }
        sent.slot.fill(outcome);
    }
}
