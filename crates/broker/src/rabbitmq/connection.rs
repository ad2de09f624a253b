//! One connection to one server: requests and their answers, heartbeats both ways, and an end that everybody learns of.
//!
//! A task reads and hands what is not an answer to the connection's [`Handler`]; a task writes what is in the outbox and,
//! where records are published, what the [`Source`] has. Dropping the last handle closes the connection.
//!
//! Invariant: whatever ends it, the handler hears of it once, and each request that waits learns why.

mod handshake;
mod reading;
mod writing;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

pub(super) use self::handshake::Peer;
use self::handshake::{HEARTBEAT, shake_hands};
use self::reading::Frames;
use self::writing::{Outbox, Writer};
use super::codes::{Code, Key};
use super::dial::{Dial, LOGIN_LIMIT};
use super::error::{FrameError, LinkError};
use super::frames::{Incoming, answer, frame, request};
use super::wire::{Put, Reader};

/// Takes what the server says by itself, in the order in which it says it. It must not wait.
pub(super) trait Handler: Send + 'static {
    /// A frame that is neither an answer nor of the connection's own.
    fn take(&mut self, frame: Incoming);
    /// Nothing comes any more.
    fn ended(&mut self, why: &LinkError);
}

/// What is published over a connection.
pub(super) trait Source: Send + Sync + 'static {
    /// Appends frames that are due, if any. From then on they count as sent.
    fn fill(&self, into: &mut Vec<u8>);
}

/// A connection. Clones share it.
#[derive(Clone)]
pub(super) struct Connection(Arc<Open>);

/// Wakes what writes to a connection.
pub(super) struct Waker(Arc<Shared>);

struct Open {
    peer: Peer,
    shared: Arc<Shared>,
}

/// What the tasks and the handles have in common.
struct Shared {
    address: String,
    outbox: Outbox,
    correlation: AtomicU32,
    pending: Mutex<HashMap<u32, oneshot::Sender<Bytes>>>,
    ended: watch::Sender<Option<LinkError>>,
}

impl Connection {
    /// Connects and logs in.
    ///
    /// # Errors
    /// The server is not there, refuses the login, or takes more than 6 s for it.
    pub(super) async fn open(
        dial: &Dial,
        address: &str,
        handler: impl Handler,
        source: Option<Arc<dyn Source>>,
    ) -> Result<Self, LinkError> {
        let opening = async {
            let (reader, mut writer) = tokio::io::split(dial.connect(address).await?);
            let mut frames = Frames::new(reader, address);
            let peer = shake_hands(dial, address, &mut frames, &mut writer).await?;
            Ok((peer, frames, writer))
        };
        let slow = |_| LinkError::NoAnswer { address: address.to_owned(), after: LOGIN_LIMIT };
        let (peer, frames, writer) = timeout(LOGIN_LIMIT, opening).await.map_err(slow)??;
        let shared = Arc::new(Shared {
            address: address.to_owned(),
            outbox: Outbox::default(),
            correlation: AtomicU32::new(1),
            pending: Mutex::default(),
            ended: watch::Sender::new(None),
        });
        tokio::spawn(Writer { stream: writer, shared: Arc::clone(&shared), source }.run());
        tokio::spawn(Inbox { frames, shared: Arc::clone(&shared), handler }.run());
        Ok(Self(Arc::new(Open { peer, shared })))
    }

    /// Connects to the first of the servers that takes the login.
    ///
    /// # Errors
    /// None does; the error is the last one's, or that of one whose error somebody has to mend.
    pub(super) async fn open_any<H: Handler>(
        dial: &Dial,
        handler: impl Fn() -> H,
    ) -> Result<Self, LinkError> {
        let mut worst: Option<LinkError> = None;
        for address in &dial.servers {
            match Self::open(dial, address, handler(), None).await {
                Ok(connection) => return Ok(connection),
                Err(error) if worst.as_ref().is_some_and(|worst| worst.check().is_some()) => drop(error),
                Err(error) => worst = Some(error),
            }
        }
        Err(worst.expect("a list of servers is never empty"))
    }

    pub(super) fn peer(&self) -> Peer {
        self.0.peer
    }

    pub(super) fn address(&self) -> &str {
        &self.0.shared.address
    }

    /// Why it ended, if it did.
    pub(super) fn ended(&self) -> Option<LinkError> {
        self.0.shared.ended.borrow().clone()
    }

    /// Gives it up: it does not answer as it should.
    pub(super) fn give_up(&self, why: LinkError) {
        self.0.shared.end(why);
    }

