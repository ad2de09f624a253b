//! Keeps a client from losing the cluster for good.
//!
//! librdkafka forgets each broker that an answer about the cluster does not list, its bootstrap servers too. A broker
//! that has just lost its own session with the controller lists none at all; after such an answer the client has no broker
//! left to ask, and never connects again (librdkafka issue 5301). The lifeline names it the bootstrap servers once more.

use std::ffi::CString;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::bindings::rd_kafka_brokers_add;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::config::KafkaConfig;

/// Between two times of naming the servers. The client keeps each list that it is given, some hundred bytes: over a long
/// outage they become rare.
const FIRST_PAUSE: Duration = Duration::from_secs(3);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// Between two looks at a client that is not asked anything otherwise.
const LOOK: Duration = Duration::from_secs(3);

/// One client's way back to its bootstrap servers.
pub(super) struct Lifeline {
    brokers: CString,
    pace: Mutex<Pace>,
}

struct Pace {
    pause: Duration,
    due: Instant,
    looked: Instant,
}

impl Lifeline {
    /// For the client that was made of this configuration.
    pub(super) fn new(kafka: &KafkaConfig) -> Self {
        let brokers = CString::new(kafka.brokers.as_str()).expect("a client was made of it");
        let now = Instant::now();
        Self { brokers, pace: Mutex::new(Pace { pause: FIRST_PAUSE, due: now + FIRST_PAUSE, looked: now }) }
    }

    /// Takes the answer to a request to whichever broker, and passes it on.
    pub(super) fn watch<T, C: ClientContext>(
        &self,
        client: &Client<C>,
        answer: KafkaResult<T>,
    ) -> KafkaResult<T> {
        let nobody_to_ask = answer.as_ref().err().and_then(KafkaError::rdkafka_error_code)
            == Some(RDKafkaErrorCode::BrokerTransportFailure);
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if !nobody_to_ask {
            (pace.pause, pace.due) = (FIRST_PAUSE, now + FIRST_PAUSE);
        } else if now >= pace.due {
            (pace.pause, pace.due) = ((pace.pause * 2).min(LONGEST_PAUSE), now + pace.pause);
            // SAFETY: the client lives as long as the borrow, and the call copies the string.
            unsafe { rd_kafka_brokers_add(client.native_ptr(), self.brokers.as_ptr()) };
        }
        answer
    }

    /// Looks from time to time whether there is anybody to ask about a topic; does not wait for the answer.
    pub(super) fn look<C: ClientContext>(&self, client: &Client<C>, topic: &str) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        if pace.looked.elapsed() < LOOK {
            return;
        }
        pace.looked = Instant::now();
        drop(pace);
        // That there is no answer in no time shows that somebody was asked.
        self.watch(client, client.fetch_metadata(Some(topic), Duration::ZERO)).ok();
    }
}
