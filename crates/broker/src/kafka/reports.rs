//! What Kafka's client reports: some of it is a complaint, the rest passes by itself.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::complaints::Complaints;

/// A client's context that hears what it reports.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reports(pub(crate) Complaints);

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        hear(&self.0, error.rdkafka_error_code(), reason);
    }

    fn log(&self, level: RDKafkaLogLevel, fac: &str, text: &str) {
        log(level, fac, text);
    }
}

impl ConsumerContext for Reports {}

/// The client's own lines: what matters comes as an error, too.
pub(super) fn log(level: RDKafkaLogLevel, fac: &str, text: &str) {
    tracing::debug!(?level, fac, text, "Kafka's client logs");
}

/// Takes a report, and says whether it is one that somebody has to mend.
pub(crate) fn hear(complaints: &Complaints, code: Option<RDKafkaErrorCode>, reason: &str) -> bool {
    let Some(check) = code.and_then(check) else {
        tracing::debug!(?code, reason, "Kafka's client reports");
        return false;
    };
    complaints.tell(reason, check);
    true
}

/// What to look at, if this is an error that does not pass by itself.
fn check(code: RDKafkaErrorCode) -> Option<&'static str> {
    match code {
        RDKafkaErrorCode::Resolve => Some("--kafka-brokers, and the names that the brokers advertise"),
        RDKafkaErrorCode::Authentication
        | RDKafkaErrorCode::SaslAuthenticationFailed
        | RDKafkaErrorCode::UnsupportedSASLMechanism => Some("--kafka-username and --kafka-password-file"),
        RDKafkaErrorCode::FencedInstanceId => Some("whether another consumer has its --group-instance-id"),
        RDKafkaErrorCode::SSL => Some("--kafka-ca, --kafka-certificate and --kafka-key"),
        RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::GroupAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed => Some("the user's ACLs"),
        RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownPartition
        | RDKafkaErrorCode::InvalidTopic => Some("the topic's name, and whether it was made"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_no_complaint_and_the_rest_is_told_without_its_numbers() {
        let complaints = Complaints::default();
        assert!(!hear(&complaints, Some(RDKafkaErrorCode::BrokerTransportFailure), "refused"));
        assert_eq!(complaints.recent(), None);
        let unresolved =
            "nowhere:9092/1: Failed to resolve 'nowhere:9092': unknown (after 3ms in state CONNECT)";
        assert!(hear(&complaints, Some(RDKafkaErrorCode::Resolve), unresolved));
        let told = complaints.recent().expect("just now");
        assert_eq!(told, "nowhere:9092/1: Failed to resolve 'nowhere:9092': unknown");
    }
}