    /// Asks. The request is on its way, in the order of the calls, also before the answer is waited for.
    pub(super) fn ask(&self, key: Key, body: impl FnOnce(&mut Vec<u8>)) -> Question<'_> {
        let shared = &*self.0.shared;
        let (correlation, answer) = shared.expect_answer();
        shared.outbox.put(&request(key, correlation, body));
        Question { shared, correlation, answer }
    }

    /// Sends what is not answered.
    pub(super) fn tell(&self, key: Key, body: impl FnOnce(&mut Vec<u8>)) {
        self.0.shared.outbox.put(&frame(key as u16, body));
    }

    /// Answers what the server asked.
    pub(super) fn answer(&self, key: Key, correlation: u32, body: impl FnOnce(&mut Vec<u8>)) {
        self.0.shared.outbox.put(&answer(key, correlation, body));
    }

    /// By which the connection learns that there is something to publish. It does not keep it open.
    pub(super) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.0.shared))
    }

    /// The error that an answer cannot be read.
    pub(super) fn malformed(&self, source: FrameError) -> LinkError {
        LinkError::Frame { address: self.address().to_owned(), source }
    }
}

impl Waker {
    pub(super) fn wake(&self) {
        self.0.outbox.wake();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.outbox.close();
    }
}

impl Shared {
    fn expect_answer(&self) -> (u32, oneshot::Receiver<Bytes>) {
        let (sender, receiver) = oneshot::channel();
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed);
        let mut pending = self.pending();
        // After the end nobody answers: the sender is dropped here.
        if self.ended.borrow().is_none() {
            pending.insert(correlation, sender);
        }
        (correlation, receiver)
    }

    /// Ends the connection; the first reason counts.
    fn end(&self, why: LinkError) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(why);
            }
            first
        });
        self.pending().clear();
    }

    fn why(&self) -> LinkError {
        let closed = || LinkError::Closed { address: self.address.clone() };
        self.ended.borrow().clone().unwrap_or_else(closed)
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<u32, oneshot::Sender<Bytes>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose answer nobody has waited for yet.
pub(super) struct Question<'a> {
    shared: &'a Shared,
    correlation: u32,
    answer: oneshot::Receiver<Bytes>,
}

impl Question<'_> {
    /// The answer's body, from behind its correlation on.
    ///
    /// # Errors
    /// The connection ended, or there is no answer within the limit.
    pub(super) async fn answer(mut self, limit: Duration) -> Result<Bytes, LinkError> {
        match timeout(limit, &mut self.answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(self.shared.why()),
            Err(_) => Err(LinkError::NoAnswer { address: self.shared.address.clone(), after: limit }),
        }
    }

    /// Where the answer is but a code: that it is done.
    ///
    /// # Errors
    /// As above, or the server refuses: [`LinkError::Refused`] with this text.
    pub(super) async fn done(self, limit: Duration, what: impl FnOnce() -> String) -> Result<(), LinkError> {
        let address = self.shared.address.clone();
        let answer = self.answer(limit).await?;
        match Reader::new(&answer).u16().map(Code) {
            Ok(Code::OK) => Ok(()),
            Ok(code) => Err(LinkError::Refused { what: what(), code }),
            Err(_) => Err(LinkError::Frame { address, source: FrameError::Truncated }),
        }
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.shared.pending().remove(&self.correlation);
    }
}

/// The reading task.
struct Inbox<R, H: Handler> {
    frames: Frames<R>,
    shared: Arc<Shared>,
    handler: H,
}

impl<R: AsyncRead + Unpin, H: Handler> Inbox<R, H> {
    async fn run(mut self) {
        let mut ended = self.shared.ended.subscribe();
        loop {
            let frame = tokio::select! {
                biased;
                _ = ended.wait_for(Option::is_some) => return,
                frame = timeout(HEARTBEAT * 2, self.frames.next()) => frame,
            };
            let address = &self.shared.address;
            let taken = match frame {
                Ok(Ok(frame)) => match Incoming::parse(&frame) {
                    Ok(incoming) => self.take(incoming),
                    Err(source) => Err(LinkError::Frame { address: address.clone(), source }),
                },
                Ok(Err(error)) => Err(error),
                Err(_) => Err(LinkError::Silent { address: address.clone(), after: HEARTBEAT * 2 }),
            };
            if let Err(why) = taken {
                return self.shared.end(why);
            }
        }
    }

    fn take(&mut self, incoming: Incoming) -> Result<(), LinkError> {
        match incoming {
            Incoming::Answer { correlation, body, .. } => {
                let waiting = self.shared.pending().remove(&correlation);
                // Nobody may wait any more.
                waiting.map(|waiting| waiting.send(body).ok());
            }
            Incoming::Heartbeat | Incoming::Tune { .. } => {}
            Incoming::Close { correlation, code, reason } => {
                self.shared.outbox.put(&answer(Key::Close, correlation, |_| {}));
                let address = self.shared.address.clone();
                return Err(LinkError::Ended { address, reason: format!("{code}: {reason}") });
            }
            other => self.handler.take(other),
        }
        Ok(())
    }
}

impl<R, H: Handler> Drop for Inbox<R, H> {
    fn drop(&mut self) {
        let closed = LinkError::Closed { address: self.shared.address.clone() };
        self.shared.end(closed);
        self.handler.ended(&self.shared.why());
    }
}

/// The frame with which we leave.
fn farewell() -> Vec<u8> {
    request(Key::Close, 0, |body| {
        body.put_u16(Code::OK.0);
        body.put_string("done");
    })
}
