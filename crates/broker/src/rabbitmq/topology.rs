//! Where streams are: which exist, and which server leads each.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::Mutex;

use super::codes::{Code, Key};
use super::connection::{Connection, Handler};
use super::dial::Dial;
use super::error::{FrameError, LinkError};
use super::frames::Incoming;
use super::streams;
use super::wire::{Put, Reader, Truncated};

/// Names that are asked about at once.
const GROUP: i32 = 64;
/// No server, in the answer about a stream.
const NOBODY: u16 = u16::MAX;

/// What a server said of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// It is led by the server at this address.
    Led(String),
    /// It exists, and cannot be used now.
    Leaderless(Code),
    /// There is no such stream.
    Missing,
}

/// Asks whichever server answers. It is connected to when it is needed, and again when that broke.
pub(super) struct Locator {
    pub(super) dial: Dial,
    current: Mutex<Option<Connection>>,
}

/// Nothing comes by itself on a connection that only asks.
pub(super) struct Quiet;

impl Handler for Quiet {
    fn take(&mut self, _: Incoming) {}

    fn ended(&mut self, _: &LinkError) {}
}

impl Locator {
    pub(super) fn new(dial: Dial) -> Self {
        Self { dial, current: Mutex::default() }
    }

    /// A connection to ask over.
    ///
    /// # Errors
    /// No server takes the login.
    pub(super) async fn connection(&self) -> Result<Connection, LinkError> {
        let mut current = self.current.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| connection.ended().is_none()) {
            return Ok(connection.clone());
        }
        let connection = Connection::open_any(&self.dial, || Quiet).await?;
        *current = Some(connection.clone());
        Ok(connection)
    }

    /// The partitions of a topic that exist, and where they are.
    ///
    /// # Errors
    /// There is no answer in time.
    pub(super) async fn partitions(
        &self,
        topic: &str,
        limit: Duration,
    ) -> Result<BTreeMap<i32, Place>, LinkError> {
        let mut found = BTreeMap::new();
        for group in 0..streams::MOST / GROUP {
            let ids = group * GROUP..(group + 1) * GROUP;
            let names: Vec<_> = ids.clone().map(|id| streams::name_of(topic, id)).collect();
            let mut places = self.places(&names, limit).await?;
            let before = found.len();
            for (id, name) in ids.zip(&names) {
                if let Some(place) = places.remove(name).filter(|place| *place != Place::Missing) {
                    found.insert(id, place);
                }
            }
            if found.len() - before < names.len() {
                break;
            }
        }
        Ok(found)
    }

    /// Where a stream is.
    ///
    /// # Errors
    /// There is no answer in time.
    pub(super) async fn place(&self, stream: &str, limit: Duration) -> Result<Place, LinkError> {
        let mut places = self.places(&[stream.to_owned()], limit).await?;
        Ok(places.remove(stream).unwrap_or(Place::Missing))
    }

    async fn places(
        &self,
        streams: &[String],
        limit: Duration,
    ) -> Result<BTreeMap<String, Place>, LinkError> {
        let connection = self.connection().await?;
        let answer = metadata(&connection, streams, limit).await.inspect_err(|error| {
            // One that is silent may never answer again: the next question goes over another.
            if matches!(error, LinkError::NoAnswer { .. }) {
                connection.give_up(error.clone());
            }
        })?;
        places(&answer).map_err(|_| connection.malformed(FrameError::Truncated))
    }
}

/// Asks where streams are. The answer also shows that everything that was asked before it has been dealt with: a server takes
/// what comes over one connection in turn.
///
/// # Errors
/// There is no answer in time.
pub(super) async fn metadata(
    connection: &Connection,
    streams: &[String],
    limit: Duration,
) -> Result<bytes::Bytes, LinkError> {
    let body = |body: &mut Vec<u8>| {
        body.put_u32(u32::try_from(streams.len()).expect("a group of names"));
        streams.iter().for_each(|stream| body.put_string(stream));
    };
    connection.ask(Key::Metadata, body).answer(limit).await
}

fn places(answer: &[u8]) -> Result<BTreeMap<String, Place>, Truncated> {
    let mut reader = Reader::new(answer);
    let servers = reader.items(|reader| {
        let (reference, host, port) = (reader.u16()?, reader.string()?, reader.u32()?);
        let host = if host.contains(':') { format!("[{host}]") } else { host.into_owned() };
        Ok((reference, format!("{host}:{port}")))
    })?;
    let address = |wanted: u16| servers.iter().find(|(reference, _)| *reference == wanted);
    let streams = reader.items(|reader| {
        let (stream, code) = (reader.string()?.into_owned(), Code(reader.u16()?));
        let (leader, _replicas) = (reader.u16()?, reader.items(Reader::u16)?);
        let place = match (code, address(leader).filter(|_| leader != NOBODY)) {
            (Code::NO_STREAM, _) => Place::Missing,
            (Code::OK, Some((_, address))) => Place::Led(address.clone()),
            (Code::OK, None) => Place::Leaderless(Code::STREAM_NOT_AVAILABLE),
            (code, _) => Place::Leaderless(code),
        };
        Ok((stream, place))
    })?;
    Ok(streams.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_has_its_leader_or_the_reason_why_not() {
        let mut answer = Vec::new();
        answer.put_u32(2);
        for (reference, host) in [(0, "one"), (1, "fd00::1")] {
            answer.put_u16(reference);
            answer.put_string(host);
            answer.put_u32(5552);
        }
        answer.put_u32(4);
        for (stream, code, leader) in
            [("ventas-0", 1, 1), ("ventas-1", 1, NOBODY), ("ventas-2", 2, NOBODY), ("ventas-3", 6, NOBODY)]
        {
            answer.put_string(stream);
            answer.put_u16(code);
            answer.put_u16(leader);
            answer.put_u32(1);
            answer.put_u16(0);
        }
        let found: Vec<_> = places(&answer).expect("whole").into_values().collect();
        let leaderless = Place::Leaderless(Code::STREAM_NOT_AVAILABLE);
        let expected =
            [Place::Led("[fd00::1]:5552".to_owned()), leaderless.clone(), Place::Missing, leaderless];
        assert_eq!(found, expected);
        assert_eq!(places(&answer[..answer.len() - 1]), Err(Truncated));
    }
}
