//! What a client complains about that somebody has to mend: a name that does not resolve, a user who may not read, a topic
//! that is not there. The client itself goes on trying.
//!
//! Each complaint is logged when it is new, and again once a minute while it lasts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Between two times that the same is logged.
const REMINDER: Duration = Duration::from_secs(60);
/// How long a complaint that is not heard again counts: a client repeats itself every 30 s (`rd_kafka_broker_set_error`).
const RECENT: Duration = Duration::from_secs(35);
/// Different complaints that are remembered.
const MOST: usize = 64;

/// What one client complained about. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Complaints(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    last: Option<(Instant, String)>,
    logged: HashMap<String, Instant>,
}

/// A client's context that hears what it reports.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reports(pub(crate) Complaints);

impl Complaints {
    /// Takes a report, and says whether it is one that somebody has to mend.
    pub(crate) fn hear(&self, code: Option<RDKafkaErrorCode>, reason: &str) -> bool {
        let Some(check) = code.and_then(check) else {
            tracing::debug!(?code, reason, "Kafka's client reports");
            return false;
        };
        self.tell(reason, check);
        true
    }

    /// Takes a report of what does not pass by itself, and what to look at.
    pub(crate) fn tell(&self, reason: &str, check: &str) {
        // What changes from one time to the next: how long it took, and how many times it was suppressed.
        let reason = reason.split(" (after ").next().unwrap_or(reason);
        let mut heard = self.heard();
        heard.last = Some((Instant::now(), reason.to_owned()));
        if heard.logged.len() >= MOST {
            heard.logged.retain(|_, at| at.elapsed() < REMINDER);
        }
        let due = heard.logged.get(reason).is_none_or(|at| at.elapsed() >= REMINDER);
        if due && heard.logged.len() < MOST {
            heard.logged.insert(reason.to_owned(), Instant::now());
            tracing::error!(reason, check, "Kafka cannot be used as it is");
        }
    }

    /// What it complained about in the last seconds.
    pub(crate) fn recent(&self) -> Option<String> {
        let heard = self.heard();
        heard.last.as_ref().filter(|(at, _)| at.elapsed() < RECENT).map(|(_, reason)| reason.clone())
    }

    /// What it complained about has passed.
    pub(crate) fn passed(&self) {
        self.heard().last = None;
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.hear(error.rdkafka_error_code(), reason);
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
        assert!(!complaints.hear(Some(RDKafkaErrorCode::BrokerTransportFailure), "refused"));
        assert_eq!(complaints.recent(), None);
        let unresolved =
            "nowhere:9092/1: Failed to resolve 'nowhere:9092': unknown (after 3ms in state CONNECT)";
        assert!(complaints.hear(Some(RDKafkaErrorCode::Resolve), unresolved));
        let told = complaints.recent().expect("just now");
        assert_eq!(told, "nowhere:9092/1: Failed to resolve 'nowhere:9092': unknown");
    }
}
