//! Frames off the wire, whole and within their limits. Memory grows with the bytes that came, never with what a length says.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::rabbitmq::codes::Key;
use crate::rabbitmq::error::{FrameError, LinkError};
use crate::rabbitmq::frames::HEADER_BYTES;

/// A chunk is as large as the server made it: the agreed frame size does not hold for it (`rabbit_stream_reader.erl`).
const DELIVER_MAX: u32 = 256 << 20;
/// Other frames may be a little larger than was agreed: the server counts confirmations, and not their bytes.
const OTHER_MIN: u32 = 4 << 20;
/// Room for what comes next.
const STEP: usize = 64 << 10;
/// And of a frame that is larger.
const LARGE_STEP: usize = 1 << 20;

/// Reads frames.
pub(super) struct Frames<R> {
    stream: R,
    address: String,
    buffer: BytesMut,
    most: u32,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(stream: R, address: &str) -> Self {
        Self { stream, address: address.to_owned(), buffer: BytesMut::new(), most: OTHER_MIN }
    }

    /// The size of frames that was agreed on.
    pub(super) fn agree(&mut self, frame_max: u32) {
        self.most = frame_max.max(OTHER_MIN);
    }

    /// The next frame, without its length. Cancelled, it loses nothing.
    ///
    /// # Errors
    /// The connection ended, or the frame is larger than may be.
    pub(super) async fn next(&mut self) -> Result<Bytes, LinkError> {
        loop {
            let missing = match self.length()? {
                Some(length) if self.buffer.len() >= 4 + length => {
                    self.buffer.advance(4);
                    return Ok(self.buffer.split_to(length).freeze());
                }
                Some(length) => 4 + length - self.buffer.len(),
                None => STEP,
            };
            self.buffer.reserve(missing.clamp(STEP, LARGE_STEP));
            let read = self.stream.read_buf(&mut self.buffer).await;
            let read = read.map_err(|error| LinkError::ended(&self.address, &error))?;
            if read == 0 {
                let reason = "it closed the connection".to_owned();
                return Err(LinkError::Ended { address: self.address.clone(), reason });
            }
        }
    }

    /// The length of the frame that begins the buffer, once that is there together with its key.
    fn length(&self) -> Result<Option<usize>, LinkError> {
        let failed = |source| Err(LinkError::Frame { address: self.address.clone(), source });
        let Some(head) = self.buffer.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let [a, b, c, d, key @ ..] = *head;
        let (bytes, key) = (u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([key[0], key[1]]));
        let most = if key == Key::Deliver as u16 { DELIVER_MAX } else { self.most };
        if bytes > most {
            return failed(FrameError::TooLarge { bytes, most });
        }
        if (bytes as usize) < HEADER_BYTES - 4 {
            return failed(FrameError::Truncated);
        }
        Ok(Some(bytes as usize))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::rabbitmq::frames::frame;

    async fn read(bytes: &[u8], pieces: usize) -> Vec<Result<Bytes, LinkError>> {
        let (mut server, client) = tokio::io::duplex(64);
        let bytes = bytes.to_vec();
        tokio::spawn(async move {
            for piece in bytes.chunks(pieces) {
                server.write_all(piece).await.ok();
            }
        });
        let (mut frames, mut found) = (Frames::new(client, "here"), Vec::new());
        loop {
            found.push(frames.next().await);
            if found.last().is_some_and(Result::is_err) {
                return found;
            }
        }
    }

    #[tokio::test]
    async fn frames_are_whole_however_their_bytes_come() {
        let one = frame(Key::Heartbeat as u16, |_| {});
        let other = frame(Key::Deliver as u16, |body| body.extend_from_slice(&[7; 5_000]));
        for pieces in [1, 3, 10_000] {
            let found = read(&[&one[..], &other, &one].concat(), pieces).await;
            let lengths: Vec<_> = found.iter().flatten().map(Bytes::len).collect();
            assert_eq!(lengths, [4, 5_004, 4], "in pieces of {pieces}");
            assert!(matches!(found.last(), Some(Err(LinkError::Ended { .. }))), "{found:?}");
        }
    }

    #[tokio::test]
    async fn a_length_that_may_not_be_ends_it_at_once() {
        let lies = |length: u32, key: Key| {
            [&length.to_be_bytes()[..], &(key as u16).to_be_bytes(), &[0, 1]].concat()
        };
        for (bytes, told) in [
            (lies(u32::MAX, Key::Heartbeat), FrameError::TooLarge { bytes: u32::MAX, most: OTHER_MIN }),
            (lies(u32::MAX, Key::Deliver), FrameError::TooLarge { bytes: u32::MAX, most: DELIVER_MAX }),
            (lies(3, Key::Heartbeat), FrameError::Truncated),
        ] {
            let found = read(&bytes, 1_000).await;
            let source = match &found[..] {
                [Err(LinkError::Frame { source, .. })] => *source,
                other => panic!("{other:?}"),
            };
            assert_eq!(source, told);
        }
        // HTTP, for instance: a length of more than a gigabyte.
        let found = read(b"HTTP/1.1 400 Bad Request\r\n\r\n", 1_000).await;
        assert!(
            matches!(found[..], [Err(LinkError::Frame { source: FrameError::TooLarge { .. }, .. })]),
            "{found:?}"
        );
    }
}
