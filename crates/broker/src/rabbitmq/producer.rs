//! Publishing with acknowledgement.
//!
//! Records go to the server that leads their stream, over a connection that is for publishing only: a server over its limit
//! of memory or disk stops reading from those that publish, and tells nothing. So another connection looks, and asks for a
//! publisher where nothing was confirmed for a while: a server in that state refuses it, and until it no longer does,
//! records are refused before anything is handed over.
//!
//! What a confirmation says is only that a record is written: RabbitMQ does not tell its offset. Publishers have no name: by a
//! name the server would know again what is sent a second time, at the cost of records of its own in the stream. So what was
//! sent and not confirmed when its connection broke is of unknown outcome, and is not sent again.

mod lane;
mod link;
mod monitor;
mod routes;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use self::lane::{Lane, Tally};
use self::monitor::{Monitor, watch_servers};
use self::routes::{Route, Routes};
use super::config::{ProducerConfig, RabbitMqConfig};
use super::dial::Dial;
use crate::availability::Availability;
use crate::complaints::Complaints;
use crate::delivery::{Batch, BatchDelivery, Outcome, Slot};
use crate::error::{BrokerError, PublishError};
use crate::faults::{Faults, Reasons};
use crate::producer::Destination;
use crate::progress::Progress;
use crate::record::OutgoingRecord;

/// Publishes records and reports when they are acknowledged. Clones share one client.
#[derive(Clone)]
pub struct Producer(Arc<Shared>);

struct Shared {
    availability: Availability,
    progress: Arc<Progress>,
    tally: Arc<Tally>,
    complaints: Complaints,
    routes: Arc<RwLock<Arc<Routes>>>,
    /// Counts batches: the records of one that have no key go to one partition, those of the next to the next.
    turn: AtomicUsize,
    /// Tells the monitor that the producer is gone.
    _alive: watch::Sender<()>,
}

impl Producer {
    /// Makes a producer that looks for the servers in the background, and at each topic: whether it can be written to. The
    /// broker is there while any of them is.
    ///
    /// # Errors
    /// A setting cannot be used, or this is not within a runtime. An unreachable server is not an error here.
    pub fn to(
        config: &RabbitMqConfig,
        producer: &ProducerConfig,
        topics: Vec<Destination>,
    ) -> Result<Self, BrokerError> {
        let dial = Dial::new(config)?;
        let runtime = tokio::runtime::Handle::try_current();
        let runtime = runtime.map_err(|error| BrokerError::Client(error.into()))?;
        let (alive, end) = watch::channel(());
        let (faults, hint) = (Arc::new(Faults::new()), Arc::new(Notify::new()));
        let shared = Arc::new(Shared {
            availability: Availability::new(),
            progress: Arc::new(Progress::new()),
            tally: Arc::new(Tally::new(producer, faults, hint)),
            complaints: Complaints::default(),
            routes: Arc::default(),
            turn: AtomicUsize::new(0),
            _alive: alive,
        });
        let monitor = Monitor::new(
            dial,
            topics,
            shared.availability.clone(),
            shared.complaints.clone(),
            Arc::clone(&shared.tally),
            Arc::clone(&shared.routes),
        );
        runtime.spawn(watch_servers(monitor, end));
        Ok(Self(shared))
    }

    /// Why topics take no records, although the broker is there. Follows the changes.
    pub fn watch_topics(&self) -> watch::Receiver<Reasons> {
        self.0.tally.faults.watch()
    }

    /// Why this topic takes no records now.
    pub fn refuses(&self, topic: &str) -> Option<String> {
        self.0.tally.faults.reason(topic)
    }

    /// What somebody has to mend, if the client complained in the last seconds: a server's name that does not resolve, a wrong
    /// password.
    pub fn complaint(&self) -> Option<String> {
        self.0.complaints.recent()
    }

    /// Whether the broker can be reached.
    pub fn availability(&self) -> &Availability {
        &self.0.availability
    }

    /// Hands records over without waiting. Each gets its outcome in the delivery, in order: a record that the queue does
    /// not take, or any while the broker is away or takes no records, has failed already.
    pub fn publish_batch(&self, records: Vec<OutgoingRecord>) -> BatchDelivery {
        let shared = &*self.0;
        let batch = Batch::new(&shared.progress, records.len());
        let is_open = shared.availability.is_available() && shared.progress.admits();
        let routes = Arc::clone(&shared.routes.read().unwrap_or_else(PoisonError::into_inner));
        let turn = shared.turn.fetch_add(1, Ordering::Relaxed);
        let mut last: Option<Arc<Lane>> = None;
        for (at, record) in records.into_iter().enumerate() {
            let slot = Slot { batch: Arc::clone(&batch), at };
            let handed = if is_open {
                shared.hand_over(&routes, turn, &record, slot)
            } else {
                Err((PublishError::Unavailable, slot))
            };
            match handed {
                Ok(lane) => {
                    if last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &lane)) {
                        last.replace(lane).inspect(|lane| lane.wake());
                    }
                }
                Err((error, slot)) => slot.fill(Err(error)),
            }
        }
        last.inspect(|lane| lane.wake());
        BatchDelivery(batch)
    }

    /// Publishes one record and waits for its outcome.
    ///
    /// # Errors
    /// It is not acknowledged.
    pub async fn publish(&self, record: OutgoingRecord) -> Outcome {
        self.publish_batch(vec![record]).outcome().await
    }

    /// Waits until everything handed over has its outcome, or the limit is reached.
    ///
    /// # Errors
    /// Records were still on their way at the limit.
    pub async fn flush(&self, limit: Duration) -> Result<(), BrokerError> {
        let empty = tokio::time::timeout(limit, self.0.tally.until_empty()).await;
        empty
            .map_err(|elapsed| BrokerError::Ask { what: "the last acknowledgements", source: elapsed.into() })
    }
}

impl Shared {
    /// Puts a record into its lane, which is returned.
    fn hand_over(
        &self,
        routes: &Routes,
        turn: usize,
        record: &OutgoingRecord,
        slot: Slot,
    ) -> Result<Arc<Lane>, (PublishError, Slot)> {
        let faults = &self.tally.faults;
        if faults.reason(&record.topic).is_some() {
            return Err((PublishError::Unavailable, slot));
        }
        match routes.of(record, turn) {
            Some(Route::Up(lane)) => lane.put(record, slot).map(|()| Arc::clone(lane)),
            Some(Route::Refused(reason)) => {
                faults.refused(&record.topic, reason.clone());
                Err((PublishError::Unavailable, slot))
            }
            Some(Route::Down) | None => Err((PublishError::Unavailable, slot)),
        }
    }
}
