//! A TCP proxy between any two parts of a system: the network between them, with everything that can happen to it.
//!
//! What it does holds for the connections that there are and for those to come, until [`Proxy::heal`]; only a cut is over at
//! once. Nothing is lost or changed on the way: whatever was passed on was passed on in order, up to some byte. A connection
//! that the proxy or one of its sides breaks is broken on the other side with RST, one that ends in order ends in order.
//!
//! Memory is bounded: a connection holds up to 1 MiB in each direction; who sends more waits.

mod connection;
mod cuts;
mod wire;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use self::cuts::Cuts;
pub(crate) use self::wire::Values;
pub use self::wire::{Wire, kafka_request, request_with};
use crate::error::StackError;
use crate::port::free_port;

const PORT_TRIES: usize = 5;
/// After an error of accept(2), which says that this process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A port of loopback whose connections are passed on to another address. Dropping it breaks them all.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

/// What all connections look at.
struct Shared {
    target: String,
    wire: Wire,
    line: watch::Sender<Line>,
    cuts: Cuts,
}

/// The state of the network.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    stalled: bool,
    to_target: Duration,
    from_target: Duration,
    bytes_per_second: Option<NonZeroU32>,
    /// Times that all connections were cut.
    cuts: u64,
}

impl Proxy {
    /// Passes connections on to `target`, an address and a port.
    ///
    /// # Errors
    /// No port is free.
    pub async fn to(target: impl fmt::Display) -> Result<Self, StackError> {
        Self::speaking(Wire::Any, target).await
    }

    /// As [`Proxy::to`], where it is known what is spoken: answers can be told from each other then, see
    /// [`Proxy::cut_answers`]. What does not speak so is passed on like anything else.
    ///
    /// # Errors
    /// No port is free.
    pub async fn speaking(wire: Wire, target: impl fmt::Display) -> Result<Self, StackError> {
        let listener = listen_anywhere().await?;
        let address = listener.local_addr().map_err(failed("look at"))?;
        let (target, line) = (target.to_string(), watch::Sender::new(Line::default()));
        let shared = Arc::new(Shared { target, wire, line, cuts: Cuts::default() });
        let listening = Mutex::new(Some(tokio::spawn(accept(listener, Arc::clone(&shared)))));
        Ok(Self { address, shared, listening })
    }

    /// Where it listens, on loopback; the same for as long as it lives.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections that there are, in the middle of whatever they carry. New ones go through.
    pub fn cut(&self) {
        self.shared.line.send_modify(|line| line.cuts += 1);
    }

    /// Refuses new connections, like a port where nobody listens. Those that there are go on.
    pub async fn refuse(&self) {
        if let Some(listening) = self.listening.lock().await.take() {
            listening.abort();
            // Its error is that it was aborted, after which the port is closed.
            listening.await.ok();
        }
    }

    /// Accepts connections again after [`Proxy::refuse`].
    ///
    /// # Errors
    /// Somebody took the port meanwhile.
    pub async fn accept(&self) -> Result<(), StackError> {
        let mut listening = self.listening.lock().await;
        if listening.is_none() {
            let listener = TcpListener::bind(self.address).await.map_err(failed("listen at"))?;
            *listening = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        }
        Ok(())
    }

    /// Lets nothing pass, in neither direction, and tells neither side: connections stay open, also those that their other
    /// side has left, and new ones are accepted and lead nowhere.
    pub fn stall(&self) {
        self.shared.line.send_modify(|line| line.stalled = true);
    }

    /// Lets everything pass again after [`Proxy::stall`], what was sent meanwhile too.
    pub fn flow(&self) {
        self.shared.line.send_modify(|line| line.stalled = false);
    }

    /// Everything arrives so much later, in each of the directions. At most 1 MiB is under way in each.
    pub fn delay(&self, to_target: Duration, from_target: Duration) {
        self.shared.line.send_modify(|line| {
            line.to_target = to_target;
            line.from_target = from_target;
        });
    }

    /// Each direction of each connection carries at most so much.
    pub fn throttle(&self, bytes_per_second: NonZeroU32) {
        self.shared.line.send_modify(|line| line.bytes_per_second = Some(bytes_per_second));
    }

    /// Cuts *between commit and answer*: passes the next `count` requests on, and breaks the connection of each when the first
    /// byte of its answer comes, without passing that on. Replaces what was armed before.
    ///
    /// With [`Wire::Any`] the answer is whatever comes next, which is right where a client waits for each answer before it
    /// asks again, as over HTTP/1; with the others it is the answer to this very request.
    pub fn cut_answers(&self, count: usize) {
        self.cut_answers_to(count, |_| true);
    }

    /// As [`Proxy::cut_answers`], of requests that look so; see [`kafka_request`] and [`request_with`]. What is looked at are
    /// the first 64 KiB of a request, and over HTTP/2 of each frame.
    pub fn cut_answers_to(&self, count: usize, is: impl Fn(&[u8]) -> bool + Send + Sync + 'static) {
        self.shared.cuts.arm(count, Box::new(is));
    }

    /// How many connections were cut at their answer so far.
    #[must_use]
    pub fn answers_cut(&self) -> u64 {
        self.shared.cuts.done()
    }

    /// Ends all of this: connections pass, at once and unthrottled, new ones are accepted, no cut is armed.
    ///
    /// # Errors
    /// Somebody took the port while it refused connections.
    pub async fn heal(&self) -> Result<(), StackError> {
        self.shared.cuts.disarm();
        self.shared.line.send_modify(|line| *line = Line { cuts: line.cuts, ..Line::default() });
        self.accept().await
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.get_mut() {
            listening.abort();
        }
        self.cut();
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (target, line) = (&self.shared.target, *self.shared.line.borrow());
        formatter
            .debug_struct("Proxy")
            .field("address", &self.address)
            .field("target", target)
            .field("line", &line)
            .finish_non_exhaustive()
    }
}

/// As the servers do, below the ports that clients connect from: while it refuses, nobody is to take its port.
async fn listen_anywhere() -> Result<TcpListener, StackError> {
    for _ in 1..PORT_TRIES {
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port()?)).await {
            return Ok(listener);
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, free_port()?)).await.map_err(failed("listen at"))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let cuts = shared.line.borrow().cuts;
                tokio::spawn(connection::carry(client, Arc::clone(&shared), cuts));
            }
            Err(error) => {
                tracing::warn!(%error, "the proxy cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn failed(action: &'static str) -> impl Fn(io::Error) -> StackError {
    move |source| StackError::Proxy { action, source }
}
