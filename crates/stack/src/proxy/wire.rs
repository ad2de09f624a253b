//! Which request an answer belongs to, found in passing by as little of the protocol as it takes.
//!
//! Nothing here changes what is passed on. Bytes that do not speak the protocol are read as if they did, within bounds.

mod frames;
mod values;

use std::collections::BTreeSet;

use self::frames::{Frames, Layout};
pub(crate) use self::values::Values;
use super::cuts::Cuts;

/// As much of a request is looked at.
const KEPT: usize = 64 * 1024;

/// What is spoken over a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// Anything. An answer is what comes after a request.
    #[default]
    Any,
    /// HTTP/2, and gRPC over it: an answer begins with its stream's headers.
    Http2,
    /// Kafka's: an answer has its request's correlation id.
    Kafka,
    /// Valkey's and Redis': answers come in the order of their requests, of which many may be under way.
    Valkey,
}

/// Kafka's requests of this kind: 0 is Produce, 3 Metadata.
pub fn kafka_request(api_key: i16) -> impl Fn(&[u8]) -> bool + Send + Sync + 'static {
    move |request| request.get(4..6) == Some(&api_key.to_be_bytes())
}

/// Requests that have these bytes somewhere.
pub fn request_with(bytes: impl Into<Vec<u8>>) -> impl Fn(&[u8]) -> bool + Send + Sync + 'static {
    let bytes = bytes.into();
    move |request| bytes.is_empty() || request.windows(bytes.len()).any(|window| window == bytes)
}

/// One connection's requests and answers.
pub(super) struct Exchange {
    requests: Stream,
    answers: Stream,
    /// Requests whose answer is to be cut.
    awaited: BTreeSet<u32>,
}

enum Stream {
    /// What was sent since the last answer.
    Any(Vec<u8>),
    Frames(Frames),
    Values(Values),
}

impl Exchange {
    pub(super) fn new(wire: Wire) -> Self {
        let [requests, answers] = match wire {
            Wire::Any => [Stream::Any(Vec::new()), Stream::Any(Vec::new())],
            Wire::Http2 => [Layout::Http2Requests, Layout::Http2Answers].map(Stream::framed),
            Wire::Kafka => [Layout::KafkaRequests, Layout::KafkaAnswers].map(Stream::framed),
            Wire::Valkey => [Stream::Values(Values::default()), Stream::Values(Values::default())],
        };
        Self { requests, answers, awaited: BTreeSet::new() }
    }

    /// Looks at what is sent to the target.
    pub(super) fn request(&mut self, bytes: &[u8], cuts: &Cuts) {
        let awaited = &mut self.awaited;
        let mut ask = |id, request: &[u8]| {
            if !awaited.contains(&id) && cuts.take(request) {
                awaited.insert(id);
            }
        };
        match &mut self.requests {
            Stream::Any(kept) => {
                keep(kept, bytes);
                ask(0, kept);
            }
            Stream::Frames(frames) => frames.feed(bytes, |_, _| {}, ask),
            Stream::Values(values) => values.feed(bytes, |_, _| {}, ask),
        }
    }

    /// Looks at what comes back: where the first byte of an answer is that is to be cut.
    pub(super) fn answer(&mut self, bytes: &[u8], cuts: &Cuts) -> Option<usize> {
        let awaited = &self.awaited;
        let mut cut = None;
        let begins = |at, id| cut = cut.or_else(|| awaited.contains(&id).then_some(at));
        match &mut self.answers {
            Stream::Any(_) => {
                cut = awaited.first().map(|_| 0);
                self.requests.forget();
            }
            Stream::Frames(frames) => frames.feed(bytes, begins, |_, _| {}),
            Stream::Values(values) => values.feed(bytes, begins, |_, _| {}),
        }
        if cut.is_some() {
            cuts.note();
        }
        cut
    }
}

impl Stream {
    fn framed(layout: Layout) -> Self {
        Self::Frames(Frames::new(layout))
    }

    fn forget(&mut self) {
        if let Self::Any(kept) = self {
            kept.clear();
        }
    }
}

/// Up to its bound.
fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend(&bytes[..bytes.len().min(KEPT.saturating_sub(kept.len()))]);
}
