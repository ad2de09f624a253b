//! One partition that is read: what must come first, what comes next, and what a chunk means for that.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::cut::Cut;
use crate::rabbitmq::chunk::{Chunk, ChunkError};
use crate::rabbitmq::message::{self, Wanted};
use crate::rabbitmq::readers::Seat;
use crate::record::{LastRead, Record};

/// Bytes of chunks that may be under way for a partition, give or take one chunk.
const UNDER_WAY_BYTES: usize = 1 << 20;
const UNDER_WAY_CHUNKS: usize = 16;

/// A partition that is read.
pub(super) struct Part {
    pub(super) cut: Cut,
    /// What shows that this is the log that was asked for.
    pub(super) expected: Expected,
    /// Whether that was the caller's to name, or is what we read last.
    pub(super) is_named: bool,
    /// The last record that was handed on or is about to be.
    pub(super) last: Option<LastRead>,
    /// The number of the try, and its subscription once there is one.
    pub(super) attempt: u64,
    pub(super) seat: Option<Seat>,
    /// When the next try begins, while there is none.
    pub(super) again: Option<Instant>,
    /// Chunks that wait until it is known where the log begins.
    pub(super) held: VecDeque<Chunk>,
    /// Whether something was delivered since the try began that is not before its beginning.
    pub(super) is_begun: bool,
    /// Whether it met an error since it could be read last, and whether that was told.
    pub(super) failed: Option<bool>,
    /// Chunks that the server may still send or that wait to be dealt with.
    credit: u16,
    chunk_bytes: usize,
}

/// What must come before anything is handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Nothing: the beginning of a log follows no record.
    Anything,
    /// A record at this offset, or one after it if the log begins there.
    Before(i64),
    /// This record.
    Record(LastRead),
}

/// What a chunk means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// These records come next.
    Records(Vec<Record>),
    /// It begins behind what is due: retention may have taken that, or it never held records.
    Hole,
    /// What must come first is another record.
    Another,
}

impl Part {
    pub(super) fn new(cut: Cut, after: Option<LastRead>) -> Self {
        let expected = match (after, cut.to()) {
            (Some(last), _) => Expected::Record(last),
            (None, ..=0) => Expected::Anything,
            (None, offset) => Expected::Before(offset - 1),
        };
        Self {
            cut,
            expected,
            is_named: true,
            last: after,
            attempt: 0,
            seat: None,
            again: None,
            held: VecDeque::new(),
            is_begun: false,
            failed: None,
            credit: 0,
            chunk_bytes: UNDER_WAY_BYTES,
        }
    }

    /// Where the subscription begins.
    pub(super) fn begin(&self) -> i64 {
        match self.expected {
            Expected::Anything => self.cut.to(),
            Expected::Before(offset) => offset,
            Expected::Record(last) => last.offset,
        }
    }

    /// Prepares another try. What was read last must be there again.
    pub(super) fn try_again(&mut self, attempt: u64) {
        if self.expected == Expected::Anything
            && let Some(last) = self.last
        {
            (self.expected, self.is_named) = (Expected::Record(last), false);
        } else if self.expected == Expected::Anything && self.cut.to() > 0 {
            self.expected = Expected::Before(self.cut.to() - 1);
        }
        (self.attempt, self.seat, self.again) = (attempt, None, None);
        self.held.clear();
        self.is_begun = false;
        // The first credit comes with the subscription.
        self.credit = 1;
    }

    /// What a chunk means, whose records below what is due are passed over. `is_whole`: the log was seen to begin at or before
    /// what is due, after the chunk had come.
    pub(super) fn meaning(
        &mut self,
        chunk: &Chunk,
        wanted: Wanted,
        is_whole: bool,
    ) -> Result<Meaning, ChunkError> {
        let (begin, next) = (self.begin(), self.cut.to());
        if chunk.end <= begin {
            return Ok(Meaning::Records(Vec::new()));
        }
        self.is_begun = true;
        let may_begin_at = if matches!(self.expected, Expected::Before(_)) { next } else { begin };
        if chunk.first > may_begin_at && !is_whole {
            return Ok(Meaning::Hole);
        }
        let mut is_another = matches!(self.expected, Expected::Record(_));
        let (expected, timestamp_ms) = (self.expected, chunk.timestamp_ms);
        let mut records = Vec::new();
        chunk.records(|offset, bytes| {
            let is_expected = matches!(expected, Expected::Record(last) if last.offset == offset);
            if offset < next && !is_expected {
                return;
            }
            let message = message::read(bytes, if is_expected { Wanted::Nothing } else { wanted });
            let record = Record {
                offset,
                timestamp_ms,
                appended: true,
                key: message.key,
                payload: message.payload,
                traceparent: message.traceparent,
                headers: message.headers,
            };
            if is_expected {
                is_another = expected != Expected::Record(identity(&record));
            } else {
                records.push(record);
            }
        })?;
        if is_another {
            return Ok(Meaning::Another);
        }
        self.expected = Expected::Anything;
        Ok(Meaning::Records(records))
    }

