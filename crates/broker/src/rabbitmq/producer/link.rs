//! A connection that records are published over, and its lanes.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::lane::{Identity, Lane, Tally};
use crate::rabbitmq::codes::{Code, Key};
use crate::rabbitmq::connection::{Connection, Handler, Source};
use crate::rabbitmq::dial::Dial;
use crate::rabbitmq::error::LinkError;
use crate::rabbitmq::frames::Incoming;
use crate::rabbitmq::topology::metadata;
use crate::rabbitmq::wire::Put;

/// Lanes of one connection, whose ids are of one byte.
const MOST: usize = 250;
/// Bytes that are handed to the socket at once.
const AT_ONCE: usize = 256 << 10;
const ANSWER_LIMIT: Duration = Duration::from_millis(1_500);
/// Publishing ids of a lane.
const LANE_IDS: u64 = 1 << 40;

/// A connection to a server that leads streams.
pub(super) struct Link {
    pub(super) connection: Connection,
    core: Arc<Core>,
}

struct Core {
    tally: Arc<Tally>,
    lanes: Mutex<Vec<Arc<Lane>>>,
    /// Lanes whose streams the server does not have any more.
    lost: Mutex<Vec<Arc<Lane>>>,
    made: AtomicU64,
    turn: AtomicUsize,
}

impl Link {
    pub(super) async fn open(dial: &Dial, address: &str, tally: Arc<Tally>) -> Result<Self, LinkError> {
        let core = Arc::new(Core {
            tally,
            lanes: Mutex::default(),
            lost: Mutex::default(),
            made: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        });
        let source: Arc<dyn Source> = Arc::clone(&core) as _;
        let connection = Connection::open(dial, address, Events(Arc::clone(&core)), Some(source)).await?;
        Ok(Self { connection, core })
    }

    pub(super) fn is_live(&self) -> bool {
        self.connection.ended().is_none()
    }

    pub(super) fn has_room(&self) -> bool {
        self.core.lanes().len() < MOST
    }

    /// Makes a lane to a stream.
    ///
    /// # Errors
    /// The server is away, or does not let us write there.
    pub(super) async fn lane(
        &self,
        topic: &str,
        stream: &str,
        partition: i32,
    ) -> Result<Arc<Lane>, LinkError> {
        let (topic, stream) = (topic.to_owned(), stream.to_owned());
        let publisher = self.core.free();
        let asked = self.connection.ask(Key::DeclarePublisher, |body| {
            body.put_u8(publisher);
            body.put_string("");
            body.put_string(&stream);
        });
        asked.done(ANSWER_LIMIT, || format!("publishing to {stream}")).await?;
        let first = self.core.made.fetch_add(1, Ordering::Relaxed) * LANE_IDS;
        let identity = Identity { topic, stream, partition, publisher, first };
        let (frame_max, tally) = (self.connection.peer().frame_max, Arc::clone(&self.core.tally));
        let lane = Arc::new(Lane::new(identity, frame_max, self.connection.waker(), tally));
        self.core.lanes().push(Arc::clone(&lane));
        if !self.is_live() {
            // Its end may have been told just before.
            lane.settle();
        }
        Ok(lane)
    }

    /// Concludes what was sent to streams that the server does not have any more: after its answer to another question it says
    /// nothing more of them.
    pub(super) fn bury_lost(&self) {
        let lost = std::mem::take(&mut *self.core.lost());
        if lost.is_empty() {
            return;
        }
        let (connection, core) = (self.connection.clone(), Arc::clone(&self.core));
        tokio::spawn(async move {
            let names: Vec<_> = lost.iter().map(|lane| lane.stream.clone()).collect();
            // Without an answer they are of unknown outcome all the same.
            metadata(&connection, &names, ANSWER_LIMIT).await.ok();
            lost.iter().for_each(|lane| lane.settle());
            core.lanes().retain(|lane| !lost.iter().any(|lost| Arc::ptr_eq(lost, lane)));
        });
    }
}

impl Core {
    /// An id that no lane has. One lane is made at a time.
    fn free(&self) -> u8 {
        let lanes = self.lanes();
        let is_free = |id: &u8| lanes.iter().all(|lane| lane.publisher != *id);
        (0..u8::MAX).find(is_free).unwrap_or(u8::MAX)
    }

    fn with(&self, publisher: u8) -> Option<Arc<Lane>> {
        self.lanes().iter().find(|lane| lane.publisher == publisher).cloned()
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self) -> MutexGuard<'_, Vec<Arc<Lane>>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Core {
    /// The lanes in turn, each a frame.
    fn fill(&self, into: &mut Vec<u8>) {
        let lanes = self.lanes();
        let (mut at, mut idle) = (self.turn.load(Ordering::Relaxed), 0);
        while idle < lanes.len() && into.len() < AT_ONCE {
            at = (at + 1) % lanes.len();
            idle = if lanes[at].fill(into) { 0 } else { idle + 1 };
        }
        self.turn.store(at, Ordering::Relaxed);
    }
}

/// What the server says about records.
struct Events(Arc<Core>);

impl Handler for Events {
    fn take(&mut self, frame: Incoming) {
        match frame {
            Incoming::Confirmed { publisher, ids } => {
                self.0.with(publisher).inspect(|lane| lane.confirmed(&ids));
            }
            Incoming::Refused { publisher, errors } => {
                self.0.with(publisher).inspect(|lane| lane.refused(errors));
            }
            Incoming::MetadataUpdate { stream, code } => {
                tracing::debug!(stream, %code, "the server no longer takes records of a stream");
                let of_stream = |lane: &&Arc<Lane>| lane.stream == stream && !lane.is_closed();
                let lost: Vec<_> = self.0.lanes().iter().filter(of_stream).cloned().collect();
                lost.iter().for_each(|lane| lane.close());
                self.0.lost().extend(lost);
                self.0.tally.hint.notify_one();
            }
            other => tracing::debug!(frame = ?other, "a frame that is not expected here is passed over"),
        }
    }

    fn ended(&mut self, why: &LinkError) {
        tracing::debug!(%why, "a connection that is published over ended");
        self.0.lanes().drain(..).for_each(|lane| lane.settle());
        self.0.tally.hint.notify_one();
    }
}

/// Whether a server refuses publishers because it is over a limit. Asked over a connection that publishes nothing, which
/// such a server goes on to read.
pub(super) async fn is_over_a_limit(connection: &Connection, stream: &str) -> bool {
    let asked = connection.ask(Key::DeclarePublisher, |body| {
        body.put_u8(0);
        body.put_string("");
        body.put_string(stream);
    });
    match asked.done(ANSWER_LIMIT, || format!("publishing to {stream}")).await {
        Ok(()) => {
            let given_back = connection.ask(Key::DeletePublisher, |body| body.put_u8(0));
            given_back.answer(ANSWER_LIMIT).await.ok();
            false
        }
        Err(LinkError::Refused { code, .. }) => code == Code::PRECONDITION_FAILED,
        Err(_) => false,
    }
}
