use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Activity;

/// Bytes of its answer that a client takes within the write time-out at the least, if there are so many.
const LEAST_TAKEN_BYTES: usize = 16 << 10;
/// Bytes of an answer that is put together before it is written: send(2) costs the kernel less than writev(2) does.
const SMALL_BYTES: usize = 512;
/// Bytes that are thrown away after a refusal, so that the client sees its answer instead of a reset.
const MAX_DISCARDED_BYTES: usize = 32 << 20;

/// A connection's bytes.
#[derive(Debug)]
pub(in crate::http) struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
    taken_bytes: usize,
    discarded_bytes: usize,
}

impl Watched {
    pub(in crate::http) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream, activity, taken_bytes: 0, discarded_bytes: 0 }
    }

    /// Notes whether the client takes what it is sent: all of `wanted`, some of it, or nothing now.
    fn note_write(&mut self, wanted: usize, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => {
                let mark = self.activity.now_ms() + 1;
                // Only this task writes; another may look.
                let unset = self.activity.blocked_ms.load(Ordering::Relaxed) == 0;
                if unset {
                    self.activity.blocked_ms.store(mark, Ordering::Relaxed);
                }
            }
            Poll::Ready(Ok(taken)) => {
                self.taken_bytes += taken;
                if *taken >= wanted || self.taken_bytes >= LEAST_TAKEN_BYTES {
                    self.taken_bytes = 0;
                    self.activity.blocked_ms.store(0, Ordering::Relaxed);
                }
            }
            Poll::Ready(Err(_)) => {}
        }
    }

    /// Reads and throws away what the client still sends, until it has seen our end and ends, too (RFC 9112, 9.6).
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut buffer = [0; 8192];
        while self.discarded_bytes < MAX_DISCARDED_BYTES {
            let mut read = ReadBuf::new(&mut buffer);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read)) {
                Ok(()) if !read.filled().is_empty() => self.discarded_bytes += read.filled().len(),
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.received();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note_write(buf.len(), &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wanted = bufs.iter().map(|buf| buf.len()).sum();
        let written = if wanted <= SMALL_BYTES {
            let mut whole = [0; SMALL_BYTES];
            let mut end = 0;
            for buf in bufs {
                whole[end..end + buf.len()].copy_from_slice(buf);
                end += buf.len();
            }
            Pin::new(&mut self.stream).poll_write(cx, &whole[..end])
        } else {
            Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
        };
        self.note_write(wanted, &written);
        written
    }

    /// hyper then keeps an answer's bytes as they are, instead of copying them.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.farewell_ms.load(Ordering::Relaxed) == 0 {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            if !self.activity.unread.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
            self.activity.farewell_ms.store(self.activity.now_ms() + 1, Ordering::Relaxed);
        }
        self.poll_discard(cx).map(Ok)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.activity.given_up.load(Ordering::Relaxed) {
            // The connection may already be gone.
            SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).ok();
        }
    }
}