    /// The first offset that may not be missing.
    pub(super) fn due(&self) -> i64 {
        match self.expected {
            Expected::Record(last) => last.offset,
            _ => self.cut.to(),
        }
    }

    /// A chunk was dealt with: there is room for another.
    pub(super) fn refill(&mut self, chunk_bytes: usize) {
        self.credit = self.credit.saturating_sub(1);
        self.chunk_bytes = chunk_bytes;
        self.top_up();
    }

    /// Gives as much credit as there is room for, by the size of the last chunk.
    pub(super) fn top_up(&mut self) {
        let room = (UNDER_WAY_BYTES / self.chunk_bytes.max(1)).clamp(1, UNDER_WAY_CHUNKS);
        let room = u16::try_from(room).expect("clamped");
        if let (Some(seat), more @ 1..) = (&self.seat, room.saturating_sub(self.credit)) {
            seat.credit(more);
            self.credit += more;
        }
    }
}

/// By which a record is known again.
pub(super) fn identity(record: &Record) -> LastRead {
    LastRead { offset: record.offset, digest: record.digest() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::TopicPartition;
    use crate::rabbitmq::chunk::tests::{chunk, simple};

    fn part(offset: i64, after: Option<LastRead>) -> Part {
        let mut part = Part::new(Cut::new(TopicPartition::new("ventas", 0), 1, offset), after);
        part.try_again(1);
        part
    }

    fn of(first: u64, texts: &[&str]) -> Chunk {
        let entries: Vec<_> = texts.iter().map(|text| simple(text.as_bytes())).collect();
        Chunk::read(&chunk(first, &entries, u32::try_from(texts.len()).expect("few"))).expect("whole")
    }

    fn offsets(meaning: &Meaning) -> Vec<i64> {
        match meaning {
            Meaning::Records(records) => records.iter().map(|record| record.offset).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn meaning(part: &mut Part, chunk: &Chunk, is_whole: bool) -> Meaning {
        part.meaning(chunk, Wanted::Nothing, is_whole).expect("whole")
    }

    fn last(offset: u64, text: &str) -> LastRead {
        let mut begin = part(i64::try_from(offset).expect("small"), None);
        begin.expected = Expected::Anything;
        match meaning(&mut begin, &of(offset, &[text]), false) {
            Meaning::Records(records) => identity(&records[0]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn records_below_the_position_are_passed_over_and_the_one_before_it_must_come() {
        let mut part = part(12, None);
        assert_eq!(part.begin(), 11);
        // At the end of a shorter log the server begins before; what comes there proves nothing.
        assert_eq!(offsets(&meaning(&mut part, &of(5, &["a"]), false)), Vec::<i64>::new());
        assert!(!part.is_begun, "nor does it show that the log goes so far");
        assert_eq!(offsets(&meaning(&mut part, &of(10, &["a", "b", "c", "d"]), false)), [12, 13]);
        assert_eq!(part.expected, Expected::Anything);
    }

    #[test]
    fn a_log_that_begins_behind_the_position_has_a_hole_unless_it_is_seen_to_begin_before() {
        let mut part = part(12, None);
        assert_eq!(offsets(&meaning(&mut part, &of(12, &["a"]), false)), [12], "exactly there");
        let mut part = self::part(12, None);
        assert_eq!(meaning(&mut part, &of(13, &["a"]), false), Meaning::Hole);
        assert_eq!(offsets(&meaning(&mut part, &of(13, &["a"]), true)), [13]);
    }

    #[test]
    fn reading_goes_on_only_after_the_record_that_was_read_last() {
        let read = last(11, "b");
        let mut part = part(12, Some(read));
        assert_eq!(offsets(&meaning(&mut part, &of(10, &["a", "b", "c"]), false)), [12]);
        for others in [of(10, &["a", "other", "c"]), of(11, &["B"])] {
            let mut part = self::part(12, Some(read));
            assert_eq!(meaning(&mut part, &others, false), Meaning::Another);
        }
        let mut part = self::part(12, Some(read));
        assert_eq!(meaning(&mut part, &of(12, &["c"]), false), Meaning::Hole);
        assert_eq!(meaning(&mut part, &of(12, &["c"]), true), Meaning::Another, "it holds what came after");
    }

    #[test]
    fn another_try_begins_at_what_was_read_last() {
        let mut part = part(0, None);
        assert_eq!(part.begin(), 0);
        part.last = Some(last(3, "d"));
        part.try_again(2);
        assert_eq!((part.begin(), part.is_named), (3, false));
    }
}
