//! Frames that begin with their length.

use super::keep;

/// What a client of HTTP/2 begins with.
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// What is to be found in a frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `length:4 key:2 version:2 correlation:4`
    KafkaRequests,
    /// `length:4 correlation:4`
    KafkaAnswers,
    /// `length:3 type:1 flags:1 stream:4`, where the length is that of what follows. After a preface.
    Http2Requests,
    /// The same without a preface.
    Http2Answers,
}

/// A direction of a connection, cut into frames.
pub(super) struct Frames {
    layout: Layout,
    /// Of the preface or the frame, in bytes.
    left: usize,
    /// The frame, from its first byte on, up to the bound.
    kept: Vec<u8>,
    /// If the head was read and somebody is to know of the frame.
    id: Option<u32>,
}

impl Frames {
    pub(super) fn new(layout: Layout) -> Self {
        let left = if layout == Layout::Http2Requests { PREFACE } else { 0 };
        Self { layout, left, kept: Vec::new(), id: None }
    }

    /// Tells where frames begin, by their place in `bytes`, and what those had that are whole now.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        mut begins: impl FnMut(usize, u32),
        mut ends: impl FnMut(u32, &[u8]),
    ) {
        let all = bytes.len();
        let mut begun = 0;
        while !bytes.is_empty() {
            if self.left > 0 {
                let (body, rest) = bytes.split_at(self.left.min(bytes.len()));
                keep(&mut self.kept, body);
                self.left -= body.len();
                bytes = rest;
            } else {
                if self.kept.is_empty() {
                    begun = all - bytes.len();
                }
                let missing = self.layout.head() - self.kept.len();
                let (head, rest) = bytes.split_at(missing.min(bytes.len()));
                self.kept.extend(head);
                bytes = rest;
                if self.kept.len() < self.layout.head() {
                    return;
                }
                self.left = self.layout.body(&self.kept);
                self.id = self.layout.id(&self.kept);
                self.id.into_iter().for_each(|id| begins(begun, id));
            }
            if self.left == 0 {
                self.id.take().into_iter().for_each(|id| ends(id, &self.kept));
                self.kept.clear();
            }
        }
    }
}

impl Layout {
    fn head(self) -> usize {
        match self {
            Self::KafkaRequests => 12,
            Self::KafkaAnswers => 8,
            Self::Http2Requests | Self::Http2Answers => 9,
        }
    }

    /// Bytes that follow the head.
    fn body(self, head: &[u8]) -> usize {
        match self {
            Self::KafkaRequests | Self::KafkaAnswers => (4 + number(&head[..4])).saturating_sub(self.head()),
            Self::Http2Requests | Self::Http2Answers => number(&head[..3]),
        }
    }

    fn id(self, head: &[u8]) -> Option<u32> {
        let id = |bytes: &[u8]| u32::try_from(number(bytes)).ok();
        match self {
            Self::KafkaRequests => id(&head[8..12]),
            Self::KafkaAnswers => id(&head[4..8]),
            Self::Http2Requests => id(&head[5..9]).filter(|_| matches!(head[3], DATA | HEADERS)),
            Self::Http2Answers => id(&head[5..9]).filter(|_| head[3] == HEADERS),
        }
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Begun = Vec<(usize, u32)>;
    type Ended = Vec<(u32, Vec<u8>)>;

    fn short(length: usize) -> u8 {
        u8::try_from(length).expect("a short one")
    }

    /// Where frames begin, and what they have, of a stream that comes in pieces of this size.
    fn fed(layout: Layout, bytes: &[u8], piece: usize) -> (Begun, Ended) {
        let (mut frames, mut begun, mut ended) = (Frames::new(layout), Vec::new(), Vec::new());
        for (number, bytes) in bytes.chunks(piece).enumerate() {
            let begins = |at, id| begun.push((number * piece + at, id));
            frames.feed(bytes, begins, |id, frame| ended.push((id, frame.to_owned())));
        }
        (begun, ended)
    }

    fn kafka(key: u8, id: u8, body: &[u8]) -> Vec<u8> {
        [&[0, 0, 0, short(8 + body.len()), 0, key, 0, 4, 0, 0, 0, id], body].concat()
    }

    #[test]
    fn kafkas_requests_are_found_however_they_are_cut() {
        let requests = [kafka(0, 7, b"records"), kafka(3, 8, b""), kafka(0, 9, b"more")];
        let stream = requests.concat();
        for piece in 1..=stream.len() {
            let (_, ended) = fed(Layout::KafkaRequests, &stream, piece);
            let expected = [7, 8, 9].into_iter().zip(requests.clone()).collect::<Vec<_>>();
            assert_eq!(ended, expected, "pieces of {piece}");
        }
    }

    #[test]
    fn kafkas_answers_begin_at_their_first_byte() {
        let answer = |id, body: &[u8]| [&[0, 0, 0, short(4 + body.len()), 0, 0, 0, id], body].concat();
        let stream = [answer(7, b"abc"), answer(8, b""), answer(9, b"d")].concat();
        assert_eq!(fed(Layout::KafkaAnswers, &stream, stream.len()).0, [(0, 7), (11, 8), (19, 9)]);
        // A part of the head has passed already: the next byte is the first that can be kept back.
        assert_eq!(fed(Layout::KafkaAnswers, &stream, 5).0[0], (5, 7));
    }

    #[test]
    fn of_http2_only_what_belongs_to_a_request_is_told() {
        let frame =
            |kind, stream, body: &[u8]| [&[0, 0, short(body.len()), kind, 0, 0, 0, 0, stream], body].concat();
        let settings = frame(4, 0, b"");
        let stream = [settings.clone(), frame(HEADERS, 1, b"path"), frame(DATA, 1, b"sale")].concat();
        let requests = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &stream[..]].concat();
        for piece in [1, 10, requests.len()] {
            let ended = fed(Layout::Http2Requests, &requests, piece).1;
            assert_eq!(ended, [(1, frame(HEADERS, 1, b"path")), (1, frame(DATA, 1, b"sale"))]);
        }
        let window = frame(8, 1, b"more");
        let answers = [settings, window, frame(HEADERS, 1, b"200"), frame(DATA, 1, b"ok")].concat();
        assert_eq!(fed(Layout::Http2Answers, &answers, answers.len()).0, [(22, 1)]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut frames = Frames::new(Layout::KafkaRequests);
        frames.feed(&[0xff; 12], |_, _| {}, |_, _| {});
        for _ in 0..100 {
            frames.feed(&[0xff; 4096], |_, _| {}, |_, _| {});
        }
        assert_eq!(frames.kept.len(), super::super::KEPT);
    }
}
