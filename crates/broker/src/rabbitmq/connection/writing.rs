//! The writing task: what is asked and told, what is published, and a heartbeat when there was nothing of that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::handshake::HEARTBEAT;
use super::{Shared, Source, farewell};
use crate::rabbitmq::codes::Key;
use crate::rabbitmq::error::LinkError;
use crate::rabbitmq::frames::frame;

/// For what is left to be said when we leave: a server that is blocked does not read it.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);
/// What a buffer may keep allocated.
const KEPT: usize = 1 << 20;

/// What is to be sent besides records.
#[derive(Default)]
pub(super) struct Outbox {
    frames: Mutex<Vec<u8>>,
    wake: Notify,
    closed: AtomicBool,
}

impl Outbox {
    pub(super) fn put(&self, frame: &[u8]) {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(frame);
        self.wake();
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    fn take(&self, into: &mut Vec<u8>) {
        into.append(&mut self.frames.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

pub(super) struct Writer<W> {
    pub(super) stream: W,
    pub(super) shared: Arc<Shared>,
    pub(super) source: Option<Arc<dyn Source>>,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Writes until the connection ends, or is closed and everything is written.
    pub(super) async fn run(mut self) {
        let mut ended = self.shared.ended.subscribe();
        let why = tokio::select! {
            biased;
            _ = ended.wait_for(Option::is_some) => None,
            written = self.write() => Some(written.map_or_else(
                |error| LinkError::ended(&self.shared.address, &error),
                |()| LinkError::Closed { address: self.shared.address.clone() },
            )),
        };
        if let Some(why) = why {
            self.shared.end(why);
        }
        // The other side learns it also if something of the connection lives on somewhere.
        timeout(FAREWELL_LIMIT, self.stream.shutdown()).await.ok();
    }

    async fn write(&mut self) -> std::io::Result<()> {
        let (mut buffer, mut due) = (Vec::new(), Instant::now() + HEARTBEAT / 2);
        loop {
            let is_silent = tokio::select! {
                biased;
                () = self.shared.outbox.wake.notified() => false,
                () = tokio::time::sleep_until(due) => true,
            };
            if is_silent {
                self.shared.outbox.put(&frame(Key::Heartbeat as u16, |_| {}));
            }
            let closed = self.shared.outbox.closed.load(Ordering::Acquire);
            if closed {
                return timeout(FAREWELL_LIMIT, self.leave(&mut buffer)).await.unwrap_or(Ok(()));
            }
            self.write_waiting(&mut buffer).await?;
            due = Instant::now() + HEARTBEAT / 2;
        }
    }

    async fn leave(&mut self, buffer: &mut Vec<u8>) -> std::io::Result<()> {
        self.write_waiting(buffer).await?;
        self.stream.write_all(&farewell()).await?;
        self.stream.flush().await
    }

    async fn write_waiting(&mut self, buffer: &mut Vec<u8>) -> std::io::Result<()> {
        loop {
            buffer.clear();
            self.shared.outbox.take(buffer);
            if let Some(source) = &self.source {
                source.fill(buffer);
            }
            if buffer.is_empty() {
                return self.stream.flush().await;
            }
            self.stream.write_all(buffer).await?;
            buffer.shrink_to(KEPT);
        }
    }
}
