//! Which offsets a stream holds.
//!
//! Servers before 3.11 do not say, so its first and its last chunk are asked for. A server that delivers neither of them before
//! it answers the question that follows has none.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::chunk::Chunk;
use super::error::LinkError;
use super::readers::{Begin, Readers};
use crate::record::Watermarks;

/// The offsets that a stream holds.
///
/// # Errors
/// The server is away, or refuses.
pub(super) async fn watermarks(
    readers: &Readers,
    address: &str,
    stream: &str,
    limit: Duration,
) -> Result<Watermarks, LinkError> {
    let (first, last) = tokio::try_join!(
        ask(readers, address, stream, Begin::First, limit),
        ask(readers, address, stream, Begin::Last, limit)
    )?;
    let (first, mut last) = match (first, last) {
        (Asked { chunk: None, .. }, Asked { chunk: None, .. }) => return Ok(Watermarks { low: 0, high: 0 }),
        (first, last) => (first, last),
    };
    // It may have been written between the two, or not yet be on as many servers as it must be.
    let first = match first.chunk {
        Some(first) => first,
        None => ask(readers, address, stream, Begin::First, limit).await?.chunk.unwrap_or_else(Bytes::new),
    };
    let last = match last.chunk.take() {
        Some(last) => last,
        None => {
            let late = timeout(limit, last.chunks.recv()).await.ok().flatten();
            late.ok_or(LinkError::NoAnswer { address: address.to_owned(), after: limit })?
        }
    };
    let read = |bytes: &Bytes| {
        let refused = |reason: String| LinkError::Ended { address: address.to_owned(), reason };
        Chunk::read(bytes).map_err(|error| refused(error.to_string()))
    };
    Ok(Watermarks { low: read(&first)?.first, high: read(&last)?.end })
}

/// The first offset that a stream holds; `None` if it is empty.
///
/// # Errors
/// As above.
pub(super) async fn low(
    readers: &Readers,
    address: &str,
    stream: &str,
    limit: Duration,
) -> Result<Option<i64>, LinkError> {
    let asked = ask(readers, address, stream, Begin::First, limit).await?;
    Ok(asked.chunk.and_then(|chunk| Chunk::read(&chunk).ok()).map(|chunk| chunk.first))
}

struct Asked {
    /// The chunk, if it was there at once.
    chunk: Option<Bytes>,
    chunks: UnboundedReceiver<Bytes>,
    /// For as long as it may still come.
    _seat: super::readers::Seat,
}

async fn ask(
    readers: &Readers,
    address: &str,
    stream: &str,
    begin: Begin,
    limit: Duration,
) -> Result<Asked, LinkError> {
    let (sender, mut chunks) = unbounded_channel();
    let sink = Box::new(move |chunk| drop(sender.send(chunk)));
    let seat = readers.subscribe(address, stream, begin, limit, sink).await?;
    Ok(Asked { chunk: chunks.try_recv().ok(), chunks, _seat: seat })
}
