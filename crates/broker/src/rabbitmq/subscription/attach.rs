//! From a partition to a subscription that delivers it.

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use super::ANSWER_LIMIT;
use crate::partition::TopicPartition;
use crate::rabbitmq::codes::Code;
use crate::rabbitmq::error::LinkError;
use crate::rabbitmq::readers::{Begin, Readers, Seat};
use crate::rabbitmq::streams;
use crate::rabbitmq::topology::{Locator, Place};
use crate::rabbitmq::watermarks::low;

/// Which try of which partition something belongs to. Later tries void it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) partition: TopicPartition,
    pub(super) number: u64,
}

/// What comes from the servers.
pub(super) enum Input {
    Chunk { attempt: Attempt, chunk: Bytes },
    Attached { attempt: Attempt, seat: Result<Seat, LinkError> },
    Low { attempt: Attempt, low: Result<Option<i64>, LinkError> },
}

/// Subscribes, and tells of it after the chunks that were there already.
pub(super) async fn attach(
    locator: &Locator,
    readers: &Readers,
    attempt: Attempt,
    offset: i64,
    inputs: UnboundedSender<Input>,
) {
    let stream = streams::of(&attempt.partition);
    let (chunks, of) = (inputs.clone(), attempt.clone());
    // The receiver is gone with the reader.
    let sink = Box::new(move |chunk: Bytes| drop(chunks.send(Input::Chunk { attempt: of.clone(), chunk })));
    let seat = async {
        let leader = leader(locator, &stream).await?;
        readers.subscribe(&leader, &stream, Begin::Offset(offset), ANSWER_LIMIT, sink).await
    };
    let seat: Result<Seat, LinkError> = seat.await;
    drop(inputs.send(Input::Attached { attempt, seat }));
}

/// Looks where the log begins now.
pub(super) async fn look(
    locator: &Locator,
    readers: &Readers,
    attempt: Attempt,
    inputs: UnboundedSender<Input>,
) {
    let stream = streams::of(&attempt.partition);
    let found = async {
        let leader = leader(locator, &stream).await?;
        low(readers, &leader, &stream, ANSWER_LIMIT).await
    };
    let low: Result<Option<i64>, LinkError> = found.await;
    drop(inputs.send(Input::Low { attempt, low }));
}

/// The server that leads a stream: the others may lag behind it.
async fn leader(locator: &Locator, stream: &str) -> Result<String, LinkError> {
    let what = || format!("reading {stream}");
    match locator.place(stream, ANSWER_LIMIT).await? {
        Place::Led(leader) => Ok(leader),
        Place::Leaderless(code) => Err(LinkError::Refused { what: what(), code }),
        Place::Missing => Err(LinkError::Refused { what: what(), code: Code::NO_STREAM }),
    }
}
