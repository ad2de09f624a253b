//! The way into a server: who we are, which limits hold, which virtual host.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::reading::Frames;
use crate::rabbitmq::codes::{Code, Key};
use crate::rabbitmq::dial::Dial;
use crate::rabbitmq::error::{FrameError, LinkError};
use crate::rabbitmq::frames::{Incoming, frame, request};
use crate::rabbitmq::wire::{Put, Reader};

/// Between two signs of life. A server that is silent for twice as long is given up.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);
/// What a server that sets no limit gets, at the most: a frame of more delays what is behind it.
const FRAME_MAX: u32 = 1 << 20;
/// A frame smaller than that holds no record of ours.
const FRAME_MIN: u32 = 4 << 10;

/// What the server told of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rabbitmq) struct Peer {
    /// Largest frame that it takes, in bytes.
    pub(in crate::rabbitmq) frame_max: u32,
    /// Its version; (0, 0) if it does not say.
    pub(in crate::rabbitmq) version: (u32, u32),
}

/// Logs in.
///
/// # Errors
/// The server refuses us, ends the connection, or speaks another protocol.
pub(super) async fn shake_hands<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    dial: &Dial,
    address: &str,
    frames: &mut Frames<R>,
    stream: &mut W,
) -> Result<Peer, LinkError> {
    let mut hands = Hands { address, frames, stream };
    let ours = [("product", "blackfriday"), ("connection_name", "blackfriday"), ("platform", "Rust")];
    let properties = hands.ask(Key::PeerProperties, |body| body.put_map(&ours)).await?;
    let version = version(&properties).map_err(|_| hands.malformed(FrameError::Truncated))?;
    hands.ask(Key::SaslHandshake, |_| {}).await?;
    let plain = dial.plain();
    let login = |body: &mut Vec<u8>| {
        body.put_string("PLAIN");
        body.put_u32(u32::try_from(plain.len()).unwrap_or(u32::MAX));
        body.extend_from_slice(plain.as_bytes());
    };
    let login = hands.ask(Key::SaslAuthenticate, login).await?;
    hands.let_in(dial, &login)?;
    let frame_max = hands.tune().await?;
    let open = hands.ask(Key::Open, |body| body.put_string(&dial.vhost)).await?;
    hands.let_in(dial, &open)?;
    Ok(Peer { frame_max, version })
}

struct Hands<'a, R, W> {
    address: &'a str,
    frames: &'a mut Frames<R>,
    stream: &'a mut W,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Hands<'_, R, W> {
    /// Asks, and returns the answer from its code on.
    async fn ask(&mut self, key: Key, body: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>, LinkError> {
        self.send(&request(key, 0, body)).await?;
        match self.next().await? {
            Incoming::Answer { key: answered, body, .. } if answered == key => Ok(body.to_vec()),
            Incoming::Close { code, reason, .. } => Err(self.handshake(format!("{code}: {reason}"))),
            other => Err(self.handshake(format!("{other:?} instead of an answer to {key:?}"))),
        }
    }

    /// The server's suggestion is taken, and the heartbeat is ours.
    async fn tune(&mut self) -> Result<u32, LinkError> {
        let suggested = match self.next().await? {
            Incoming::Tune { frame_max, .. } => frame_max,
            other => return Err(self.handshake(format!("{other:?} instead of its limits"))),
        };
        let frame_max = if suggested == 0 { FRAME_MAX } else { suggested };
        if frame_max < FRAME_MIN {
            return Err(self.handshake(format!("frames of {frame_max} bytes are too small for records")));
        }
        self.frames.agree(frame_max);
        let answer = frame(Key::Tune as u16, |body| {
            body.put_u32(frame_max);
            body.put_u32(u32::try_from(HEARTBEAT.as_secs()).expect("seconds"));
        });
        self.send(&answer).await?;
        Ok(frame_max)
    }

    fn let_in(&self, dial: &Dial, answer: &[u8]) -> Result<(), LinkError> {
        match Reader::new(answer).u16().map(Code) {
            Ok(Code::OK) => Ok(()),
            Ok(code) => {
                let (address, user) = (self.address.to_owned(), dial.username.clone());
                Err(LinkError::Login { address, user, code })
            }
            Err(_) => Err(self.malformed(FrameError::Truncated)),
        }
    }

    async fn next(&mut self) -> Result<Incoming, LinkError> {
        let frame = self.frames.next().await.map_err(|error| match error {
            LinkError::Frame { source, .. } => self.malformed(source),
            other => other,
        })?;
        Incoming::parse(&frame).map_err(|error| self.malformed(error))
    }

    async fn send(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        let ended = |error| LinkError::ended(self.address, &error);
        self.stream.write_all(frame).await.map_err(ended)?;
        self.stream.flush().await.map_err(ended)
    }

    fn malformed(&self, error: FrameError) -> LinkError {
        self.handshake(error.to_string())
    }

    fn handshake(&self, reason: String) -> LinkError {
        LinkError::Handshake { address: self.address.to_owned(), reason }
    }
}

/// The version among the properties of an answer.
fn version(answer: &[u8]) -> Result<(u32, u32), crate::rabbitmq::wire::Truncated> {
    let mut reader = Reader::new(answer);
    reader.u16()?;
    let pairs = reader.items(|reader| Ok((reader.string()?.into_owned(), reader.string()?.into_owned())))?;
    let version = pairs.into_iter().find_map(|(name, value)| (name == "version").then_some(value));
    let version = version.unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or_default());
    Ok((parts.next().unwrap_or_default(), parts.next().unwrap_or_default()))
}
