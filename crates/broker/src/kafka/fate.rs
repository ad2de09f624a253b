//! What a failed delivery says about its record: whether it was written, and whose fault it is.

use rdkafka::bindings::{rd_kafka_message_status, rd_kafka_msg_status_t};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;

use crate::error::PublishError;

/// The record never left our side.
pub(super) fn of_client_error(error: &KafkaError) -> PublishError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => PublishError::QueueFull,
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => PublishError::TooLarge,
        Some(
            RDKafkaErrorCode::UnknownPartition | RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::Fatal,
        ) => PublishError::Unavailable,
        _ => PublishError::Rejected(error.to_string()),
    }
}

/// The record may have left: what the client knows of its fate decides.
pub(super) fn of_delivery_error(error: &KafkaError, message: &BorrowedMessage<'_>) -> PublishError {
    // SAFETY: the pointer is the message's own and lives as long as the borrow; the call only reads it.
    let status = unsafe { rd_kafka_message_status(message.ptr()) };
    if status != rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED {
        return PublishError::OutcomeUnknown;
    }
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => PublishError::TooLarge,
        _ => PublishError::Unavailable,
    }
}

/// A reason for which the broker refuses a record and would refuse others: the topic's settings, or our permissions. A
/// compacted topic takes no record without a key (`InvalidRecord`).
pub(super) fn not_the_records_fault(error: &KafkaError) -> Option<String> {
    match error.rdkafka_error_code()? {
        code @ (RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed
        | RDKafkaErrorCode::InvalidRecord
        | RDKafkaErrorCode::PolicyViolation
        | RDKafkaErrorCode::InvalidTimestamp
        | RDKafkaErrorCode::UnsupportedForMessageFormat
        | RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::InvalidTopic
        | RDKafkaErrorCode::InvalidRequiredAcks) => Some(format!("{code:?}: {code}")),
        _ => None,
    }
}
