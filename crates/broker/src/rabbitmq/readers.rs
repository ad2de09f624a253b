//! Subscriptions to streams, over one connection for each server.
//!
//! A server tells nothing of where a stream ends. But it deals with what comes over one connection in turn, so a question that
//! follows a subscription is a fence: when it is answered, and no chunk has come before, there was none to send.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use super::codes::Key;
use super::connection::{Connection, Handler};
use super::dial::Dial;
use super::error::LinkError;
use super::frames::Incoming;
use super::topology::metadata;
use super::wire::Put;

/// Where a subscription begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Begin {
    First,
    Last,
    /// At the chunk with this offset; at the end of a stream that has not got so far.
    Offset(i64),
}

/// What may happen to subscriptions.
#[derive(Debug)]
pub(super) enum Notice {
    /// The server has none of this stream any more, on this connection.
    StreamLost { link: u64, stream: String },
    /// Nor any at all.
    LinkEnded { link: u64 },
}

/// Takes the chunks of a subscription. It must not wait.
pub(super) type Sink = Box<dyn FnMut(Bytes) + Send>;

/// Connections that are read over.
pub(super) struct Readers {
    dial: Dial,
    servers: Mutex<HashMap<String, Server>>,
    notices: Option<UnboundedSender<Notice>>,
    next: AtomicU64,
}

/// The connections to one server. While one is being made nobody makes another there.
type Server = Arc<tokio::sync::Mutex<Vec<Arc<Link>>>>;

struct Link {
    number: u64,
    connection: Connection,
    sinks: Arc<Sinks>,
}

/// The subscriptions of a connection, by their ids.
#[derive(Default)]
struct Sinks(Mutex<HashMap<u8, Option<Sink>>>);

/// A subscription; dropping it ends it.
pub(super) struct Seat {
    link: Arc<Link>,
    id: u8,
    /// Whether the server has it.
    is_taken: AtomicBool,
}

impl Readers {
    pub(super) fn new(dial: Dial, notices: Option<UnboundedSender<Notice>>) -> Self {
        Self { dial, servers: Mutex::default(), notices, next: AtomicU64::new(0) }
    }

    /// Subscribes to a stream that the server at `address` has. When it returns, every chunk that was there at the time and
    /// that the credit allows has gone to the sink.
    ///
    /// # Errors
    /// The server is away, or refuses.
    pub(super) async fn subscribe(
        &self,
        address: &str,
        stream: &str,
        begin: Begin,
        limit: Duration,
        sink: Sink,
    ) -> Result<Seat, LinkError> {
        let seat = self.seat(address, sink).await?;
        let connection = &seat.link.connection;
        let subscribed = connection.ask(Key::Subscribe, |body| {
            body.put_u8(seat.id);
            body.put_string(stream);
            put_begin(body, begin);
            // The first credit: with more of it a server waits for more than one to come back (`send_limit`).
            body.put_u16(1);
        });
        seat.is_taken.store(true, Ordering::Release);
        // Asked before the answer is waited for, so that it costs no time.
        let fence = async { metadata(connection, &[stream.to_owned()], limit).await };
        let subscribed = subscribed.done(limit, || format!("reading {stream}"));
        let (subscribed, fenced) = tokio::join!(biased; subscribed, fence);
        if let Err(LinkError::Refused { .. }) = subscribed {
            seat.is_taken.store(false, Ordering::Release);
        }
        if let Err(error @ LinkError::NoAnswer { .. }) = &fenced {
            connection.give_up(error.clone());
        }
        subscribed?;
        fenced?;
        Ok(seat)
    }

    async fn seat(&self, address: &str, sink: Sink) -> Result<Seat, LinkError> {
        let server = self.server(address);
        let mut links = server.lock().await;
        links.retain(|link| link.connection.ended().is_none());
        for link in &*links {
            if let Some(id) = link.sinks.free() {
                link.sinks.put(id, sink);
                return Ok(Seat { link: Arc::clone(link), id, is_taken: AtomicBool::new(false) });
            }
        }
        let (number, sinks) = (self.next.fetch_add(1, Ordering::Relaxed), Arc::new(Sinks::default()));
        let dispatch = Dispatch { number, sinks: Arc::clone(&sinks), notices: self.notices.clone() };
        let connection = Connection::open(&self.dial, address, dispatch, None).await?;
        sinks.put(0, sink);
        let link = Arc::new(Link { number, connection, sinks });
        links.push(Arc::clone(&link));
        Ok(Seat { link, id: 0, is_taken: AtomicBool::new(false) })
    }

    fn server(&self, address: &str) -> Server {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(servers.entry(address.to_owned()).or_default())
    }
}

fn put_begin(body: &mut Vec<u8>, begin: Begin) {
    match begin {
        Begin::First => body.put_u16(1),
        Begin::Last => body.put_u16(2),
        Begin::Offset(offset) => {
            body.put_u16(4);
            body.put_u64(offset.unsigned_abs());
        }
    }
}

impl Seat {
    pub(super) fn link(&self) -> u64 {
        self.link.number
    }

    /// Whether its connection is there.
    pub(super) fn is_live(&self) -> bool {
        self.link.connection.ended().is_none()
    }

    /// Lets the server send so many more chunks.
    pub(super) fn credit(&self, chunks: u16) {
        self.link.connection.tell(Key::Credit, |body| {
            body.put_u8(self.id);
            body.put_u16(chunks);
        });
    }

    /// The server has ended it by itself.
    pub(super) fn lost(&self) {
        self.is_taken.store(false, Ordering::Release);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let (link, id) = (Arc::clone(&self.link), self.id);
        link.sinks.mute(id);
        if !self.is_taken.load(Ordering::Acquire) {
            return link.sinks.remove(id);
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            // Chunks of it may be on their way until then: the id is nobody else's yet.
            let left = link.connection.ask(Key::Unsubscribe, |body| body.put_u8(id));
            if left.answer(Duration::from_secs(10)).await.is_ok() {
                link.sinks.remove(id);
            }
        });
    }
}

impl Sinks {
    fn free(&self) -> Option<u8> {
        let taken = self.all();
        (0..=u8::MAX).find(|id| !taken.contains_key(id))
    }

    fn put(&self, id: u8, sink: Sink) {
        self.all().insert(id, Some(sink));
    }

    fn mute(&self, id: u8) {
        self.all().insert(id, None);
    }

    fn remove(&self, id: u8) {
        self.all().remove(&id);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u8, Option<Sink>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands a connection's chunks to their sinks.
struct Dispatch {
    number: u64,
    sinks: Arc<Sinks>,
    notices: Option<UnboundedSender<Notice>>,
}

impl Dispatch {
    fn notice(&self, notice: Notice) {
        // Who reads may be gone.
        self.notices.as_ref().map(|notices| notices.send(notice).ok());
    }
}

impl Handler for Dispatch {
    fn take(&mut self, frame: Incoming) {
        match frame {
            Incoming::Deliver { subscription, chunk } => {
                if let Some(Some(sink)) = self.sinks.all().get_mut(&subscription) {
                    sink(chunk);
                }
            }
            Incoming::MetadataUpdate { stream, code } => {
                tracing::debug!(stream, %code, "the server no longer delivers a stream");
                self.notice(Notice::StreamLost { link: self.number, stream });
            }
            other => tracing::debug!(frame = ?other, "a frame that is not expected here is passed over"),
        }
    }

    fn ended(&mut self, why: &LinkError) {
        tracing::debug!(%why, "a connection that is read over ended");
        self.notice(Notice::LinkEnded { link: self.number });
    }
}
